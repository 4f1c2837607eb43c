"""The house of the tests: they mirror the package, and share by modules that hold no tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers import ROOT

TESTS = ROOT / "tests"
ACROSS = {"contracts", "corpus", "docs", "fuzz"}
"""Folders of no one room: strategies held to one promise, files from elsewhere, drawn cases, pages held to code."""
FOLDERS = sorted(file.parent.relative_to(TESTS) for file in TESTS.rglob("*/test_*.py"))


@pytest.mark.parametrize("module", sorted(TESTS.rglob("*.py")), ids=lambda file: file.relative_to(TESTS).as_posix())
def test_nobody_imports_from_a_test_module(module: Path) -> None:
    assert not re.findall(r"^ *(?:from|import) tests\b.*\b(?:test_\w+|conftest)\b", module.read_text(), re.MULTILINE)


@pytest.mark.parametrize("folder", sorted(set(FOLDERS)), ids=str)
def test_a_folder_of_tests_is_called_what_its_package_is_called(folder: Path) -> None:
    assert str(folder) in ACROSS or (ROOT / "hskd_lightning" / folder / "__init__.py").exists()


@pytest.mark.parametrize("folder", sorted(set(FOLDERS)), ids=str)
def test_a_folder_of_tests_is_a_package(folder: Path) -> None:
    """Two test modules of one name would be taken for each other."""
    assert (TESTS / folder / "__init__.py").exists()
