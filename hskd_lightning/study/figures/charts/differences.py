"""What one change does: the released code's switches, and controls in place of the teacher's states."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from hskd_lightning.study.figures.chart import (
    Axis,
    Chart,
    Line,
    Panel,
    Point,
    Skipped,
    metric,
    of_figure,
    readings,
    titled,
)
from hskd_lightning.study.results import Setting, grouped, label, logits_only, nearest, telling, varying
from hskd_lightning.study.stats.collapse import collapsed
from hskd_lightning.study.stats.comparison import Difference, as_difference, corrected
from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.defaults import ALPHA, LEVEL, MARGIN
from hskd_lightning.study.stats.moderation import Rule, Variance, variance_of

WHO = ("task", "teacher", "student", "student_init")


@dataclass(frozen=True)
class Change:
    """A setting, and the one it is a variation of."""

    name: str
    setting: Setting
    reference: Setting
    difference: Difference


def changes(members: Sequence[Setting], axis: str, variance: Variance = "welch") -> list[Change]:
    """Every setting whose `axis` (quirk, control) is set against the most similar one where it is not.

    The p are corrected over all of them. Logits only is a change of its own among the controls, of each setting that
    they are compared with: no states at all.
    """
    changed = [each for each in members if axis in each.axes]
    plain = [each for each in members if each.true and each["knowledge"] != "labels"]
    pairs = [(each, nearest(each, [one for one in plain if one.distils == each.distils])) for each in changed]
    baseline = logits_only(members)
    if axis == "control" and baseline is not None:
        pairs += [(baseline, reference) for reference in dict.fromkeys(reference for _, reference in pairs)]
    known = [(setting, reference) for setting, reference in pairs if reference is not None]
    differences = corrected(
        {
            at: as_difference(difference(one.scores, other.scores, LEVEL, variance))
            for at, (one, other) in enumerate(known)
        }
    )
    names = _names(known, axis)
    return [Change(name, *pair, differences[at]) for at, (name, pair) in enumerate(zip(names, known, strict=True))]


def _names(pairs: Sequence[tuple[Setting, Setting]], axis: str) -> list[str]:
    """The switch or the control, and what else tells two of one name apart; all by the amount, where there are two."""
    named = [label(each, [axis]) or "logits only" for each, _ in pairs]
    changed = [each for each, _ in pairs if axis in each.axes]
    more = telling(changed, [axis, *varying(changed)])[1:]
    amounts = {reference["hsk_amount"] for _, reference in pairs if reference.distils}
    told = [label(each if axis in each.axes else reference, more) for each, reference in pairs]
    return [
        f"{name} ({about})" if about and (len(amounts) > 1 or named.count(name) > 1) else name
        for name, about in zip(named, told, strict=True)
    ]


def quirks(results: pd.DataFrame, margin: float = MARGIN, variance: Rule = "welch") -> Chart:
    """What each switch of the released code, turned by itself, does to the score."""
    named = Named("quirks", "quirk", "The released code's switches, one at a time", "the default")
    return _differences(results, named, margin, variance)


def controls(results: pd.DataFrame, margin: float = MARGIN, variance: Rule = "welch") -> Chart:
    """Shuffled, untrained, random states: is it the teacher's knowledge that helps?"""
    named = Named("controls", "control", "In place of the teacher's states", "the teacher's own states")
    return _differences(results, named, margin, variance)


@dataclass(frozen=True)
class Named:
    """What a figure of differences is called, and the axis whose settings it compares with their `reference`."""

    figure: str
    axis: str
    title: str
    reference: str


def _differences(results: pd.DataFrame, named: Named, margin: float, rule: Rule) -> Chart:
    settings = of_figure(results, named.figure)
    variance = variance_of(rule, [each.scores for each in settings])
    drawn = (
        _panel(compared, members, settings, named.reference, margin)
        for members in grouped(settings, WHO)
        if (compared := changes(members, named.axis, variance))
    )
    panels = tuple(filter(None, drawn))
    if not panels:
        raise Skipped(f"no cell with a {named.axis} has one without it to be compared to")
    spoken = readings(each.scores.contributions for each in settings)
    caption = CAPTION.format(reference=named.reference, alpha=ALPHA, margin=margin, spoken=spoken)
    return Chart(named.figure, named.title, caption, panels, columns=2)


CAPTION = (
    "Differences to {reference}, with 95% t intervals (not widened for their number) over {spoken}. A *: not 0 "
    "after Holm's correction over the panel at {alpha:g}. A †: a seed of either collapsed. The band: {margin:g} either "
    "way. The table below has both readings."
)


def _panel(
    compared: Sequence[Change], members: Sequence[Setting], everyone: Sequence[Setting], reference: str, margin: float
) -> Panel | None:
    shown = [change for change in compared if change.difference.n]
    if not shown:
        return None
    verdicts: list[tuple[str, Callable[[Change], bool]]] = [
        ("differs", lambda change: change.difference.shown.p_holm < ALPHA),
        ("not shown to differ", lambda change: not change.difference.shown.p_holm < ALPHA),
    ]
    lines = tuple(  # both, also where one is empty: colours mean the same in every study
        Line(name, "points", tuple(_point(at, change) for at, change in enumerate(shown) if is_so(change)))
        for name, is_so in verdicts
    )
    band = Line(f"no difference, give or take {margin:g}", "band", (Point(math.nan, 0, 0.0, -margin, margin),))
    y = Axis(f"Difference to {reference} ({metric(members).split(',')[0]})")
    return Panel(titled(members, everyone), Axis("", names=tuple(change.name for change in shown)), y, (*lines, band))


def _point(at: int, change: Change) -> Point:
    found, shown = change.difference, change.difference.shown
    p = "" if math.isnan(shown.p_holm) else f"p={shown.p_holm:.2g}" if shown.p_holm >= 0.001 else "p<0.001"
    dagger = "†" if any(collapsed(each.scores) for each in (change.setting, change.reference)) else ""
    flag = f"{p}{'*' if shown.p_holm < ALPHA else ''}{dagger}"
    return Point(
        at, found.n, found.mean, shown.low, shown.high, flag=flag, note=change.name, cells=change.setting.cells
    )
