"""What the cells of a study share, each made once and found again by what it was made from.

text -> corpus -> teacher -> stores, or the teacher itself -> knowledge
                     |
                     +-> student (its first weights)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hskd_lightning.assets.corpus import Corpus, student_corpus, teacher_corpus
from hskd_lightning.assets.knowledge import Knowledge
from hskd_lightning.assets.stores import Stores
from hskd_lightning.assets.student import StudentAssets
from hskd_lightning.assets.teacher import TeacherAssets, TeacherStates
from hskd_lightning.experiment import Experiment
from hskd_lightning.training.team import ALONE, Team


@dataclass(frozen=True)
class Assets:
    """All that an experiment shares with others; nothing is made before it is asked for."""

    experiment: Experiment
    team: Team = ALONE
    """The processes that make what takes long."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What was made before it travels to another process is found again there."""
        return Assets, (self.experiment, self.team)

    @cached_property
    def teacher(self) -> TeacherAssets:
        """Who knows."""
        return TeacherAssets(self.experiment, teacher_corpus(self.experiment), team=self.team)

    @cached_property
    def corpus(self) -> Corpus:
        """The text by the student's tokenizer."""
        return student_corpus(self.experiment, self.teacher.corpus)

    @cached_property
    def states(self) -> TeacherStates:
        """What the teacher's hidden states are on the student's examples."""
        return TeacherStates(self.teacher, self.corpus)

    @cached_property
    def student(self) -> StudentAssets:
        """Who shall learn."""
        return StudentAssets(self.experiment, self.states)

    @property
    def taught_states(self) -> TeacherStates:
        """The states that are taught: the fine-tuned teacher's, or those of before, as the control has it."""
        if self.experiment.taught_by_trained:
            return self.states
        return TeacherStates(self.teacher.untrained, self.corpus)

    @cached_property
    def stores(self) -> Stores:
        """Stores of what is taught."""
        return Stores(self.taught_states, self.experiment.plan)

    @cached_property
    def knowledge(self) -> Knowledge:
        """What the student learns from."""
        return Knowledge(self.experiment, self.states)
