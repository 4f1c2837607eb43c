"""How often the study's claims are wrong, on studies whose truth is known.

equivalence: how often a setting that loses exactly the margin is said to serve, by either reading, where that is its
loss on just these sentences and where it is its loss on all there could be (nominal: 5%, of the reading that speaks of
it).
variances: the same over seeds alone, by Welch's, the moderated and the paired variance.
keeping: how often the bracket has the amount in it from which on 90% of the gain is kept (nominal: at least 95%).
diminishing: how often a curve is said to have a marginal utility that diminishes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ttest_1samp

from benchmarks.measure import show
from benchmarks.synthetic import curve, pairs
from hskd_lightning.study.stats.comparison import equivalence
from hskd_lightning.study.stats.defaults import ALPHA, MARGIN
from hskd_lightning.study.stats.marginal_utility import diminishing
from hskd_lightning.study.stats.minimum import smallest_keeping
from hskd_lightning.study.stats.moderation import prior
from hskd_lightning.study.stats.scores import Array

Row = dict[str, Any]
SPREADS = {"equal": (0.1, 0.1), "setting 4x": (0.4, 0.1), "full HSK 4x": (0.1, 0.4)}
"""Of skill over seeds: 0.1 is 0.4 points."""
AMOUNTS = np.array([0.0, 67, 204, 604, 2031, 6096, 20283])
"""Those of results/sst2."""
SD = 0.004
FAMILY = 8
"""Settings of a study, from whose variances the prior is read."""


def main(arguments: list[str] | None = None) -> None:
    """Run every simulation, print its table, and write them all to one file if asked to."""
    parser = argparse.ArgumentParser("benchmarks.claims", description=__doc__)
    parser.add_argument(
        "--studies", type=int, default=1000, help="of each row; the error of a rate of 5% of 1000: 0.7%"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, help="a JSON file for the rates")
    given = parser.parse_args(arguments)
    found = {}
    for name, simulate in SIMULATIONS.items():
        found[name] = list(simulate(given.studies, np.random.default_rng(given.seed)))
        show(name, found[name], f"{given.studies} studies a row")
    if given.to:
        given.to.parent.mkdir(parents=True, exist_ok=True)
        given.to.write_text(json.dumps({"studies": given.studies, "seed": given.seed, **found}, indent=2) + "\n")


def of_equivalence(studies: int, dice: np.random.Generator) -> Iterator[Row]:
    """Both readings, where the loss is one of these sentences, and where it is one of all."""
    for fixed in (True, False):
        for examples in (277, 872):
            for spread in SPREADS:
                for seeds in (3, 5, 10):
                    row = {"loss on": "these" if fixed else "all", "E": examples, "spread": spread, "n": seeds}
                    yield row | serving_errors(studies, examples, SPREADS[spread], seeds, fixed, dice)


def serving_errors(
    studies: int, examples: int, spreads: tuple[float, float], seeds: int, fixed: bool, dice: np.random.Generator
) -> dict[str, float]:
    """How often each reading says that a setting serves which loses exactly the margin."""
    found = [
        equivalence(one.scores(seeds, dice), other.scores(seeds, dice), MARGIN)
        for one, other in pairs(studies, examples, spreads, MARGIN, fixed, dice)
    ]
    return {
        "these sentences": float(np.mean([each.seeds.serves for each in found])),
        "new sentences": float(np.mean([each.serves for each in found])),
    }


def of_variances(studies: int, dice: np.random.Generator) -> Iterator[Row]:
    """One setting of a family against full HSK, over seeds alone."""
    for name, widest in (("all alike", 1.0), ("the setting 3x", 3.0)):
        for seeds in (3, 5, 10):
            yield {"spread": name, "n": seeds, **variance_errors(studies, widest, seeds, dice)}


def variance_errors(studies: int, widest: float, seeds: int, dice: np.random.Generator) -> dict[str, float]:
    """How often each variance says that a setting serves which loses the margin, and spreads `widest` times as far."""
    wrong = {"welch": 0, "moderated": 0, "paired": 0}
    for _ in range(studies):
        scores = dice.normal(0, SD, (FAMILY, seeds))
        scores[0] = widest * scores[0] - MARGIN
        family = [dict(enumerate(each)) for each in scores.tolist()]
        found = prior(family) or "welch"
        wrong["welch"] += equivalence(family[0], family[1], MARGIN).serves
        wrong["moderated"] += equivalence(family[0], family[1], MARGIN, variance=found).serves
        wrong["paired"] += ttest_1samp(scores[0] - scores[1], -MARGIN, alternative="greater").pvalue < ALPHA
    return {name: count / studies for name, count in wrong.items()}


def saturating(scale: float) -> Array:
    """From 0.80 by 3.5 points, of which 63% by the scale."""
    rising = -np.expm1(-AMOUNTS / scale)
    return 0.80 + 0.035 * rising / rising[-1]


def sigmoid(centre: float, width: float) -> Array:
    """A rise around a centre, in scalars."""
    return 0.80 + 0.035 / (1 + np.exp((centre - AMOUNTS) / width))


KEPT = {
    "scale 100": saturating(100),
    "scale 1000": saturating(1000),
    "scale 5000": saturating(5000),
    "straight": 0.80 + 0.035 * AMOUNTS / AMOUNTS[-1],
    "exactly 90% at 604": 0.80 + 0.035 * np.array([0, 0.4, 0.7, 0.9, 0.95, 1.0, 1.0]),
    "a dip": 0.80 + 0.035 * np.array([0, 0.5, 0.95, 0.8, 0.95, 1.0, 1.0]),
}


def of_keeping(studies: int, dice: np.random.Generator) -> Iterator[Row]:
    """Curves of which it is known where 90% is kept for good."""
    for name, truth in KEPT.items():
        for seeds in (3, 5):
            yield {"curve": name, "n": seeds, **bracket_coverage(studies, truth, seeds, dice)}


def bracket_coverage(studies: int, truth: Array, seeds: int, dice: np.random.Generator) -> dict[str, float]:
    """How often the bracket has the amount in it, and how many measured steps wide it is in the median."""
    less = np.flatnonzero(truth < truth[0] + 0.9 * (truth[-1] - truth[0]) - 1e-12)[-1]
    found = [smallest_keeping(curve(AMOUNTS, truth, seeds, SD, dice)).shown for _ in range(studies)]
    covered = [each.low <= AMOUNTS[less] and each.high >= AMOUNTS[less + 1] for each in found]
    steps = [np.searchsorted(AMOUNTS, each.high) - np.searchsorted(AMOUNTS, each.low) for each in found]
    return {"covered": float(np.mean(covered)), "steps": float(np.median(steps))}


BENDS = {
    "straight": KEPT["straight"],
    "sigmoid at 400": sigmoid(400, 80),
    "sigmoid at 3000": sigmoid(3000, 600),
    "one jump, then straight": 0.80 + 0.02 * (AMOUNTS > 0) + 0.015 * AMOUNTS / AMOUNTS[-1],
    "scale 100": KEPT["scale 100"],
    "scale 1000": KEPT["scale 1000"],
    "steep, then flat": 0.80 + 0.035 * np.array([0, 0.5, 0.75, 0.9, 0.95, 1.0, 1.0]),
}


def of_diminishing(studies: int, dice: np.random.Generator) -> Iterator[Row]:
    """The first four do not diminish all along."""
    for name, truth in BENDS.items():
        for seeds in (3, 5):
            yield {"curve": name, "n": seeds, **diminishing_claims(studies, truth, seeds, dice)}


def diminishing_claims(studies: int, truth: Array, seeds: int, dice: np.random.Generator) -> dict[str, float]:
    """How often a curve is said to diminish, and how often each figure alone would say so."""
    found = [diminishing(curve(AMOUNTS, truth, seeds, SD, dice)) for _ in range(studies)]
    alone = {name: float(np.mean([name in each.agreeing for each in found])) for name in found[0].figures}
    return {**alone, "said": float(np.mean([each.verdict == "diminishes" for each in found]))}


SIMULATIONS: dict[str, Callable[[int, np.random.Generator], Iterator[Row]]] = {
    "equivalence": of_equivalence,
    "variances": of_variances,
    "keeping": of_keeping,
    "diminishing": of_diminishing,
}

if __name__ == "__main__":
    main()
