"""Rows of a study as HTML tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hskd_lightning.study.markup import Markup, element, joined

Row = Mapping[str, Any]
DASH = "\N{EN DASH}"


def settings_html(rows: Sequence[Row]) -> Markup:
    """Every setting, what it is worth beside the baselines, and its tier."""
    distinguishing = [axis for axis in ("student", "task") if len({row[axis] for row in rows}) > 1]
    columns: dict[str, Callable[[Row], str]] = {
        "setting": lambda row: ", ".join([*(str(row[axis]) for axis in distinguishing), row["setting"]]),
        "scalars": lambda row: f"{row['scalars']:,.0f}",
        "of full HSK": lambda row: f"{row['share']:.2%}" if row["share"] == row["share"] else DASH,
        "bytes": lambda row: f"{row['bytes']:,.0f}" if row["bytes"] == row["bytes"] else DASH,
        "n": lambda row: f"{row['n']}",
        "mean [95% interval]": lambda row: between(row["mean"], row["low"], row["high"]) + _dagger(row),
        "sd": lambda row: number(row["sd"]),
        "minus full HSK, on these sentences": lambda row: _difference(row, "to_full", "seeds"),
        "on new sentences": lambda row: _difference(row, "to_full", "sentences"),
        "as good as full HSK, on these sentences": lambda row: row["as_good_seeds"] or DASH,
        "as good on new sentences": lambda row: row["as_good_sentences"] or DASH,
        "what would decide": lambda row: row["needs"] or DASH,
        "minus logits only, on these sentences": lambda row: _difference(row, "to_logits", "seeds"),
        "minus logits only, on new sentences": lambda row: _difference(row, "to_logits", "sentences"),
        "tier": lambda row: DASH if row["tier"] is None else f"{row['tier']}",
    }
    note = (
        "Differences are of means over each setting’s own seeds, p after Holm’s correction over the settings of one "
        "student. Tiers are those whose intervals do not overlap; within a tier nothing is ranked. Bold: not told from "
        "the highest mean. †: a seed that failed to learn, five points or more below its setting’s median, is in "
        "the mean."
    )
    return joined([_table(rows, columns), element("p", note, role="quiet")])


def _dagger(row: Row) -> str:
    return f" † seed {row['collapsed'].replace(' ', ', ')}" if row["collapsed"] else ""


def minimum_html(rows: Sequence[Row]) -> Markup:
    """How little is enough, by both definitions, in both readings."""
    columns: dict[str, Callable[[Row], str]] = {
        "student": lambda row: f"{row['path']}, {row['task']}",
        "seeds": lambda row: f"{row['diminishing_n']}",
        "full HSK, scalars": lambda row: f"{row['full_scalars']:,.0f}",
        "least that serves as well, on these sentences": lambda row: _serving(row, "seeds"),
        "least that serves as well, on new sentences": lambda row: _serving(row, "sentences"),
        "the next amount": _stopped,
        "amounts that serve, on these sentences": lambda row: _passed(row, "seeds"),
        "amounts that serve, on new sentences": lambda row: _passed(row, "sentences"),
        "keeps 90% of the gain from, on these sentences": lambda row: _keeping(row, "seeds"),
        "keeps 90% of the gain from, on new sentences": lambda row: _keeping(row, "sentences"),
        "gain of full HSK": lambda row: number(row["keeping_gain"]),
        "marginal utility, on these sentences": lambda row: row["diminishing_seeds"],
        "marginal utility, on new sentences": lambda row: row["diminishing_sentences"] or DASH,
        "says that it diminishes": lambda row: row["diminishing_agreeing"] or "none of the three figures",
        "saturating fit": lambda row: row["saturation_verdict"],
        "its scale, scalars that bring 63% of the gain": lambda row: _scale(row).replace(" [nan, nan]", ""),
    }
    body = [
        element("tr", *(element("td", text) for text in (name, *map(show, rows)))) for name, show in columns.items()
    ]
    return element("div", element("table", element("tbody", *body)), role="wide few")


def plotted_html(rows: Sequence[Row]) -> Markup:
    """Exactly what a figure shows; a fitted curve is a formula and no number."""
    columns: dict[str, Callable[[Row], str]] = {
        "line": lambda row: ": ".join(filter(None, (row["panel"], row["line"]))),
        "point": lambda row: row["note"] or DASH,
        "x": lambda row: " to ".join(place(row[name]) for name in ("x", "x_to") if place(row[name])) or DASH,
        "n": lambda row: f"{row['n'] or DASH}",
        "mean [interval]": lambda row: between(row["mean"], row["low"], row["high"]),
        "cells": lambda row: row["cells"] or DASH,
    }
    return _table([row for row in rows if row["kind"] not in ("fit", "front")], columns)


def place(x: float | str) -> str:
    """Where a value is on the axis: a name, a number, or nowhere."""
    return x if isinstance(x, str) else "" if math.isnan(x) else f"{x:,.4g}"


def _table(rows: Sequence[Row], columns: Mapping[str, Callable[[Row], str]]) -> Markup:
    head = element("tr", *(element("th", name) for name in columns))
    body = [element("tr", *(element("td", show(row)) for show in columns.values()), role=_best(row)) for row in rows]
    return element("div", element("table", element("thead", head), element("tbody", *body)), role="wide")


def _best(row: Row) -> str:
    return "best" if row.get("best") else ""


def number(value: float | None, signed: bool = False) -> str:
    """A number with four decimals: a hundredth of a point."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:{'+' if signed else ''}.4f}".replace("-", "\N{MINUS SIGN}")


def between(mean: float | None, low: float | None, high: float | None, signed: bool = False) -> str:
    """A mean with its interval; without one where there is none."""
    if low is None or math.isnan(low):
        return number(mean, signed)
    return f"{number(mean, signed)} [{number(low, signed)}, {number(high, signed)}]"


def _difference(row: Row, name: str, reading: str) -> str:
    low, high, p = (row[f"{name}_{reading}_{end}"] for end in ("low", "high", "p"))
    if reading == "sentences" and low is None:
        return DASH
    shown = between(row[name], low, high, signed=True)
    return shown if p is None or math.isnan(p) else f"{shown}, {probability(p)}"


def probability(p: float) -> str:
    """A p as papers print it."""
    return "p<0.001" if p < 0.001 else f"p={p:.2g}"


def _serving(row: Row, reading: str) -> str:
    if f"serving_{reading}_amount" not in row:
        return DASH
    amount, verdict = (row[f"serving_{reading}_{what}"] for what in ("amount", "verdict"))
    if amount is None:
        return f"{verdict}"
    mean, low, high = (row[f"serving_{reading}_{what}"] for what in ("mean", "low", "high"))
    share = f"{amount:,.0f} ({amount / row['full_scalars']:.1%})"
    return f"{share}, {verdict}: {between(mean, low, high, signed=True)} to full HSK"


def _stopped(row: Row) -> str:
    if row["stopped_amount"] is None:
        return DASH
    needs = f": {row['stopped_needs']}" if row["stopped_needs"] else ""
    return f"{row['stopped_amount']:,.0f}, {row['stopped_verdict']}{needs}"


def _passed(row: Row, reading: str) -> str:
    passed = row.get(f"serving_{reading}_passed")
    return DASH if passed is None else f"{passed} of {row['serving_tested']}"


def _keeping(row: Row, reading: str) -> str:
    if row["keeping_verdict"] != "kept" or f"keeping_{reading}_low" not in row:
        return DASH if row["keeping_verdict"] == "kept" else f"{row['keeping_verdict']}"
    return bracket(row[f"keeping_{reading}_low"], row[f"keeping_{reading}_high"])


def bracket(low: float, high: float) -> str:
    """Two measured amounts, the second of which may be out of reach."""
    return f"between {low:,.0f} and {high:,.0f}".replace("inf", "no end")


def _scale(row: Row) -> str:
    if math.isnan(row["saturation_scale"]):
        return DASH
    return f"{row['saturation_scale']:,.0f} [{row['saturation_scale_low']:,.0f}, {row['saturation_scale_high']:,.0f}]"
