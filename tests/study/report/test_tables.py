from __future__ import annotations

import pandas as pd
import pytest

from hskd_lightning.study.report.tables import minimum_table, settings_table
from hskd_lightning.study.stats.comparison import as_difference, equivalence
from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.intervals import summarize
from hskd_lightning.study.stats.marginal_utility import diminishing
from hskd_lightning.study.stats.minimum import smallest_keeping, smallest_serving


def scores(rows: pd.DataFrame) -> dict[int, float]:
    return dict(zip(rows["seed"], rows["score"], strict=True))


@pytest.fixture
def tiny(study: pd.DataFrame) -> pd.DataFrame:
    return study[(study["figure"] == "marginal_utility") & (study["student"] == "tiny")]


def test_a_row_has_the_mean_both_differences_and_the_verdict(tiny: pd.DataFrame) -> None:
    rows = settings_table(tiny, "marginal_utility")
    row = next(row for row in rows if row["scalars"] == pytest.approx(672))
    own, full = scores(tiny[tiny["hsk_amount"] == 0.1]), scores(tiny[tiny["knowledge_fraction"] == 1])
    baseline = scores(tiny[tiny["knowledge"] == "logits"])
    assert row["mean"] == summarize(own).mean and row["high"] == summarize(own).high
    assert row["to_full"] == difference(own, full).estimate
    assert row["to_logits_seeds_low"] == difference(own, baseline).seeds.low
    assert row["to_logits_sentences_low"] is None
    assert row["as_good"] == equivalence(own, full).verdict
    assert row["to_full_seeds_p"] >= as_difference(difference(own, full)).seeds.p


def test_settings_come_by_amount_and_baselines_by_name(tiny: pd.DataFrame) -> None:
    names = [row["setting"] for row in settings_table(tiny, "marginal_utility")]
    assert (names[0], names[-1]) == ("logits only", "full HSK")
    assert len(set(names)) == len(names) == 7


def test_every_setting_of_a_figure_has_a_name_of_its_own(study: pd.DataFrame) -> None:
    for figure in ("joint", "width", "quirks", "controls"):
        names = [(row["student"], row["setting"]) for row in settings_table(study, figure)]
        assert len(set(names)) == len(names), figure


def test_controls_of_two_amounts_have_names_of_their_own(study: pd.DataFrame) -> None:
    rows = study[(study["figure"] == "controls") & (study["student"] == "tiny")]
    least = rows[rows["hsk_amount"] == 0.1].assign(hsk_amount=0.003)
    least["cell_id"] = "least" + least["cell_id"]
    names = [row["setting"] for row in settings_table(pd.concat([rows, least]), "controls")]
    assert len(set(names)) == len(names)
    assert {"10% of HSK", "0.3% of HSK", "shuffled, 0.3% of HSK", "logits only", "full HSK"} <= set(names)


def test_the_minimum_is_that_of_the_statistics(tiny: pd.DataFrame) -> None:
    curve = {float(amount): scores(group) for amount, group in tiny.groupby("knowledge_scalars")}
    (row,) = minimum_table(tiny)
    kept = smallest_keeping(curve).seeds
    assert row["serving_seeds_amount"] == smallest_serving(curve).seeds.amount
    assert (row["keeping_seeds_low"], row["keeping_seeds_high"]) == (kept.low, kept.high)
    assert row["diminishing_verdict"] == diminishing(curve).verdict


def test_the_margin_decides_what_is_as_good(tiny: pd.DataFrame) -> None:
    strict, lenient = (settings_table(tiny, "marginal_utility", margin) for margin in (1e-6, 0.5))
    assert "equivalent" not in {row["as_good"] for row in strict}
    assert {row["as_good"] for row in lenient} == {"equivalent", ""}
    (row,) = minimum_table(tiny, margin=0.5)
    assert (row["serving_seeds_amount"], row["serving_margin"]) == (0, 0.5)


def test_one_seed_has_no_verdict_and_no_tier(single: pd.DataFrame) -> None:
    rows = settings_table(single, "marginal_utility")
    assert {row["tier"] for row in rows} == {None}
    assert {row["serving_seeds_verdict"] for row in minimum_table(single)} == {"none serves"}


def test_a_figure_without_rows_is_an_empty_table(study: pd.DataFrame) -> None:
    assert settings_table(study, "nothing") == minimum_table(study[:0]) == []
