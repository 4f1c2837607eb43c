"""What a search found, in one sentence and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hskd_lightning.study.search.confirmation import Confirmed, smallest_shown
from hskd_lightning.study.search.ladder import powers
from hskd_lightning.study.search.rules import Rules
from hskd_lightning.study.search.search import Search
from hskd_lightning.study.search.space import Candidate
from hskd_lightning.study.stats.contrast import Reading
from hskd_lightning.study.stats.defaults import POWER
from hskd_lightning.study.stats.intervals import summarize

VERSION = 1
"""Of answer.json."""
HELD_OUT, DEV = "held-out training examples", "dev examples"
"""What chose the settings that are then tested on dev."""
MOST = 1000
"""Seeds: more are not named."""


@dataclass(frozen=True)
class Cost:
    """What a search took, and when a store has paid for itself."""

    cells: int
    failed: int
    hours: float
    """Of training, one cell after another."""
    teacher_passes: int
    """Over the students' text: one for each store."""
    passes_saved: int
    """Passes that these cells would have taken beside a teacher in memory: one an epoch."""
    students_to_pay: int
    """Students after which these stores have paid for their passes."""


@dataclass(frozen=True)
class Answer:
    """The end of a search.

    Args:
        search: one that has run to its end.
        cost: what it took.
        metric: what a score is.
    """

    search: Search
    cost: Cost
    metric: str

    @property
    def rules(self) -> Rules:
        return self.search.rules

    @property
    def shown(self) -> Confirmed | None:
        """The smallest setting that was shown to serve; None where none was."""
        return smallest_shown(self.search.confirmed)

    @property
    def missed(self) -> Confirmed | None:
        """The next smaller, which was not."""
        return next((each for each in self.search.confirmed if not each.shown), None)

    @property
    def sentence(self) -> str:
        """What a person is told."""
        return self._smallest if self.rules.budget is None else self._best

    @property
    def _smallest(self) -> str:
        sure = f"within {points(self.rules.margin)}, {of_what(self.search.confirmed)}, {1 - self.rules.alpha:.0%}"
        left = f"; {bytes_said(self.missed.candidate)} not shown ({self.needs(self.missed)})" if self.missed else ""
        if self.shown is None:
            return f"Not shown: no setting serves as well as full HSK {sure}{left}."
        found = self.shown.candidate
        what = f"{bytes_said(found)} an example ({found.name}; {self._share(found)})"
        return f"{what} serve as well as all of it {sure}{left}.{shared(found)}"

    @property
    def _best(self) -> str:
        if not self.search.confirmed:
            return f"Not one setting weighs {self.rules.budget:,g} bytes or less."
        (confirmed,) = self.search.confirmed
        found, reading = confirmed.candidate, confirmed.contrast.reading
        mean = summarize(self.search.scores(found, fresh=True))
        return (
            f"Within {self.rules.budget:,g} bytes an example the best found is {found.name} "
            f"({bytes_said(found)}; {self._share(found)}): {self.metric} {mean.mean:.4f} "
            f"[{mean.low:.4f}, {mean.high:.4f}] over {mean.n} fresh seeds; {said(reading)} beside full HSK, "
            f"{of_what(self.search.confirmed)}, {reading.level:.0%}.{shared(found)}"
        )

    def _share(self, candidate: Candidate) -> str:
        return f"{100 * candidate.bytes / self.search.space.full.bytes:.2g}% of full HSK"

    def needs(self, confirmed: Confirmed) -> str:
        """What it would take to show a setting, if the truth is what was measured."""
        if confirmed.failed:
            return f"{confirmed.failed} of its {self.rules.confirming} cells failed"
        reading, estimate = confirmed.contrast.reading, confirmed.contrast.estimate
        if not estimate > -self.rules.margin:
            return f"it lost {points(-estimate)}"
        seeds = confirmed.contrast.seeds.se**2 / (1 / self.rules.confirming + 1 / self.rules.reference)
        examples = max(reading.se**2 - confirmed.contrast.seeds.se**2, 0.0)
        for n in range(self.rules.confirming + 1, MOST + 1):
            rules = replace(self.rules, confirming=n, reference=n)
            if float(powers(np.array(estimate), math.sqrt(seeds), rules, examples)) >= POWER:
                return f"would need {n} seeds"
        return f"would need more than {MOST} seeds" if not examples else "more sentences are needed than there are"

    def as_json(self) -> dict[str, Any]:
        """answer.json."""
        search = self.search
        return {
            "version": VERSION,
            "sentence": self.sentence,
            "verdict": "shown" if self.shown is not None else "not shown",
            "metric": self.metric,
            "answer": None if self.shown is None else self._setting(self.shown.candidate),
            "full": self._setting(search.space.full),
            "rules": asdict(self.rules),
            "space": len(search.space.candidates),
            "steered_by": DEV if search.steers_by_dev else HELD_OUT,
            "ladder": [self._rung(each) for each in search.confirmed],
            "not_reached": [self._setting(each.candidate) for each in search.ladder[len(search.confirmed) :]],
            "failed": [{"setting": each.candidate.name, "seed": each.seed} for each in search.failed],
            "cost": asdict(self.cost),
        }

    def _setting(self, candidate: Candidate) -> dict[str, Any]:
        share = candidate.bytes / self.search.space.full.bytes
        return {
            "name": candidate.name,
            "bytes": candidate.bytes,
            "shared_bytes": candidate.shared,
            "share": share,
            "overrides": list(candidate.overrides),
        }

    def _rung(self, confirmed: Confirmed) -> dict[str, Any]:
        contrast, scores = confirmed.contrast, self.search.scores(confirmed.candidate, fresh=True)
        return {
            **self._setting(confirmed.candidate),
            "power": confirmed.rung.power,
            "shown": confirmed.shown,
            "seeds": list(scores),
            "scores": list(scores.values()),
            "failed": confirmed.failed,
            "difference": finite(contrast.estimate),
            "these_sentences": {**self._reading(contrast.seeds), "shown": confirmed.shown_here},
            "new_sentences": None if contrast.sentences is None else self._reading(contrast.sentences),
            "needs": None if confirmed.shown else self.needs(confirmed),
        }

    def _reading(self, reading: Reading) -> dict[str, Any]:
        p = reading.p_above(-self.rules.margin)
        known = {"se": reading.se, "df": reading.df, "low": reading.low, "high": reading.high, "p": p}
        return {name: finite(value) for name, value in known.items()}


def of_what(confirmed: Sequence[Confirmed]) -> str:
    """What a claim speaks of: new sentences where the predictions are known."""
    known = bool(confirmed) and all(each.contrast.sentences is not None for each in confirmed)
    return "on new sentences" if known else "on these sentences"


def bytes_said(candidate: Candidate) -> str:
    """142 bytes; below ten with a decimal."""
    return f"{candidate.bytes:,.0f} bytes" if candidate.bytes >= 10 else f"{candidate.bytes:.1f} bytes"


def shared(candidate: Candidate) -> str:
    """A store of few examples weighs more than its examples: what its components and codebooks add to each of them."""
    if candidate.shared < 1:
        return ""
    return f" Components and codebooks, which all examples share, add {candidate.shared:,.0f} to each of these."


def points(score: float) -> str:
    """0.01 is 1 point."""
    value = f"{100 * score:.2g}"
    return f"{value} point" + ("" if value == "1" else "s")


def said(reading: Reading) -> str:
    """An estimate with its interval."""
    return f"{reading.estimate:+.4f} [{reading.low:+.4f}, {reading.high:+.4f}]"


def finite(value: float) -> float | None:
    """JSON has neither nan nor infinity."""
    return value if math.isfinite(value) else None
