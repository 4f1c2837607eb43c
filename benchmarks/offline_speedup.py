"""Seconds per optimiser step with the teacher in the loop and with a store, and the limit of what can be gained.

The limit counts multiply-adds: a step costs three forwards of the student (one forward, two for the backward), and with
a teacher in the loop one forward of the teacher more. A store can save no more than that forward.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, PreTrainedConfig

from benchmarks.limit import forward_work
from benchmarks.measure import report, taking_turns
from benchmarks.models import STUDENTS, BertBase, joint_setting, sentences, store, student_config
from benchmarks.steps import ByHand, Stage
from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.knowledge.teacher_source import TeacherSource
from hskd_lightning.settings.stages import HIDDEN, PREDICTION


def limit(student: PreTrainedConfig, tokens: int) -> float:
    """The most that leaving the teacher out can gain."""
    teaching, learning = (forward_work(config, 1, tokens) for config in (BertConfig(), student))
    return (teaching + 3 * learning) / (3 * learning)


def compare(
    name: str, stage: str, tokens: int, batch: int, rounds: int, teacher: BertBase, root: Path
) -> dict[str, Any]:
    student = student_config(name)
    plan: HskPlan = joint_setting(student.num_hidden_layers)
    split = sentences(4 * batch, tokens)
    built = store(plan, split, teacher.teacher, root / f"{student.num_hidden_layers}-{tokens}")
    sources: dict[str, KnowledgeSource] = {
        "online": TeacherSource(teacher.teacher, plan),
        "offline": StoreSource(built, plan, built.request),
    }
    steps = {how: ByHand(Stage(stage, student, split, source, batch)) for how, source in sources.items()}
    seconds = taking_turns(steps, rounds)
    gain, most = seconds["online"] / seconds["offline"], limit(student, tokens)
    return {
        "student": name,
        "stage": stage,
        "tokens": tokens,
        "online, s": seconds["online"],
        "offline, s": seconds["offline"],
        "times faster": gain,
        "limit": most,
        "share of limit": gain / most,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, nargs="+", default=[128, 16])
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        teacher = BertBase(root)
        rows = [
            compare(name, stage, tokens, given.batch, given.rounds if tokens > 64 else 4 * given.rounds, teacher, root)
            for tokens in given.tokens
            for name in STUDENTS
            for stage in (HIDDEN, PREDICTION)
        ]
    report("offline_speedup", rows)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
