"""What pip installs runs: a wheel, made of the source distribution, in an environment that has no checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.helpers import ROOT, SMALL, TINY

pytestmark = pytest.mark.slow
Hskd = Callable[..., str]
SOURCES = ("hskd_lightning", "hydra_plugins", "conf", "sweeps", "pyproject.toml", "README.md", "LICENSE")
BUILD = "import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources: building leaves folders where it happens."""
    copy, made = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("made")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy)
    run_python(sys.executable, "-c", BUILD, str(made), folder=copy)
    (source,) = made.glob("*.tar.gz")
    pip = ("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir")
    run_python(sys.executable, *pip, "--wheel-dir", str(made), str(source), folder=made)
    (wheel,) = made.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; what it depends on lies in the one that runs the tests.

    Python reads no `.pth` file of that one, so an editable installation there adds nothing here.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = str(folder / "bin/python")
    where = ("--python", python, "install", "--no-deps", "--no-index", "--no-cache-dir", str(wheel))
    run_python(sys.executable, "-m", "pip", *where, folder=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    around = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(around))
    return folder


@pytest.fixture
def hskd(environment: Path, tmp_path: Path) -> Hskd:
    """The console script, from an empty folder."""

    def run(*words: str) -> str:
        return run_python(str(environment / "bin/hskd"), *words, folder=tmp_path)

    return run


def run_python(*command: str, folder: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HSKD_"))}
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("folder", ["conf", "sweeps", "hskd_lightning", "hydra_plugins"])
def test_every_file_is_in_the_wheel(wheel: Path, folder: str) -> None:
    inside = set(ZipFile(wheel).namelist())
    parent = Path() if folder in ("hskd_lightning", "hydra_plugins") else Path("hskd_lightning")
    files = {path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {str(parent / path.relative_to(ROOT)) for path in files} <= inside


def test_the_code_that_runs_is_the_wheels(environment: Path, tmp_path: Path) -> None:
    say = "import hskd_lightning, hydra_plugins.hskd_sweeper as plugin; print(hskd_lightning.__file__, plugin.__file__)"
    for file in run_python(str(environment / "bin/python"), "-c", say, folder=tmp_path).split():
        assert Path(file).is_relative_to(environment)


def test_a_cell(hskd: Hskd, environment: Path, tmp_path: Path) -> None:
    said = hskd("train", "debug=fast", *SMALL, *TINY, "length=cls_first")
    assert "student accuracy" in said
    (result,) = tmp_path.glob("runs/*/result.json")
    assert json.loads(result.read_text())["length"] == "cls_first"


def test_a_sweep(hskd: Hskd, tmp_path: Path) -> None:
    hskd("train", "-m", "debug=fast", *SMALL, *TINY, "length=cls_first", "length.keep=1,2")
    results = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/result.json")]
    assert sorted(result["length_keep"] for result in results) == [1, 2]


def test_a_plan_that_ships(hskd: Hskd) -> None:
    said = hskd("study", "status", "--config-name", "depth", *SMALL, *TINY, "seed=0")
    assert "sweep:" in said and "missing" in said


def test_help_is_about_the_program_that_was_started(hskd: Hskd) -> None:
    assert "hskd train GROUP=OPTION" in hskd("train", "--help")
