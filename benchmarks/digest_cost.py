"""What it costs to find that an artifact is what was written, at the start of a cell whose teacher is BERT-base.

A start is a fresh process that imports what a cell does and loads the teacher. A process compares a file once, and only
what it opens: where the store is there, the teacher is not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import BertConfig

from benchmarks.measure import report, taking_turns
from hskd_lightning import integrity
from hskd_lightning.artifacts import build_once, checked
from hskd_lightning.models import encoder

START = """
import sys
import hskd_lightning.pipeline
from hskd_lightning.models.teacher import Teacher
Teacher(sys.argv[1], [0, 1])
"""
ROUNDS = 3


def teacher(folder: Path) -> dict[str, int]:
    """BERT-base's shape, random weights: 438 MB."""
    encoder.build_classifier(BertConfig(num_labels=2)).save_pretrained(folder)
    return {}


def compare(folder: Path) -> None:
    """As a process does that has hashed nothing yet."""
    integrity._hashed.clear()
    checked(folder)


def main() -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as root:
        folder = build_once(Path(root), "teacher", {"shape": "BERT-base"}, teacher)
        command = [sys.executable, "-c", START, str(folder)]
        start = lambda: subprocess.run(command, check=True, capture_output=True)  # noqa: E731
        seconds = taking_turns({"start": start, "compare": lambda: compare(folder)}, ROUNDS)
        size = sum(path.stat().st_size for path in folder.iterdir())
    row = {"MB": size / 1e6, "start, s": seconds["start"], "compare, s": seconds["compare"]}
    report("digest_cost", [{**row, "share": seconds["compare"] / seconds["start"]}])


if __name__ == "__main__":
    main()
