"""Imports run downwards only: each room may use those of the lines above it, and the rooms of a package its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.helpers import ROOT

PACKAGE = "hskd_lightning"
LAYERS = """
    errors interrupt ranks devices allocator
    hsk integrity hashed_random settings markdown
    losses artifacts data compress choices config
    models usage failure
    knowledge mistakes
    training consistency settled
    experiment
    runs
    assets console
    explain finished
    export follower
    pipeline store study dashboard
    train doctor
"""
STUDY = """
    study.markup study.stats
    study.results
    study.paths study.seals study.examples study.rules study.search
    study.figures
    study.report
    study.sweep
    study.verify study.claims
    study.__main__
"""


def imported(file: Path) -> set[str]:
    """The modules of this package that a file imports when it runs; what only a type checker reads is left out."""
    tree = ast.parse(file.read_text())
    typed = {inner for node in ast.walk(tree) if isinstance(node, ast.If) for inner in ast.walk(node)}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node not in typed]
    return {
        f"{node.module}.{name.name}" for node in nodes if f"{node.module}".startswith(PACKAGE) for name in node.names
    }


def room(module: str, depth: int) -> str:
    return ".".join(module.removeprefix(f"{PACKAGE}.").split(".")[:depth])


@pytest.mark.parametrize(("layers", "folder", "depth"), [(LAYERS, "", 1), (STUDY, "study", 2)])
def test_imports_run_downwards(layers: str, folder: str, depth: int) -> None:
    height = {name: number for number, line in enumerate(layers.strip().splitlines()) for name in line.split()}
    root = ROOT / PACKAGE
    for file in (root / folder).rglob("*.py"):
        here = room(".".join(file.relative_to(root).with_suffix("").parts), depth)
        for module in imported(file):
            there = room(module, depth)
            if here in height and there in height and here != there:
                assert height[there] < height[here], f"{file.relative_to(root)} imports {module}"


def test_every_room_has_its_place() -> None:
    rooms = {
        path.stem for path in (ROOT / PACKAGE).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__", "__main__", "conf", "sweeps"} == set(LAYERS.split())
