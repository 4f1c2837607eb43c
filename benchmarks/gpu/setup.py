"""What all parts measure on: the paper's students and BERT-base, or the tiny ones to see that they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from benchmarks.models import (
    Anyone,
    BertBase,
    device,
    fitted_width,
    pca_setting,
    sentences,
    store,
    student_config,
    teacher_config,
    tiny_setting,
)
from benchmarks.steps import TEACHER, Stage
from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.knowledge.device_store import DeviceStoreSource
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.knowledge.teacher_source import TeacherSource
from hskd_lightning.models.teacher import Teacher
from hskd_lightning.settings.stages import HIDDEN, PREDICTION

Row = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """Models, lengths and patience of a run.

    Args:
        root: for what is written.
        smoke: tiny models, few steps.
    """

    root: Path
    smoke: bool

    @property
    def students(self) -> tuple[str, ...]:
        return ("tiny",) if self.smoke else ("ROSITA6", "TinyBERT4")

    @property
    def tokens(self) -> tuple[int, ...]:
        return (8,) if self.smoke else (16, 128)

    @property
    def batch(self) -> int:
        return 4 if self.smoke else 32

    @property
    def seconds(self) -> float:
        """A measurement's own time, however many steps that are."""
        return 0.01 if self.smoke else 0.3

    @property
    def steps(self) -> int:
        """Of a Trainer between two looks at its loss."""
        return 5 if self.smoke else 10

    @property
    def rounds(self) -> int:
        return 1 if self.smoke else 3

    @cached_property
    def teacher(self) -> Teacher:
        folder = self.root / "bert"
        folder.mkdir(exist_ok=True)
        return BertBase(folder, teacher_config("tiny" if self.smoke else "BERT-base")).teacher

    def plan(self, student: str) -> HskPlan:
        """What is kept for this student."""
        return (tiny_setting if self.smoke else pca_setting)(student_config(student).num_hidden_layers)

    def stage(self, student: str, name: str, tokens: int, online: bool = False) -> Stage:
        """A stage taught by the teacher itself, or from a store."""
        plan = self.plan(student)
        source = self._teaching(plan) if online else self._stored(student, tokens)
        split = self._sentences(tokens)
        return Stage(name, student_config(student), split, source, self.batch, plan.shape.teacher_width)

    def fine_tuning(self, tokens: int) -> Stage:
        """The teacher's own training."""
        config = teacher_config("tiny" if self.smoke else "BERT-base")
        return Stage(TEACHER, config, self._sentences(tokens), None, self.batch)

    def _teaching(self, plan: HskPlan) -> KnowledgeSource:
        return TeacherSource(self.teacher, plan, lambda: fitted_width(plan))

    def _stored(self, student: str, tokens: int) -> KnowledgeSource:
        plan = self.plan(student)
        split, anyone = self._sentences(tokens), Anyone(plan.shape.teacher_width)
        built = store(plan, split, anyone, self.root / f"{student}-{tokens}")
        source = StoreSource(built, plan, built.request)
        return DeviceStoreSource(source, device()) if device().type == "cuda" else source

    def _sentences(self, tokens: int) -> TokenSplit:
        return sentences(64 * self.batch, tokens, vocabulary=290 if self.smoke else 30_000)

    def cases(self) -> Iterator[Row]:
        """Student, stage and tokens of every row."""
        for tokens in self.tokens:
            for student in self.students:
                for stage in (HIDDEN, PREDICTION):
                    yield {"student": student, "stage": stage, "tokens": tokens}

    def each(self, measure: Callable[[str, str, int], Row]) -> Iterator[Row]:
        """A row for each case; one that fails says so and the others go on."""
        for case in self.cases():
            yield {**case, **attempt(" ".join(map(str, case.values())), partial(measure, *case.values()))}


def attempt(what: str, measure: Callable[[], Row]) -> Row:
    """Run it; a failure is one line and a row that says so."""
    started = time.perf_counter()
    try:
        row = measure()
        print(f"    {what}: {time.perf_counter() - started:.1f} s", flush=True)
        return row
    except Exception as error:  # whatever one measurement fails of, the next may not
        said = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        print(f"    {what}: FAILED, {said}", flush=True)
        return {"failed": said}
