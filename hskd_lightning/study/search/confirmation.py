"""The test on fresh seeds: does a setting serve as well as full HSK, give or take the margin?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hskd_lightning.study.search.ladder import Rung
from hskd_lightning.study.search.rules import Rules
from hskd_lightning.study.search.space import Candidate
from hskd_lightning.study.stats.contrast import Contrast, difference
from hskd_lightning.study.stats.defaults import FEWEST


@dataclass(frozen=True)
class Confirmed:
    """A rung after its test. `failed`: its confirming cells without a score, with which nothing is shown."""

    rung: Rung
    contrast: Contrast
    failed: int
    shown: bool
    shown_here: bool
    """The same for these sentences alone: over seeds, and no more."""

    @property
    def candidate(self) -> Candidate:
        return self.rung.candidate


def confirm(rung: Rung, scores: Mapping[int, float], full: Mapping[int, float], rules: Rules) -> Confirmed:
    """Test a rung, one-sided at alpha, by the reading that is known: new sentences, else these.

    A fresh cell of full HSK that failed is left out, which can only make full HSK better. One of the rung's must not
    be, for that could make the rung better: so a rung with a failed cell is not shown.

    Args:
        rung: what is tested.
        scores: its fresh scores by seed; `Scores` where predictions are known.
        full: those of full HSK.
        rules: margin and alpha.
    """
    found = difference(scores, full, level=1 - 2 * rules.alpha)
    failed = rules.confirming - len(scores)
    enough = not failed and found.n >= FEWEST
    serves = enough and found.reading.p_above(-rules.margin) < rules.alpha
    here = enough and found.seeds.p_above(-rules.margin) < rules.alpha
    return Confirmed(rung, found, failed, serves, here)


def smallest_shown(confirmed: Sequence[Confirmed]) -> Confirmed | None:
    """The last of those that were shown before the first that was not: tests are in a fixed order.

    So each may be made at the full alpha, and the chance of naming one that does not serve is still at most alpha
    (Maurer, Hothorn and Lehmacher 1995).
    """
    shown = None
    for each in confirmed:
        if not each.shown:
            break
        shown = each
    return shown
