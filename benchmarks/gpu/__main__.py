"""Run the parts, each in a process of its own; each row is kept as soon as it is there, all are printed at the end."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import benchmarks.gpu
from benchmarks.gpu.cells import cells
from benchmarks.gpu.compiled import compiled
from benchmarks.gpu.setup import Row, Setup
from benchmarks.gpu.stages import host, precision, speed
from benchmarks.gpu.teacher_pass import teacher_pass
from benchmarks.gpu.together import together
from benchmarks.measure import RESULTS, machine, show
from hskd_lightning import console

PARTS: dict[str, Callable[[Setup], Iterator[Row]]] = {
    "speed": speed,
    "host": host,
    "precision": precision,
    "store": teacher_pass,
    "cells": cells,
    "together": together,
    "compile": compiled,
}


def main(arguments: list[str] | None = None) -> None:
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=benchmarks.gpu.__doc__, formatter_class=shown)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--smoke", action="store_true", help="tiny models, few steps, any machine: does it run?")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json", help="parts are added to what it holds")
    parser.add_argument("--root", type=Path, help="a folder for models and stores, which parts may share")
    given = parser.parse_args(arguments)
    if given.root is not None:
        run(given.parts, Setup(given.root, given.smoke), given.out)
        return
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as root:
        if given.smoke:
            run(given.parts, Setup(Path(root), True), given.out)
        else:
            for name in given.parts:
                print(f"{time.perf_counter() - started:5.0f} s  {name}", flush=True)
                run_apart(name, Path(root), given.out)
    print_tables(json.loads(given.out.read_text()), given.parts)
    print(f"{time.perf_counter() - started:5.0f} s  done", flush=True)


def run(parts: list[str], setup: Setup, out: Path) -> None:
    """The rows of these parts, kept one by one."""
    logging.disable(logging.WARNING)
    console.quiet()
    torch.manual_seed(0)
    for name in parts:
        rows: list[Row] = []
        for row in PARTS[name](setup):
            rows.append(row)
            keep(out, {"machine": machine(), name: rows})


def run_apart(name: str, root: Path, out: Path) -> None:
    """A part in a process of its own: whatever it fails of on the device, the next one has it whole."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--parts", name, "--root", str(root), "--out", str(out)]
    keep(out, {name: []})
    code = subprocess.run(command).returncode
    if code:
        print(f"    FAILED, exit code {code}", flush=True)
        keep(out, {name: [*json.loads(out.read_text())[name], {"failed": f"exit code {code}"}]})


def keep(path: Path, found: dict[str, Any]) -> None:
    """Put what was found into the file, beside what else it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, **found}, indent=2) + "\n")


def print_tables(found: dict[str, Any], parts: list[str]) -> None:
    """Each part's table; a row that failed leaves its places empty."""
    print(found.get("machine", ""))
    for name in parts:
        columns = list(dict.fromkeys(column for row in found[name] for column in row))
        show(name, [{column: row.get(column, "") for column in columns} for row in found[name]])


if __name__ == "__main__":
    main()
