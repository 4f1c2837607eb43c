"""Run the parts one after another, keep what each found at once, and print all tables at the end."""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import benchmarks.gpu
from benchmarks.gpu.captured import compiled, graphs
from benchmarks.gpu.cells import cells
from benchmarks.gpu.setup import Row, Setup
from benchmarks.gpu.stages import host, precision, speed
from benchmarks.gpu.teacher_pass import teacher_pass
from benchmarks.measure import RESULTS, machine, show

PARTS: dict[str, Callable[[Setup], list[Row]]] = {
    "speed": speed,
    "host": host,
    "precision": precision,
    "graphs": graphs,
    "store": teacher_pass,
    "cells": cells,
    "compile": compiled,
}


def main(arguments: list[str] | None = None) -> None:
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=benchmarks.gpu.__doc__, formatter_class=shown)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--smoke", action="store_true", help="tiny models, few steps, any machine: does it run?")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json", help="parts are added to what it holds")
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        setup = Setup(Path(place), given.smoke)
        for name in given.parts:
            print(f"{time.perf_counter() - started:5.0f} s  {name}", flush=True)
            keep(given.out, name, _rows(PARTS[name], setup))
    print_tables(json.loads(given.out.read_text()), given.parts)
    print(f"{time.perf_counter() - started:5.0f} s  done", flush=True)


def _rows(part: Callable[[Setup], list[Row]], setup: Setup) -> list[Row]:
    try:
        return part(setup)
    except Exception as error:  # the other parts go on
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        print(f"    FAILED, {said}", flush=True)
        return [{"failed": said}]


def keep(path: Path, name: str, rows: list[Row]) -> None:
    """Put a part's rows into the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, "machine": machine(), name: rows}, indent=2) + "\n")


def print_tables(found: dict[str, Any], parts: list[str]) -> None:
    """Each part's table; a row that failed leaves its places empty."""
    print(found["machine"])
    for name in parts:
        columns = list(dict.fromkeys(column for row in found[name] for column in row))
        show(name, [{column: row.get(column, "") for column in columns} for row in found[name]])


if __name__ == "__main__":
    main()
