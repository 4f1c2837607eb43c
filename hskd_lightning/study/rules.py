"""study.json: what was fixed before the first cell ran, so that nobody chooses it by what came out.

Seeds that are added until a test passes make it pass too often: a test of 5% then errs in 9 to 15% of studies. So the
seeds that were planned are written down, and a report says where the data have outgrown them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import read_json, read_typed, write_json
from hskd_lightning.study.stats.defaults import ALPHA, LEVEL

FILE = "study.json"
OF_A_SEARCH = "powers"
"""A rule that only a search has."""
LONG = 6
"""Seeds on end that are not named one by one."""
_Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Rules:
    """What a study's claims are made by."""

    seeds: tuple[int, ...]
    """Of the students, all that were planned."""
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """The loss of score that does not matter."""
    alpha: _Share = ALPHA
    """Of each test."""
    level: _Share = LEVEL
    """Of each interval."""


def fixed(folder: Path, rules: Rules) -> Rules:
    """The rules of the study in this folder: those that its first run wrote, or these, which are written now.

    Raises:
        ConfigError: its study.json is not what was written, or that of a search, whose results no sweep may overwrite.
    """
    if (before := read(folder)) is not None:
        if OF_A_SEARCH in read_json(folder / FILE, "study", ""):
            remedy = "name another: --to FOLDER, or hydra.sweeper.to=FOLDER"
            raise ConfigError("study", str(folder), "the folder of a sweep: this one has a search's results", remedy)
        return before
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, asdict(rules))
    return rules


def read(folder: Path) -> Rules | None:
    """The rules of the study in this folder; None where none were written.

    Raises:
        ConfigError: study.json is not what was written.
    """
    path = folder / FILE
    if not path.exists():
        return None
    names = tuple(field.name for field in fields(Rules))
    remedy = f"rm {path}, and the next run of the sweep fixes them anew"
    return read_typed(path, TypeAdapter(Rules), "study", remedy, names)


def broken(rules: Rules, seeds: Iterable[int], margin: float) -> Iterator[str]:
    """What of the data, or of what is asked of them now, was not planned, a sentence each."""
    if more := sorted(set(seeds) - set(rules.seeds)):
        yield (
            f"Planned were {said(rules.seeds)}; {said(more)} came later. "
            "Seeds that are added once results are seen make a claim pass too often."
        )
    if margin != rules.margin:
        yield f"The margin was fixed at {rules.margin:g} before the first cell; what is tested here is {margin:g}."


def said(seeds: Iterable[int]) -> str:
    """Seeds for a person: seed 3; seeds 0, 1, 2; seeds 0 to 99, 1000 to 1014."""
    listed = list(seeds)
    runs = [[seed for _, seed in run] for _, run in groupby(enumerate(listed), lambda each: each[1] - each[0])]
    names = [name for run in runs for name in (map(str, run) if len(run) < LONG else [f"{run[0]} to {run[-1]}"])]
    return f"seed{'s' if len(listed) > 1 else ''} {', '.join(names)}"
