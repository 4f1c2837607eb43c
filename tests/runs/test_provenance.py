"""The commit that a result names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hskd_lightning.runs.provenance import git_sha


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=someone", "-c", "user.email=some@one")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A committed file of code in a package, and one of results."""
    for name in ("package/code.py", "results/toy/results.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("committed")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=first")
    return tmp_path


def test_unchanged_code_is_its_commit(checkout: Path) -> None:
    assert git_sha(checkout / "package") == git(checkout, "rev-parse", "HEAD")


def test_changed_code_is_dirty(checkout: Path) -> None:
    (checkout / "package/code.py").write_text("changed")
    assert git_sha(checkout / "package") == f"{git(checkout, 'rev-parse', 'HEAD')}-dirty"


def test_results_are_no_code(checkout: Path) -> None:
    (checkout / "results/toy/results.csv").write_text("of another study")
    assert git_sha(checkout / "package") == git(checkout, "rev-parse", "HEAD")


def test_outside_a_checkout_there_is_none(tmp_path: Path) -> None:
    assert git_sha(tmp_path) is None
