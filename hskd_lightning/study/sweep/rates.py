"""hydra.sweeper.tuned: the cells of a study train at the learning rates that `study tune` chose for their arm.

tuned.json may come from elsewhere, and what it says becomes part of a command line. So it says rates, and nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, TypeAdapter

from hskd_lightning.errors import ConfigError, command
from hskd_lightning.integrity import read_typed
from hskd_lightning.settings import Settings

KEY = "hydra.sweeper.tuned"
AGAIN = "tune again, or leave it out"
REMEDY = f"tune these, or do without: {KEY}=null"
Taught = Literal["everything", "a part", "logits"]
CHOSEN = ("depth", "length", "width")
TUNED = ("student.lr.hidden", "student.lr.prediction", "stage.hidden.lr", "stage.prediction.lr")
"""The only keys that a tuned.json can set."""
_NUMERAL = re.compile("[0-9.eE+-]+")


def _rate(override: str) -> str:
    key, _, value = override.partition("=")
    if key not in TUNED or not _NUMERAL.fullmatch(value) or not 0 < float(value) < math.inf:
        raise ValueError(f"no rate: {' or '.join(TUNED)}, each with a number above 0")
    return override


class _Arm(BaseModel):
    """What is read of an arm: beside it stand its grid and its scores."""

    arm: list[str]
    student: str
    taught: Taught
    winner: list[Annotated[str, AfterValidator(_rate)]] | None


class _Tuned(BaseModel):
    """What is read of tuned.json."""

    task: str
    teacher: str
    arms: list[_Arm]


def taught_by(settings: Settings) -> Taught:
    """What an arm is about: whatever is kept of the hidden states, if not all of them, is the same arm, so that a curve
    over amounts is of one recipe.
    """
    if not settings.knowledge.hidden:
        return "logits"
    return "everything" if all(settings.axis(axis).name == "all" for axis in CHOSEN) else "a part"


def task_of(settings: Settings) -> str:
    """What is learned: sst2, polarity, ..."""
    return str(settings.data.source.options.get("task", settings.data.source.name))


@dataclass(frozen=True)
class Rates:
    """The rates of each arm, by student and what it is taught, of one task and teacher."""

    path: Path
    task: str
    teacher: str
    arms: Mapping[tuple[str, Taught], tuple[str, ...]]
    """The overrides that an arm trains by: `student.lr.hidden=0.0001`, ..."""

    @classmethod
    def read(cls, path: Path) -> Rates:
        """What `study tune` wrote.

        Raises:
            ConfigError: no such file, another's, an arm without a winner, or one whose winner is more than rates.
        """
        if not path.is_file():
            remedy = f"make it: {command('study')} tune with the same words and --to {path.parent}; or {KEY}=null"
            raise ConfigError(KEY, str(path), "the tuned.json of `study tune`", remedy)
        found = read_typed(path, TypeAdapter(_Tuned), KEY, AGAIN, tuple(_Tuned.model_fields))
        missing = [" ".join(arm.arm) for arm in found.arms if arm.winner is None]
        if missing:
            allowed = "a grid that is finished"
            raise ConfigError(KEY, missing, allowed, "run `study tune` again, it goes on where it stopped")
        arms = {(arm.student, arm.taught): tuple(arm.winner or ()) for arm in found.arms}
        return cls(path, found.task, found.teacher, arms)

    def of(self, settings: Settings, said: Iterable[str]) -> tuple[str, ...]:
        """The overrides of a cell's arm; none for a rate that is said already, by the user or by the plan.

        Raises:
            ConfigError: another task or teacher than was tuned, or an arm that was not.
        """
        self._check("data", task_of(settings), self.task)
        self._check("teacher", settings.teacher.name, self.teacher)
        arm = settings.student.name, taught_by(settings)
        if arm not in self.arms:
            there = ", ".join(f"{student} on {taught}" for student, taught in self.arms)
            raise ConfigError(KEY, f"{arm[0]} on {arm[1]}", f"what {self.path} has: {there}", REMEDY)
        keys = {_key(each) for each in said}
        return tuple(rate for rate in self.arms[arm] if _key(rate) not in keys)

    def _check(self, key: str, found: Any, tuned: str) -> None:
        if found != tuned:
            raise ConfigError(key, found, f"{tuned}, which {self.path} was tuned on", REMEDY)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")
