"""What one change does: the released code's switches, and controls in place of the teacher's states."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from hskd_lightning.study.figures.chart import Axis, Chart, Line, Panel, Point, Skipped, metric, of_figure, titled
from hskd_lightning.study.results import Setting, grouped, label, logits_only, nearest, telling, varying
from hskd_lightning.study.stats.comparison import Difference, corrected, paired_difference
from hskd_lightning.study.stats.defaults import ALPHA, LEVEL, MARGIN

WHO = ("task", "teacher", "student", "student_init")


@dataclass(frozen=True)
class Change:
    """A setting, and the one it is a variation of."""

    name: str
    setting: Setting
    reference: Setting
    difference: Difference


def changes(members: Sequence[Setting], axis: str) -> list[Change]:
    """Every setting whose `axis` (quirk, control) is set against the most similar one where it is not.

    The p are corrected over all of them. Logits only is a change of its own among the controls: no states at all.
    """
    changed = [each for each in members if axis in each.axes]
    plain = [each for each in members if each.true and each["knowledge"] != "labels"]
    pairs = [(each, nearest(each, [one for one in plain if one.distils == each.distils])) for each in changed]
    baseline = logits_only(members)
    if axis == "control" and baseline is not None and changed:
        pairs.append((baseline, next((reference for _, reference in pairs if reference is not None), None)))
    known = [(setting, reference) for setting, reference in pairs if reference is not None]
    differences = corrected(
        {at: paired_difference(one.scores, other.scores, LEVEL) for at, (one, other) in enumerate(known)}
    )
    names = _names([setting for setting, _ in known], axis)
    return [Change(name, *pair, differences[at]) for at, (name, pair) in enumerate(zip(names, known, strict=True))]


def _names(settings: Sequence[Setting], axis: str) -> list[str]:
    """The switch or the control, and what else tells two of one name apart."""
    named = [label(each, [axis]) or "logits only" for each in settings]
    changed = [each for each in settings if axis in each.axes]
    more = telling(changed, [axis, *varying(changed)])[1:]
    return [
        f"{name} ({label(each, more)})" if named.count(name) > 1 else name
        for name, each in zip(named, settings, strict=True)
    ]


def quirks(results: pd.DataFrame, margin: float = MARGIN) -> Chart:
    """What each switch of the released code, turned by itself, does to the score."""
    return _differences(
        results, "quirks", "quirk", "The released code's switches, one at a time", "the default", margin
    )


def controls(results: pd.DataFrame, margin: float = MARGIN) -> Chart:
    """Shuffled, untrained, random states: is it the teacher's knowledge that helps?"""
    return _differences(
        results, "controls", "control", "In place of the teacher's states", "the teacher's own states", margin
    )


def _differences(results: pd.DataFrame, figure: str, axis: str, title: str, reference: str, margin: float) -> Chart:
    settings = of_figure(results, figure)
    drawn = (
        _panel(compared, members, settings, reference, margin)
        for members in grouped(settings, WHO)
        if (compared := changes(members, axis))
    )
    panels = tuple(filter(None, drawn))
    if not panels:
        raise Skipped(f"no cell with a {axis} has one without it to be compared to")
    return Chart(figure, title, CAPTION.format(reference=reference, alpha=ALPHA, margin=margin), panels, columns=2)


CAPTION = (
    "Paired differences to {reference}, seed by seed, with 95% t intervals (not widened for their number). A *: "
    "not 0 after Holm's correction over the panel at {alpha:g}. The band: {margin:g} either way."
)


def _panel(
    compared: Sequence[Change], members: Sequence[Setting], everyone: Sequence[Setting], reference: str, margin: float
) -> Panel | None:
    shown = [change for change in compared if change.difference.n]
    if not shown:  # they share no seed
        return None
    verdicts: list[tuple[str, Callable[[Change], bool]]] = [
        ("differs", lambda change: change.difference.p_holm < ALPHA),
        ("not shown to differ", lambda change: not change.difference.p_holm < ALPHA),
    ]
    lines = tuple(  # both, also where one is empty: colours mean the same in every study
        Line(name, "points", tuple(_point(at, change) for at, change in enumerate(shown) if is_so(change)))
        for name, is_so in verdicts
    )
    band = Line(f"no difference, give or take {margin:g}", "band", (Point(math.nan, 0, 0.0, -margin, margin),))
    y = Axis(f"Difference to {reference} ({metric(members).split(',')[0]})")
    return Panel(titled(members, everyone), Axis("", names=tuple(change.name for change in shown)), y, (*lines, band))


def _point(at: int, change: Change) -> Point:
    paired = change.difference
    p = "" if math.isnan(paired.p_holm) else f"p={paired.p_holm:.2g}" if paired.p_holm >= 0.001 else "p<0.001"
    flag = f"{p}*" if paired.p_holm < ALPHA else p
    return Point(
        at, paired.n, paired.mean, paired.low, paired.high, flag=flag, note=change.name, cells=change.setting.cells
    )
