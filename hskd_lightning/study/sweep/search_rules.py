"""What a user asks of a search: its overrides, and the rules that are written down before its first cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import fingerprint, read_json, write_json
from hskd_lightning.settings.sweeper import KEY, SweeperSettings
from hskd_lightning.study.rules import FILE
from hskd_lightning.study.rules import Rules as StudyRules
from hskd_lightning.study.search.axes import NAMES
from hskd_lightning.study.search.rules import Rules
from hskd_lightning.study.search.search import Search
from hskd_lightning.study.sweep.expand import parse

SEARCHED = (*NAMES, "experiment", "knowledge", "hsk.amount", "seed")
"""What the search chooses, and a user does not."""


def chosen(arguments: Sequence[str]) -> tuple[str, ...]:
    """The user's own overrides, one value each.

    Raises:
        ConfigError: several values, or a key that the search chooses itself.
    """
    given = parse(arguments)
    for key, values in given.items():
        if key in SEARCHED:
            where = f"set {KEY}.minimum.axes.{key}" if key in NAMES else "its seeds are in hydra.sweeper.minimum"
            raise ConfigError(key, values[0].partition("=")[2], "left out: the search chooses it", where)
        if len(values) > 1:
            allowed = "one value: a search is of one teacher, student and task"
            raise ConfigError(key, [each.partition("=")[2] for each in values], allowed, "start a search for each")
    return tuple(value for values in given.values() for value in values)


def rules_of(settings: SweeperSettings) -> Rules:
    """The rules of a search.

    Raises:
        ConfigError: powers that do not fall, seeds of search and confirmation that meet, or too few cells.
    """
    asked = settings.minimum
    own = {name: getattr(asked, name) for name in Rules.__dataclass_fields__ if name not in ("margin", "powers")}
    rules = Rules(margin=settings.margin, powers=tuple(asked.powers), **own)
    if list(rules.powers) != sorted(set(rules.powers), reverse=True):
        raise ConfigError(f"{KEY}.minimum.powers", asked.powers, "falling shares", "write [0.9, 0.7, 0.45]")
    if rules.search_cells < rules.full + rules.logits + 1:
        ladder = f"{rules.reference} + {rules.rungs} x {rules.confirming} to confirm"
        allowed = f"enough for {rules.full} + {rules.logits} to begin with, and {ladder}"
        raise ConfigError(f"{KEY}.minimum.cells", rules.cells, allowed, "allow more cells, or fewer fresh seeds")
    if any(map(rules.is_fresh, range(rules.search_seed, rules.search_seed + rules.cells))):
        allowed = f"seeds that the search never sees, which begins at {rules.search_seed} and has {rules.cells} cells"
        raise ConfigError(f"{KEY}.minimum.confirmation_seed", rules.confirmation_seed, allowed, "leave it out: 1000")
    return rules


def as_study(rules: Rules) -> dict[str, Any]:
    """The rules as study.json has them: a search's own, and all that any study's has."""
    seeds = [*range(rules.search_seed, rules.search_seed + rules.cells), *rules.fresh(rules.reference)]
    return {**asdict(rules), **asdict(StudyRules(tuple(seeds), rules.margin, rules.alpha))}


def check_whole(settings: SweeperSettings, force: bool) -> None:
    """Refuse what runs a part of a sweep, or runs it again: a search decides itself what comes next.

    Raises:
        ConfigError: names the key.
    """
    fewer = f"leave it out; {KEY}.minimum.cells=N allows fewer cells"
    for name, value in (("max_cells", settings.max_cells), ("only", settings.only)):
        if value is not None:
            raise ConfigError(f"{KEY}.{name}", value, "null: a search runs what it needs next", fewer)
    if force:
        remedy = "leave it out; rm -r of a cell's folder makes the search run that one again"
        raise ConfigError("force", force, "false: a search goes on from the cells that are there", remedy)


def check_size(search: Search) -> None:
    """Refuse a budget that no setting is within.

    Raises:
        ConfigError: names the smallest setting.
    """
    if not search.space.within(search.rules.budget):
        least = min((each.bytes for each in search.space.candidates), default=0.0)
        allowed = f"at least {least:,.1f} bytes, those of the smallest setting of the space"
        raise ConfigError(f"{KEY}.minimum.budget", search.rules.budget, allowed, "ask for more, or widen the axes")


def write_rules(folder: Path, rules: dict[str, Any]) -> None:
    """Write the rules down before the first cell; they stay.

    Raises:
        ConfigError: others were written before.
    """
    path = folder / FILE
    if path.exists():
        remedy = f"start another study: {KEY}.to=FOLDER, or no {KEY}.to"
        before = read_json(path, "study", remedy, tuple(rules))
        for name, value in rules.items():
            if fingerprint(before[name]) != fingerprint(value):
                raise ConfigError(name, value, f"{before[name]!r}, as {path} has it from before the first cell", remedy)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, rules)
