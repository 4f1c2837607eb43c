"""What came out of a second run, beside what is committed: to the digit, within a band, in the same order.

Three kinds of numbers, by what another processor does to them. Counts (values, bytes, parameters, steps) hang on
nothing: they are equal to the digit. Scores hang on the last bits of sums, through the teacher too: they lie in a band,
made from the committed spread over seeds. What a study is about (more knowledge, a higher score; a control at chance)
is an order of means, with a distance that is written down.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from scipy.special import stdtrit

from hskd_lightning.study.results import Setting, finished, settings_of
from hskd_lightning.study.seals import SEAL, parse, seal
from hskd_lightning.study.stats.intervals import DECIMALS, significant
from hskd_lightning.study.verify.recipe import Recipe

COUNTS = (
    *("knowledge_scalars", "knowledge_bytes", "knowledge_token_bits", "knowledge_shared_bytes"),
    *("knowledge_full_scalars", "parameters_teacher", "parameters_student", "steps_hidden", "steps_prediction"),
    *("dev_examples", "layer_map", "data_digest"),
)
"""Columns that are equal to the digit on every machine."""
DIGITS = 9
"""Of means of counts, whose sums have an order."""


@dataclass(frozen=True)
class Check:
    """One thing that must hold: what was committed, what is allowed, what it is now."""

    what: str
    committed: str
    band: str
    now: str
    ok: bool


@dataclass(frozen=True)
class Spread:
    """Of one run around its setting's mean: pooled over the settings of a study, with its degrees of freedom."""

    sd: float
    df: float

    def half(self, level: float, committed: int, now: int, floor: float) -> float:
        """Half of a prediction interval for the mean of `now` runs beside the mean of `committed` ones.

        Student's t with the pooled spread. Never below `floor`, which alone is left where no setting has two seeds.
        """
        if not self.df:
            return floor
        t = float(stdtrit(self.df, (1 + level) / 2))
        return max(floor, t * self.sd * math.sqrt(1 / committed + 1 / now))


def judge(committed: pd.DataFrame, now: pd.DataFrame, recipe: Recipe) -> list[Check]:
    """Every check of a recipe.

    The committed rows of a setting are those whose cells have the ids of the cells that were run now, so a recipe that
    no longer asks the committed question is out, too. Each band of scores is at a level at which all hold together
    (Bonferroni).

    Args:
        committed: the rows of results.csv.
        now: those of the second run, whose figures are the names of settings.
        recipe: what must hold.

    Raises:
        ConfigError: rows lack a column, or two cells are one setting and seed.
    """
    counts = [column for column in COUNTS if column in committed]  # older tables have fewer
    committed, now = finished(committed), finished(now)
    known = committed.drop_duplicates("cell_id").set_index("cell_id", drop=False)
    level = 1 - (1 - recipe.level) / max(1, len(recipe.settings) * (1 + len(recipe.seeds)))
    checks: list[Check] = []
    means: dict[str, tuple[float, float]] = {}
    for name in recipe.settings:
        rows = now[now["figure"] == name].set_index("cell_id", drop=False)
        unknown = [cell for cell in rows.index if cell not in known.index]
        if unknown or len(rows) < len(recipe.seeds):
            ran = f"{len(rows)} cells, not committed: {' '.join(unknown) or 'none'}"
            checks.append(Check(f"{name}: cells", "", f"{len(recipe.seeds)} committed cells", ran, False))
            continue
        before = known.loc[rows.index]
        means[name] = float(before["score"].mean()), float(rows["score"].mean())
        around = spread(committed, before)
        checks += [*_counts(name, before, rows, counts), *_scores(name, before, rows, around, level, recipe)]
    return [*checks, *_orders(means, recipe), *_near(means, recipe)]


def spread(committed: pd.DataFrame, like: pd.DataFrame) -> Spread:
    """The spread over seeds of all committed settings of the same task and student, each once."""
    first = like.iloc[0]
    same = committed[(committed["task"] == first["task"]) & (committed["student"] == first["student"])]
    settings: dict[tuple[str, ...], Setting] = {}
    for _, rows in same.groupby("figure", sort=False):
        settings |= {tuple(sorted(each.cells)): each for each in settings_of(rows)}
    several = [list(each.scores.values()) for each in settings.values() if len(each.scores) > 1]
    df = sum(len(scores) - 1 for scores in several)
    pooled = sum((len(scores) - 1) * statistics.variance(scores) for scores in several)
    return Spread(math.sqrt(pooled / df) if df else 0.0, df)


def _counts(name: str, before: pd.DataFrame, now: pd.DataFrame, columns: Sequence[str]) -> Iterator[Check]:
    """One line where all are equal, else one for each that is not."""
    differ = [column for column in columns if _written(before, column) != _written(now, column)]
    if not differ:
        yield Check(f"{name}: {len(columns)} counts", "", "to the digit", "equal", True)
    for column in differ:
        yield Check(f"{name}: {column}", _written(before, column), "to the digit", _written(now, column), False)


def _written(rows: pd.DataFrame, column: str) -> str:
    """A column's values, each once."""
    values = rows[column] if column in rows else []
    numbers = (f"{significant(value, DIGITS):,.10g}" if isinstance(value, int | float) else value for value in values)
    return " ".join(dict.fromkeys(str(value) for value in numbers))


def _scores(
    name: str, before: pd.DataFrame, now: pd.DataFrame, found: Spread, level: float, recipe: Recipe
) -> Iterator[Check]:
    """The mean over seeds, and each cell: a mean of several hides what befell one."""
    seeds = len(before)
    half = found.half(level, seeds, seeds, recipe.floor)
    yield _within(f"{name}: mean of {seeds}", float(before["score"].mean()), half, float(now["score"].mean()))
    half = found.half(level, 1, 1, recipe.floor)
    for cell, row in now.iterrows():
        yield _within(f"{name}: seed {row['seed']}", float(before.loc[cell, "score"]), half, float(row["score"]))


def _within(what: str, centre: float, half: float, now: float) -> Check:
    ok = round(abs(now - centre) - half, DECIMALS) <= 0
    return Check(what, f"{centre:.4f}", f"{centre - half:.4f} to {centre + half:.4f}", f"{now:.4f}", ok)


def _orders(means: dict[str, tuple[float, float]], recipe: Recipe) -> Iterator[Check]:
    """Of the committed means as well: a recipe must not ask for what the study itself does not show."""
    for order in recipe.orders:
        if order.more in means and order.less in means:
            then, now = (more - less for more, less in zip(means[order.more], means[order.less], strict=True))
            ok = round(min(then, now) - order.by, DECIMALS) >= 0
            yield Check(f"{order.more} minus {order.less}", f"{then:+.4f}", f"from {order.by:g}", f"{now:+.4f}", ok)


def _near(means: dict[str, tuple[float, float]], recipe: Recipe) -> Iterator[Check]:
    for near in recipe.near:
        if near.setting in means:
            then, now = means[near.setting]
            ok = all(round(abs(mean - near.score) - near.within, DECIMALS) <= 0 for mean in (then, now))
            band = f"{near.score:g} ± {near.within:g}"
            yield Check(f"{near.setting}: known", f"{then:.4f}", band, f"{now:.4f}", ok)


def seals(path: Path) -> Check:
    """Whether every row of a committed results.csv is as it was written; one without seals has none that hold."""
    rows = parse(path.read_text(encoding="utf-8"))
    broken = [row.get("cell_id", "?") for row in rows if row.get(SEAL) != seal(row)]
    whole = " ".join(map(str, [len(rows) - len(broken), *broken]))
    return Check("rows whose seals hold", str(len(rows)), "all", whole, not broken)


def same_bits(committed: pd.DataFrame, now: pd.DataFrame) -> str:
    """How much of it came out to the bit, for who compares two processors; nothing is judged by it."""
    known = committed.drop_duplicates("cell_id").set_index("cell_id")
    pairs = [(row, known.loc[cell]) for cell, row in now.set_index("cell_id").iterrows() if cell in known.index]
    scores = sum(row["score"] == before["score"] for row, before in pairs)
    weights = {row.get("teacher_weights") == before.get("teacher_weights") for row, before in pairs}
    teacher = "the same to the bit" if weights == {True} else "another, as on another processor it is"
    return f"the teacher is {teacher}; {scores} of {len(pairs)} scores are equal to the digit"


def out(checks: Sequence[Check]) -> list[Check]:
    """Those that do not hold."""
    return [check for check in checks if not check.ok]
