"""Does the search for the minimum keep its word? Hundreds of synthetic studies, by the code that `study minimum` runs.

Each study has a surface of its own: score by layers x tokens (two rankings) x bytes of a token (three ways to say it),
saturating along each, multiplied or added, with a spread over seeds. Beside the search: an oracle, which knows the
surface and climbs the best ladder; and the grid, which runs every setting and names the cheapest that passes.
The worst case for false claims: every setting but full HSK loses just the margin.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import stdtr

from hskd_lightning.study.search.confirmation import Confirmed, confirm, smallest_shown
from hskd_lightning.study.search.ladder import ladder, powers
from hskd_lightning.study.search.rules import Rules
from hskd_lightning.study.search.search import Outcome, Search
from hskd_lightning.study.search.space import Candidate, Space

SD = 0.007
"""Of a score over seeds: about that of results/sst2."""
MARGIN = 0.01
LAYERS = 5
RANKINGS = {"attention": (0.05, 0.1, 0.2, 0.4, 0.7, 1.0), "first": (0.05, 0.1, 0.2, 0.4)}
CODES = {"residual": (4, 8, 16, 32, 64), "planes": (4, 8, 16, 32, 64), "pca": (16, 32, 64, 256, 512)}
FULL_CODE = 768
TOKENS, POSITION = 24, 2
KINDS = ("multiplied", "added", "margin")
RULES = Rules(
    margin=MARGIN,
    alpha=0.05,
    cells=100,
    full=5,
    logits=2,
    first=12,
    batch=8,
    confirming=10,
    reference=15,
    powers=(0.9, 0.7, 0.45),
    search_seed=0,
    confirmation_seed=1000,
)


def made_up_space() -> Space:
    """720 settings and more of a teacher with twelve layers' knowledge for a student of four."""
    choices = [
        (pairs, tokens, code) for pairs in range(1, LAYERS + 1) for tokens in _pairs(RANKINGS) for code in _pairs(CODES)
    ]
    made = [_candidate(pairs, tokens, code) for pairs, tokens, code in choices]
    full = Candidate("full HSK", ("full",), LAYERS * TOKENS * FULL_CODE * 2.0, (1.0, 1.0, 1.0), ("full",) * 3)
    return Space(tuple(sorted(made, key=lambda each: each.bytes)), full, Candidate("logits alone", ("logits",), 0.0))


def _pairs(families: dict[str, tuple[float, ...]]) -> list[tuple[str, float]]:
    return [(name, keep) for name, keeps in families.items() for keep in keeps]


def _candidate(pairs: int, tokens: tuple[str, float], code: tuple[str, float]) -> Candidate:
    (ranking, kept), (family, size) = tokens, code
    weight = pairs * kept * TOKENS * (size + POSITION)
    shares = (pairs / LAYERS, kept, size / (2 * FULL_CODE))
    name = f"{pairs} layers, {kept:.0%} of the tokens by {ranking}, {size} bytes by {family}"
    return Candidate(name, (name,), weight, shares, ("uniform", ranking, family))


def surface(kind: str, space: Space, dice: np.random.Generator) -> dict[Candidate, float]:
    """The true score of each setting."""
    low, gain = dice.uniform(0.6, 0.8), dice.uniform(0.05, 0.2)
    if kind == "margin":
        return {space.logits: low, space.full: low + gain} | dict.fromkeys(space.candidates, low + gain - MARGIN)
    scales = [
        {name: math.exp(dice.uniform(*ends)) for name in families}
        for families, ends in zip(space.families, ((-3.0, -1.0), (-3.5, -1.0), (-7.0, -4.0)), strict=True)
    ]
    exponents = [dice.uniform(0.6, 1.4) for _ in scales]

    def missing(candidate: Candidate) -> list[float]:
        """What is missed along each axis, nothing at everything."""
        return [
            math.exp(-((keep / scale[family]) ** exponent)) * (keep < 1)
            for keep, family, scale, exponent in zip(
                candidate.keeps, candidate.families, scales, exponents, strict=False
            )
        ]

    def score(candidate: Candidate) -> float:
        lost = missing(candidate)
        left = math.prod(1 - each for each in lost) if kind == "multiplied" else max(0.0, 1 - sum(lost))
        return low + gain * left

    return {space.logits: low} | {each: score(each) for each in (*space.candidates, space.full)}


@dataclass(frozen=True)
class Study:
    """What one way of looking for the minimum found in one synthetic study."""

    claimed: float
    """Bytes; nan where nothing was shown."""
    smallest: float
    """Bytes of the smallest setting that truly serves."""
    false: bool
    cells: int


def play(search: Search, truth: dict[Candidate, float], sd: float, seed: int) -> Search:
    """Run a search to its end, where cells have the true score and a seed's noise."""
    dice = np.random.default_rng(seed)
    asked = search.run()
    trials = next(asked).trials
    while True:
        told = {trial: Outcome(truth[trial.candidate] + sd * dice.standard_normal()) for trial in trials}
        try:
            trials = asked.send(told).trials
        except StopIteration:
            return search


def studied(space: Space, truth: dict[Candidate, float], claimed: Candidate | None, cells: int) -> Study:
    """A claim beside the truth: a setting serves truly if it loses less than the margin."""
    bound = truth[space.full] - MARGIN
    true = [each.bytes for each in space.candidates if truth[each] > bound + 1e-12]
    false = claimed is not None and not truth[claimed] > bound + 1e-12
    return Study(math.nan if claimed is None else claimed.bytes, min(true, default=space.full.bytes), false, cells)


def searched(space: Space, truth: dict[Candidate, float], rules: Rules, seed: int) -> Study:
    """By the search."""
    found = play(Search(space, rules), truth, SD, seed)
    return studied(space, truth, _claim(found.confirmed), found.asked)


def by_oracle(space: Space, truth: dict[Candidate, float], rules: Rules, seed: int) -> Study:
    """By one who knows the surface, and need only confirm."""
    dice = np.random.default_rng(seed)
    candidates = space.within(None)
    gains = np.array([truth[each] - truth[space.full] for each in candidates])
    full = _scores(truth[space.full], rules.reference, rules, dice)
    confirmed: list[Confirmed] = []
    for rung in ladder(candidates, powers(gains, SD, rules), rules.powers):
        confirmed.append(confirm(rung, _scores(truth[rung.candidate], rules.confirming, rules, dice), full, rules))
        if not confirmed[-1].shown:
            break
    return studied(space, truth, _claim(confirmed), rules.reference + rules.confirming * len(confirmed))


def by_grid(space: Space, truth: dict[Candidate, float], rules: Rules, seed: int) -> Study:
    """By running every setting, and naming the cheapest that passes: what a table of a sweep invites to."""
    dice = np.random.default_rng(seed)
    candidates, n = space.within(None), rules.confirming
    means = np.array([truth[each] for each in (*candidates, space.full)])
    scores = means[:, None] + SD * dice.standard_normal((len(means), n))
    found, variance = scores.mean(axis=1), scores.var(axis=1, ddof=1) / n
    se = np.sqrt(variance[:-1] + variance[-1])
    df = (n - 1) * (variance[:-1] + variance[-1]) ** 2 / (variance[:-1] ** 2 + variance[-1] ** 2)
    passed = np.flatnonzero(stdtr(df, -(found[:-1] - found[-1] + rules.margin) / se) < rules.alpha)
    return studied(space, truth, candidates[passed[0]] if len(passed) else None, n * len(means))


def _scores(truth: float, count: int, rules: Rules, dice: np.random.Generator) -> dict[int, float]:
    return dict(zip(rules.fresh(count), truth + SD * dice.standard_normal(count), strict=True))


def _claim(confirmed: Sequence[Confirmed]) -> Candidate | None:
    shown = smallest_shown(confirmed)
    return None if shown is None else shown.candidate


WAYS: dict[str, Callable[[Space, dict[Candidate, float], Rules, int], Study]] = {
    "search": searched,
    "oracle": by_oracle,
    "grid": by_grid,
}


def summary(studies: Sequence[Study]) -> dict[str, float]:
    """False claims, how much more than the minimum was claimed, and what it cost."""
    ratios = [each.claimed / each.smallest for each in studies if not math.isnan(each.claimed)]
    quartiles = np.quantile(ratios, [0.25, 0.5, 0.75]) if ratios else [math.nan] * 3
    return {
        "studies": len(studies),
        "false claims": float(np.mean([each.false for each in studies])),
        "nothing shown": float(np.mean([math.isnan(each.claimed) for each in studies])),
        **{
            f"ratio, {name}": float(value)
            for name, value in zip(("1st quartile", "median", "3rd quartile"), quartiles, strict=True)
        },
        "cells, mean": float(np.mean([each.cells for each in studies])),
        "cells, most": max(each.cells for each in studies),
    }


def simulate(
    studies: int, rules: Rules = RULES, kinds: Sequence[str] = KINDS
) -> dict[str, dict[str, dict[str, float]]]:
    """By the kind of surface, and the way to look for the minimum, what came of it."""
    space = made_up_space()
    found = {}
    for kind in kinds:
        truths = [surface(kind, space, np.random.default_rng(at)) for at in range(studies)]
        found[kind] = {
            name: summary([way(space, truth, rules, at) for at, truth in enumerate(truths)])
            for name, way in WAYS.items()
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=300, help="of each kind")
    parser.add_argument("--confirming", type=int, default=RULES.confirming, help="fresh seeds of a rung")
    parser.add_argument("--reference", type=int, default=RULES.reference, help="fresh seeds of full HSK")
    parser.add_argument("--cells", type=int, default=RULES.cells)
    parser.add_argument("--to", type=Path, help="a JSON file for the figures")
    given = parser.parse_args()
    rules = replace(RULES, confirming=given.confirming, reference=given.reference, cells=given.cells)
    began = time.monotonic()
    found = simulate(given.studies, rules)
    rows = [{"surface": kind, "way": way, **each} for kind, ways in found.items() for way, each in ways.items()]
    for row in rows:
        print(
            ", ".join(
                f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}"
                for name, value in row.items()
            )
        )
    print(f"{time.monotonic() - began:.0f} s")
    if given.to is not None:
        given.to.write_text(json.dumps({"rules": asdict(rules), "sd": SD, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
