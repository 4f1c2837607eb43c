"""Which settings are worth confirming: by the power that a confirming test would have, as the ensemble sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from hskd_lightning.study.search.rules import Rules
from hskd_lightning.study.search.space import Candidate
from hskd_lightning.study.stats.intervals import Array


@dataclass(frozen=True)
class Rung:
    """A setting that is to be confirmed, and the power that was predicted for it."""

    candidate: Candidate
    power: float


def powers(gains: Array, sd: float, rules: Rules, of_examples: float = 0.0) -> Array:
    """The power of the confirming test where the truth is a gain of `gains` over full HSK (a loss is negative).

    The noncentral t by its normal approximation (Johnson and Welch 1940): good to a hundredth.

    Args:
        gains: of any shape.
        sd: of a score over seeds.
        rules: margin, alpha and seeds of the test.
        of_examples: the part of the difference's variance that is the examples', and that no seeds remove.
    """
    df = rules.confirming + rules.reference - 2.0
    se = math.sqrt(sd**2 * (1 / rules.confirming + 1 / rules.reference) + of_examples)
    critical = float(stdtrit(df, 1 - rules.alpha))
    away = (gains + rules.margin) / se - critical * (1 - 1 / (4 * df))
    power: Array = ndtr(away / math.sqrt(1 + critical**2 / (2 * df)))
    return power


def ladder(candidates: Sequence[Candidate], power: Array, least: Sequence[float]) -> tuple[Rung, ...]:
    """The cheapest setting of each power, each strictly smaller; the most powerful one where no power is reached.

    Args:
        candidates: by rising bytes.
        power: (N,) predicted.
        least: of each rung, falling.
    """
    rungs: list[Rung] = []
    for bound in least:
        able = np.flatnonzero(power >= bound)
        if len(able) and (not rungs or candidates[able[0]].bytes < rungs[-1].candidate.bytes):
            rungs.append(Rung(candidates[able[0]], float(power[able[0]])))
    if not rungs and len(candidates):
        best = int(power.argmax())
        rungs.append(Rung(candidates[best], float(power[best])))
    return tuple(rungs)
