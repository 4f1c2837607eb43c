from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.results import (
    anchors,
    finished,
    full_hsk,
    grouped,
    is_axis,
    label,
    logits_only,
    logits_only_shorter,
    nearest,
    settings_of,
    telling,
    varying,
)


def frame(*rows: dict[str, object]) -> pd.DataFrame:
    """Rows of a study, filled up with what all have in common; cells are numbered."""
    common = {"figure": "depth", "task": "t", "student": "s", "knowledge": "offline", "seed": 1, "score": 0.9}
    numbered = [{"cell_id": f"c{at}", **common, **row} for at, row in enumerate(rows)]
    return finished(pd.DataFrame(numbered))


def test_rows_that_differ_in_the_seed_alone_are_one_setting() -> None:
    (setting,) = settings_of(frame({"seed": 1, "score": 0.8}, {"seed": 2, "score": 0.9}))
    assert setting.scores == {1: 0.8, 2: 0.9}
    assert setting.cells == ("c0", "c1")


def test_a_cell_of_several_figures_is_counted_once() -> None:
    rows = frame({"cell_id": "a"}, {"cell_id": "a", "figure": "length"})
    assert [setting.cells for setting in settings_of(rows)] == [("a",)]


def test_what_was_measured_does_not_split_a_setting() -> None:
    assert len(settings_of(frame({"seed": 1, "knowledge_scalars": 10.0}, {"seed": 2, "knowledge_scalars": 10.1}))) == 1


def test_an_option_that_only_one_strategy_has_splits() -> None:
    rows = frame({"length": "random"}, {"length": "attention", "length_attention_from": "mapped"})
    assert [setting["length_attention_from"] for setting in settings_of(rows)] == [None, "mapped"]


def test_the_seed_of_a_random_strategy_is_no_axis() -> None:
    assert is_axis("width_keep") and not is_axis("width_seed") and not is_axis("knowledge_bytes")


def test_how_a_pruned_student_was_weighed_is_an_axis() -> None:
    """Without it the cells of `student.init.importance=taylor,random` are one setting, twice a seed."""
    assert is_axis("student_init_importance")


def test_the_seal_of_a_row_is_no_axis() -> None:
    assert not is_axis("seal")
    (setting,) = settings_of(frame({"seed": 1, "seal": "0123"}, {"seed": 2, "seal": "4567"}))
    assert "seal" not in setting.axes


def test_two_cells_with_one_setting_and_seed_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\['c0', 'c1'\].*\n.*one cell for each seed"):
        settings_of(frame({"learning_rate": 1e-3}, {"learning_rate": 1e-4}))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ConfigError, match="a table that also has cell_id, seed"):
        finished(pd.DataFrame({"figure": [], "task": [], "student": [], "knowledge": [], "score": []}))


@pytest.mark.parametrize("seed", ["<b>", None])
def test_a_seed_that_is_no_number_is_refused(seed: object) -> None:
    with pytest.raises(ConfigError, match=r"`results: seed` = (.*)\n.*a whole number in every row\n.*collect"):
        frame({"seed": seed})


def test_words_for_how_much_is_kept_are_refused() -> None:
    with pytest.raises(ConfigError, match="`results: length_keep` = 'many'"):
        frame({"length_keep": "many"})


def test_a_cell_without_a_score_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    assert len(frame({}, {"seed": 2, "score": np.nan})) == 1
    assert "1 of 2 rows have no score" in caplog.text


FULL = {"depth": "all", "length": "all", "width": "all", "knowledge_scalars": 100.0, "knowledge_fraction": 1.0}


def test_full_hsk_is_the_plainest_of_what_keeps_everything() -> None:
    pca = {**FULL, "width": "pca", "score": 0.5}
    full = full_hsk(settings_of(frame(pca, FULL)))
    assert full is not None and full["width"] == "all"


@pytest.mark.parametrize(
    "changed",
    [
        {"control": "shuffled"},
        {"quirk": "padding"},
        {"knowledge_fraction": 0.5},
        {"depth": "uniform", "depth_top": 8 / 12},
        {"depth": "uniform", "depth_top": 1.0},
        {"knowledge": "logits"},
    ],
    ids=lambda changed: " ".join(changed),
)
def test_what_is_not_full_hsk(changed: dict[str, object]) -> None:
    assert full_hsk(settings_of(frame({**FULL, **changed}))) is None


def test_logits_only_costs_nothing_whatever_the_table_says() -> None:
    baseline = logits_only(settings_of(frame({"knowledge": "logits"})))
    assert baseline is not None and baseline.amount == 0


def test_logits_only_has_as_many_steps_as_both_stages() -> None:
    rows = frame(*({"knowledge": "logits", "baseline": steps} for steps in ("prediction", "hidden", "total")))
    settings = settings_of(rows)
    assert (logits_only_shorter(settings), logits_only(settings)) == (settings[0], settings[2])


def test_a_table_that_does_not_say_whose_steps_a_baseline_has_means_all() -> None:
    settings = settings_of(frame({"knowledge": "logits"}))
    assert logits_only(settings) is settings[0] and logits_only_shorter(settings) is None


def test_what_others_are_compared_with_has_one_name_each() -> None:
    rows = [{"knowledge": "logits", "baseline": steps} for steps in ("prediction", "total")]
    found = anchors(settings_of(frame(*rows, FULL, {"width": "pca"})))
    assert list(found.values()) == ["full HSK", "logits only", "logits only, prediction steps"]


def test_the_nearest_differs_in_the_fewest_axes() -> None:
    quirk, far, near = settings_of(
        frame({"width": "pca", "quirk": "masked"}, {"width": "all", "knowledge": "online"}, {"width": "pca"})
    )
    assert nearest(quirk, [far, near]) is near


def test_groups_come_numbers_first_and_everything_last() -> None:
    rows = frame({"depth_keep": np.nan}, {"depth_keep": 3.0}, {"depth_keep": 1.0})
    assert [members[0]["depth_keep"] for members in grouped(settings_of(rows), ["depth_keep"])] == [1, 3, None]


def test_an_axis_that_follows_from_another_is_not_told() -> None:
    settings = settings_of(frame({"student": "a", "student_init": "first"}, {"student": "b", "student_init": "random"}))
    assert varying(settings) == ["student", "student_init"]
    assert telling(settings, varying(settings)) == ["student"]


@pytest.mark.parametrize(
    ("axes", "name"),
    [
        ({"depth_top": 8 / 12}, "top 8/12"),
        ({"depth_top": np.nan}, "top 12/12"),
        ({"depth_top": 10.0}, "top state 10"),
        ({"depth_top": 1.0}, "top state 1"),
        ({"depth_keep": 1.0}, "1 layer"),
        ({"length_keep": 10.0}, "10 tokens"),
        ({"length_keep": 1.0}, "1 token"),
        ({"width_keep": 0.1}, "0.1 of units"),
        ({"hsk_amount": 0.1}, "10% of HSK"),
        ({"width": "random_mask"}, "random_mask"),
        ({"baseline": "prediction"}, "prediction steps"),
        ({"baseline": "total"}, ""),
        ({"width_masked": "zero"}, "masked=zero"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names(axes: dict[str, object], name: str) -> None:
    (setting,) = settings_of(frame(axes))
    assert label(setting, axes) == name
