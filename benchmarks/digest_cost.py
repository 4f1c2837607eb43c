"""What it costs to find that an artifact is what was written, at the start of a cell whose teacher is BERT-base.

A start is a fresh process that imports what a cell does and loads the teacher, with its digests compared before and
without. A process compares a file once, and only what it opens: where the store is there, the teacher is not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BertConfig

from benchmarks.measure import report, taking_turns
from hskd_lightning.artifacts import build_once
from hskd_lightning.models import encoder

START = """
import sys
import hskd_lightning.pipeline
from hskd_lightning.artifacts import checked
from hskd_lightning.models.teacher import Teacher
from pathlib import Path
if sys.argv[2] == "compared":
    checked(Path(sys.argv[1]))
Teacher(sys.argv[1], [0, 1])
"""
ROUNDS = 5


def teacher(folder: Path) -> dict[str, int]:
    """BERT-base's shape, random weights: 438 MB."""
    encoder.build_classifier(BertConfig(num_labels=2)).save_pretrained(folder)
    return {}


def start(folder: Path, how: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", START, str(folder), how], check=True, capture_output=True)


def main() -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as root:
        folder = build_once(Path(root), "teacher", {"shape": "BERT-base"}, teacher)
        seconds = taking_turns({how: start(folder, how) for how in ("compared", "not compared")}, ROUNDS)
        size = sum(path.stat().st_size for path in folder.iterdir())
    more = seconds["compared"] - seconds["not compared"]
    row = {"MB": size / 1e6, "start, s": seconds["not compared"], "compared, s": seconds["compared"], "more, s": more}
    report("digest_cost", [{**row, "share": more / seconds["not compared"]}])


if __name__ == "__main__":
    main()
