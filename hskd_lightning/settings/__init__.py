"""What a run is asked for, typed: one frozen dataclass a node of conf/, every type and range checked when it is read.

Past `read_settings` nobody subscripts a configuration. Checks of one key are here; those of several keys together, or
of a key against a model or a data set, are `Experiment.resolve`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from hskd_lightning.settings.groups import (
    DataSettings,
    HskSettings,
    KnowledgeSettings,
    LoggerSettings,
    Paths,
    StoreSettings,
    StudentSettings,
    TeacherSettings,
    TrainerSettings,
)
from hskd_lightning.settings.preset import Preset
from hskd_lightning.settings.stages import Stages
from hskd_lightning.settings.types import NODE, Choice, Flag, NoneOrMore, Seed, WholeOrNull
from hskd_lightning.settings.validation import checked


@dataclass(frozen=True, config=NODE, kw_only=True)
class Settings:
    """A whole configuration; see conf/train.yaml. What is made from other keys comes after these."""

    preset: Preset
    data: DataSettings
    teacher: TeacherSettings
    student: StudentSettings
    hsk: HskSettings
    depth: Choice
    length: Choice
    width: Choice
    bits: Choice
    control: Choice
    knowledge: KnowledgeSettings
    store: StoreSettings
    stage: Stages
    trainer: TrainerSettings
    logger: LoggerSettings
    paths: Paths
    seed: Seed
    """The student's: first weights, batch order, dropout."""
    threads: WholeOrNull
    """Of this process; None: all cores."""
    workers: NoneOrMore
    """Processes that load data; 0: this one."""
    explain: Flag
    """Say what would run, and end."""
    force: Flag
    """Run a finished cell again."""
    export: Flag
    """Write the student in every form when it is done."""

    def axis(self, name: str) -> Choice:
        """The strategy of depth, length or width."""
        choice: Choice = getattr(self, name)
        return choice


_SETTINGS = TypeAdapter(Settings)


def read_settings(config: Mapping[str, Any]) -> Settings:
    """The settings of a resolved configuration.

    Raises:
        ConfigError: a value of another type or out of its range, a key that there is not, or one that is missing; the
            first one, in the order above, so that a value that others are made from is named by the user's own key.
    """
    return checked(_SETTINGS, dict(config))
