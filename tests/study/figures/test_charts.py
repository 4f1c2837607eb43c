"""The numbers of every figure, against the statistics of the rows themselves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.figures.chart import Axis, Chart, Line, Panel, Point, Skipped
from hskd_lightning.study.figures.charts import CHARTS
from hskd_lightning.study.paths import paths
from hskd_lightning.study.results import finished, settings_of
from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.intervals import summarize
from hskd_lightning.study.stats.marginal_utility import marginal_utility
from tests.study.toy_study import LENGTHS


def scores(rows: pd.DataFrame) -> dict[int, float]:
    return dict(zip(rows["seed"], rows["score"], strict=True))


def line(chart: Chart, panel: str, name: str) -> Line:
    (found,) = (line for one in chart.panels if one.title == panel for line in one.lines if line.name == name)
    return found


def of(study: pd.DataFrame, figure: str, student: str = "tiny") -> pd.DataFrame:
    return study[(study["figure"] == figure) & (study["student"] == student)]


def numbers(point: Point) -> tuple[float, ...]:
    return point.x, point.n, point.mean, point.low, point.high


def expected(x: float, rows: pd.DataFrame) -> tuple[float, ...]:
    found = summarize(scores(rows))
    return numbers(Point(x, found.n, found.mean, found.low, found.high))  # rounded, as every point is


def test_the_last_bits_of_a_point_are_not_drawn() -> None:
    drawn = Point(10 / 3, 3, 0.1 + 0.2, 1e-17)
    assert (drawn.x, drawn.mean, drawn.low) == (3.33333333, 0.3, 0.0) and math.isnan(drawn.high)


def test_depth_is_a_line_for_each_top_against_the_pairs_of_the_layer_map(study: pd.DataFrame) -> None:
    rows = of(study, "depth")
    drawn = line(CHARTS["depth"](study), "tiny on polarity", "top 8/12")
    top = rows[np.isclose(rows["depth_top"].astype(float), 8 / 12)]
    assert [numbers(point) for point in drawn.points] == [
        expected(keep, top[top["depth_keep"] == keep]) for keep in (1, 2, 3, 5)
    ]


def test_length_is_a_line_for_each_strategy_with_baselines_as_levels(study: pd.DataFrame) -> None:
    rows, chart = of(study, "length"), CHARTS["length"](study)
    names = [line.name for line in chart.panels[1].lines]
    assert names == [*LENGTHS, "logits only", "full HSK", "teacher"]
    (baseline,) = line(chart, "tiny on polarity", "logits only").points
    assert numbers(baseline)[1:] == expected(0, rows[rows["knowledge"] == "logits"])[1:]
    (teacher,) = line(chart, "tiny on polarity", "teacher").points
    assert teacher.mean == pytest.approx(0.975) and teacher.n == 0


def test_width_tells_masks_apart(study: pd.DataFrame) -> None:
    names = {line.name for line in CHARTS["width"](study).lines if line.kind == "curve"}
    assert names == {
        "magnitude_mask, masked=ignore",
        "magnitude_mask, masked=zero",
        "pca",
        "random_mask, masked=ignore",
    }


def test_one_changed_score_changes_its_point_and_no_other(study: pd.DataFrame) -> None:
    changed = study.copy()
    at = changed.index[(changed["figure"] == "length") & (changed["length"] == "random")][0]
    changed.loc[changed["cell_id"] == changed.loc[at, "cell_id"], "score"] += 0.01
    before, after = (pd.DataFrame(CHARTS["length"](each).rows()) for each in (study, changed))
    different = (before["mean"] != after["mean"]).to_numpy()
    assert different.sum() == 1
    assert after["mean"][different].item() - before["mean"][different].item() == pytest.approx(0.01 / 3)


def test_the_main_figure_starts_at_logits_only_and_ends_at_full_hsk(study: pd.DataFrame) -> None:
    rows = of(study, "marginal_utility")
    drawn = line(CHARTS["marginal_utility"](study), "tiny on polarity: score", "tiny")
    amounts = sorted(rows["knowledge_scalars"].unique())
    assert [numbers(point) for point in drawn.points] == [
        expected(amount, rows[rows["knowledge_scalars"] == amount]) for amount in amounts
    ]


def test_the_steps_are_the_gains_of_1000_scalars(study: pd.DataFrame) -> None:
    rows = of(study, "marginal_utility")
    curve = {float(amount): scores(group) for amount, group in rows.groupby("knowledge_scalars")}
    drawn = line(CHARTS["marginal_utility"](study), "tiny on polarity: marginal utility", "tiny")
    segments = marginal_utility(curve)
    assert [(point.x, point.x_to, point.mean, point.low) for point in drawn.points] == [
        pytest.approx(
            (
                each.from_amount,
                each.to_amount,
                *(1000 * score / each.scalars for score in (each.gain.mean, each.gain.seeds.low)),
            ),
            rel=1e-8,
        )
        for each in segments
    ]
    assert [point.flag for point in drawn.points] == ["*" if each.gain.seeds.p_holm < 0.05 else "" for each in segments]


def test_an_amount_of_one_is_full_hsk_and_no_second_point(study: pd.DataFrame) -> None:
    rows = of(study, "marginal_utility")
    again = rows[rows["knowledge_fraction"] == 1].assign(width="pca", hsk_amount=1.0)
    again["cell_id"] = "pca" + again["cell_id"]
    (path,) = paths(settings_of(finished(pd.concat([rows, again]))))
    assert len(path.settings) == rows["knowledge_scalars"].nunique()


def test_the_main_figure_is_drawn_against_bytes_too(study: pd.DataFrame) -> None:
    rows = of(study, "marginal_utility")
    drawn = line(CHARTS["marginal_utility"](study), "tiny on polarity: bytes", "tiny")
    by_bytes = rows.assign(knowledge_bytes=rows["knowledge_bytes"].where(rows["knowledge"] != "logits", 0.0))
    assert [numbers(point) for point in drawn.points] == [
        pytest.approx(expected(size, group)) for size, group in by_bytes.groupby("knowledge_bytes")
    ]


def test_bits_are_a_line_a_strategy_with_half_precision_beside(study: pd.DataFrame) -> None:
    rows, chart = of(study, "bits"), CHARTS["bits"](study)
    drawn = line(chart, "tiny on polarity", "planes")
    coded = rows[rows["bits"] == "planes"]
    assert [numbers(point) for point in drawn.points] == [
        expected(spent, group) for spent, group in coded.groupby("knowledge_token_bits")
    ]
    names = {each.name for each in chart.lines if each.kind == "curve"}
    assert names == {"planes", "residual", "fp16"}
    assert {each.name for each in chart.lines if each.kind == "level"} == {"logits only", "full HSK", "fp16", "teacher"}


def test_each_path_is_a_line_from_logits_only_to_full_hsk(study: pd.DataFrame) -> None:
    rows, chart = of(study, "paths"), CHARTS["paths"](study)
    ends = rows[rows["hsk_path"].isna()]
    for path in ("equal", "tokens first", "units first"):
        own = pd.concat([ends, rows[rows["hsk_path"] == path.replace(" ", "_")]])
        points = line(chart, "tiny on polarity", path).points
        means = own.groupby("knowledge_bytes")["score"].mean()
        assert [at.x for at in points] == pytest.approx(list(means.index))
        assert [at.mean for at in points] == pytest.approx(list(means))


def test_the_envelope_is_the_least_that_reached_each_score(study: pd.DataFrame) -> None:
    chart = CHARTS["paths"](study)
    (panel,) = (panel for panel in chart.panels if panel.title == "tiny on polarity")
    measured = [at for one in panel.lines if one.kind == "curve" for at in one.points]
    envelope = line(chart, panel.title, "lower envelope").points
    assert [at.mean for at in envelope] == sorted({at.mean for at in envelope})
    for corner in envelope:
        assert corner.x == min(at.x for at in measured if at.mean >= corner.mean)


def test_two_settings_that_cost_the_same_are_refused_on_one_path(study: pd.DataFrame) -> None:
    rows = of(study, "marginal_utility")
    twin = rows[rows["hsk_amount"] == 0.1].assign(hsk_amount=0.1000001)
    twin["cell_id"] = "twin" + twin["cell_id"]
    with pytest.raises(ConfigError, match="one setting for each amount"):
        CHARTS["marginal_utility"](pd.concat([rows, twin]))


def test_the_ratio_is_of_the_same_seeds_runs(study: pd.DataFrame) -> None:
    rows = of(study, "efficiency").set_index("seed")
    rows = rows[rows["hsk_amount"] == 0.1]
    online, offline = (rows[rows["knowledge"] == source]["seconds_hidden"] for source in ("online", "offline"))
    chart = CHARTS["efficiency"](study)
    (panel,) = chart.panels
    at = panel.x.names.index("tiny, hidden stage")
    with_teacher, from_store = (next(point for point in line.points if point.x == at) for line in panel.lines)
    assert with_teacher.mean == pytest.approx(1000 * online.mean() / 940)
    assert from_store.mean == pytest.approx(1000 * offline.mean() / 940)
    assert with_teacher.flag.startswith(f"{(online / offline).mean():.2f}×")


@pytest.mark.parametrize(("figure", "axis"), [("quirks", "quirk"), ("controls", "control")])
def test_a_change_is_compared_with_the_default(study: pd.DataFrame, figure: str, axis: str) -> None:
    rows = of(study, figure)
    default = rows[rows[axis].isna() & (rows["hsk_amount"] == 0.1)]
    chart = CHARTS[figure](study)
    panel = chart.panels[1]
    assert panel.title == "tiny on polarity"
    drawn = {panel.x.names[int(at.x)]: at for line in panel.lines if line.kind == "points" for at in line.points}
    for name, group in rows.groupby(axis):
        found = difference(scores(group), scores(default))
        drawn_of = (found.n, found.estimate, found.seeds.low, found.seeds.high)
        assert numbers(drawn[str(name)])[1:] == pytest.approx(drawn_of, rel=1e-8)
    assert ("logits only" in drawn) == (figure == "controls")


def test_controls_of_two_amounts_are_told_apart_and_compared_with_their_own(study: pd.DataFrame) -> None:
    rows = of(study, "controls")
    named = rows[
        rows["control"].isin(["shuffled", "constant"]) | (rows["control"].isna() & (rows["hsk_amount"] == 0.1))
    ]
    least = named.assign(hsk_amount=0.003, score=named["score"] - 0.1 * named["control"].eq("constant"))
    least["cell_id"] = "least" + least["cell_id"]
    (panel,) = CHARTS["controls"](pd.concat([rows, least])).panels
    drawn = {panel.x.names[int(at.x)]: at.mean for each in panel.lines if each.kind == "points" for at in each.points}
    for what in ("shuffled", "constant", "logits only"):
        assert {f"{what} (10% of HSK)", f"{what} (0.3% of HSK)"} <= set(drawn)
    assert drawn["shuffled (0.3% of HSK)"] == pytest.approx(drawn["shuffled (10% of HSK)"])
    assert drawn["constant (0.3% of HSK)"] == pytest.approx(drawn["constant (10% of HSK)"] - 0.1)


def test_changes_need_not_share_a_seed_with_the_default(study: pd.DataFrame) -> None:
    rows = of(study, "quirks")
    apart = rows.assign(seed=rows["seed"] + 100 * rows["quirk"].notna())
    assert CHARTS["quirks"](apart).rows() == CHARTS["quirks"](rows).rows()


def test_a_collapsed_seed_is_shown_where_it_fell(study: pd.DataFrame) -> None:
    rows = of(study, "marginal_utility").copy()
    at = rows.index[rows["hsk_amount"] == 0.1][0]
    rows.loc[at, "score"] -= 0.2
    (point,) = line(
        CHARTS["marginal_utility"](rows), "tiny on polarity: score", "collapsed seed, counted in its mean"
    ).points
    assert (point.x, point.mean) == (pytest.approx(672), rows.loc[at, "score"])


def test_the_main_figure_has_a_row_for_each_student(study: pd.DataFrame) -> None:
    chart = CHARTS["marginal_utility"](study)
    shown = [(panel.title, {each.style for each in panel.lines if each.kind == "steps"}) for panel in chart.panels]
    assert [lines for title, lines in shown if title.endswith(": marginal utility")] == [{"layer_drop"}, {"tiny"}]
    assert len(shown) == 2 * chart.columns


def test_the_interval_of_a_level_does_not_widen_its_panel() -> None:
    axis = Axis("x")
    level = Line("logits only", "level", (Point(math.nan, 3, 0.6, 0.1, 1.0),))
    curve = Line("tiny", "curve", (Point(1, 3, 0.8, 0.7, 0.9),))
    assert sorted(Panel("p", axis, axis, (curve, level)).ys) == [0.6, 0.7, 0.8, 0.9]


def test_the_interval_of_two_seeds_does_not_widen_its_panel() -> None:
    axis = Axis("x")
    points = Line("tiny", "points", (Point(1, 3, 0.8, 0.7, 0.9), Point(2, 2, 0.75, -1.0, 2.5)))
    assert sorted(Panel("p", axis, axis, (points,)).ys) == [0.7, 0.75, 0.8, 0.9]


@pytest.mark.parametrize("figure", ["joint", "pareto"])
def test_a_collapsed_seed_is_shown_among_budgets(study: pd.DataFrame, figure: str) -> None:
    rows = of(study, "joint").copy()
    at = rows.index[rows["hsk_amount"].isna() & rows["seed"].eq(0) & (rows["knowledge"] != "logits")][0]
    rows.loc[at, "score"] -= 0.3
    found = [point for each in CHARTS[figure](rows).lines if each.name.startswith("collapsed") for point in each.points]
    assert {point.mean for point in found} == {rows.loc[at, "score"]}
    assert {point.note for point in found} == {"seed 0 of 3 collapsed"}


def test_stars_are_for_what_holms_correction_leaves(study: pd.DataFrame) -> None:
    for panel in CHARTS["quirks"](study).panels:
        flags = {point.flag.endswith("*") for line in panel.lines if line.name == "differs" for point in line.points}
        assert flags <= {True}


def test_the_joint_figure_has_every_budget_once(study: pd.DataFrame) -> None:
    panel = CHARTS["joint"](study).panels[1]
    points = [point for line in panel.lines if line.kind in ("points", "faint") for point in line.points]
    assert len(points) == 27
    front = next(line for line in panel.lines if line.kind == "front").points
    assert [at.mean for at in front] == sorted(at.mean for at in front)


def test_pareto_leaves_controls_and_switches_out(study: pd.DataFrame) -> None:
    cells = {cell for line in CHARTS["pareto"](study).lines for point in line.points for cell in point.cells}
    others = study[study["control"].notna() | study["quirk"].notna()]
    assert cells == set(study["cell_id"]) - set(others["cell_id"])


def sweep(**columns: list[object]) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    common = {"figure": "curve", "task": "t", "student": "s", "knowledge": "offline", "metric": "accuracy"}
    rows = pd.DataFrame(
        {**{key: [value] * size for key, value in common.items()}, "score": np.linspace(0.5, 0.9, size)}
    )
    return rows.assign(cell_id=[f"c{at}" for at in range(size)], **{"seed": 0, **columns})


def test_a_sweep_of_an_amount_is_drawn_against_scalars() -> None:
    (panel,) = CHARTS["curve"](sweep(length_keep=[1, 2, 4], knowledge_scalars=[10.0, 20.0, 40.0])).panels
    assert [point.x for point in panel.lines[0].points] == [10, 20, 40]
    assert panel.x.label == "Hidden-state scalars per example"


def test_a_sweep_of_names_that_cost_the_same_is_drawn_by_name() -> None:
    (panel,) = CHARTS["curve"](sweep(length=["random", "attention"], knowledge_scalars=[10.0, 10.0])).panels
    assert panel.upright and panel.x.names == ("attention", "random")


def test_a_sweep_of_two_axes_has_a_line_for_each_value_of_the_shorter() -> None:
    swept = sweep(
        length_keep=[1, 2, 4, 1, 2, 4], width_keep=[0.1] * 3 + [0.5] * 3, knowledge_scalars=[1.0, 2, 4, 5, 10, 20]
    )
    (panel,) = CHARTS["curve"](swept).panels
    assert [(line.name, len(line.points)) for line in panel.lines] == [("0.1 of units", 3), ("0.5 of units", 3)]


def test_one_token_is_drawn_as_a_count_and_not_as_all_of_them() -> None:
    swept = sweep(length=["cls_first"], length_keep=[1.0]).assign(figure="length")
    (panel,) = CHARTS["length"](swept).panels
    assert panel.x.label == "Kept tokens per example K"


def test_everything_is_the_end_of_an_axis_of_shares() -> None:
    swept = sweep(length=["cls_first"] * 2, length_keep=[0.25, None]).assign(figure="length")
    (panel,) = CHARTS["length"](swept).panels
    assert [point.x for point in panel.lines[0].points] == [0.25, 1.0]


def test_a_single_cell_is_a_sweep() -> None:
    (panel,) = CHARTS["curve"](sweep(depth=["all"])).panels
    (point,) = panel.lines[0].points
    assert point.n == 1 and math.isnan(point.low)


@pytest.mark.parametrize("figure", CHARTS)
def test_a_figure_without_rows_says_what_is_missing(study: pd.DataFrame, figure: str) -> None:
    with pytest.raises(Skipped, match=r"no .*(finished|figure)"):
        CHARTS[figure](study[:0])


@pytest.mark.parametrize("figure", ["quirks", "controls", "efficiency", "depth", "joint"])
def test_baselines_alone_are_no_figure(study: pd.DataFrame, figure: str) -> None:
    rows = of(study, figure)
    with pytest.raises(Skipped, match="no "):
        CHARTS[figure](
            rows[(rows["knowledge"] == "logits") | (rows["knowledge_fraction"] == 1) & rows["depth"].eq("all")]
        )
