"""Versions against what is asked for: real metadata, in a folder of its own before all others."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hskd_lightning.doctor import libraries
from hskd_lightning.doctor.finding import State, examined
from tests.doctor.found import only
from tests.helpers import ROOT


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are found first."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(folder: Path, name: str, version: str, *lines: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    head = ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}")
    (info / "METADATA").write_text("\n".join([*head, *lines, ""]))


def test_what_runs_these_tests_is_as_asked_for() -> None:
    assert [only(check).state for check in (libraries.python, libraries.packages)] == [State.OK, State.OK]


def test_a_package_that_is_too_old(installed: Path) -> None:
    install(installed, "torch", "1.13.1")
    found = only(libraries.packages)
    assert found.state == State.RED
    assert found.said == "torch 1.13.1, where >=2.6 is asked for" and found.remedy == "pip install 'torch>=2.6'"


def test_a_build_of_a_version_is_that_version(installed: Path) -> None:
    install(installed, "torch", "2.6.0+cu124")
    assert "torch 2.6.0+cu124" in only(libraries.packages).said


def test_a_package_that_is_missing(installed: Path) -> None:
    install(installed, "hskd-lightning", "0.1", "Requires-Dist: hskd-nothing>=2")
    found = only(libraries.packages)
    assert found.state == State.RED and found.said == "no hskd-nothing" and "'hskd-nothing>=2'" in found.remedy


def test_a_python_that_is_too_old(installed: Path) -> None:
    install(installed, "hskd-lightning", "0.1", "Requires-Python: >=3.99")
    found = only(libraries.python)
    assert found.state == State.RED and ">=3.99 is asked for" in found.said


def test_an_extra_that_is_missing_is_a_note_with_its_purpose(installed: Path) -> None:
    asked = ("Requires-Dist: pytest", 'Requires-Dist: pytest; extra == "dev"')
    install(installed, "hskd-lightning", "0.1", *asked, 'Requires-Dist: hskd-nothing; extra == "ray"')
    missing, there = examined(libraries.extras)
    assert missing.state == State.NOTE and missing.said == "ray, for launch=ray and ray_cluster: no hskd-nothing"
    assert missing.remedy == "pip install 'hskd-lightning[ray]'"
    assert there.state == State.OK and "ray" not in there.said and "dev" in there.said


def test_an_extra_that_is_too_old_is_a_note(installed: Path) -> None:
    install(installed, "onnx", "1.2")
    old = [found for found in examined(libraries.extras) if found.said.startswith("onnx, for")]
    assert [found.state for found in old] == [State.NOTE] and "onnx 1.2, where >=1.16 is asked for" in old[0].said


def test_every_extra_has_a_purpose() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(libraries.EXTRAS) == set(asked)
