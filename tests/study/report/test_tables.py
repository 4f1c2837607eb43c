from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hskd_lightning.study.report.findings import findings, origins
from hskd_lightning.study.report.html_tables import settings_html
from hskd_lightning.study.report.tables import minimum_table, settings_table
from hskd_lightning.study.results import Setting, finished
from hskd_lightning.study.rules import Rules
from hskd_lightning.study.stats.comparison import as_difference, equivalence
from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.intervals import summarize
from hskd_lightning.study.stats.marginal_utility import diminishing
from hskd_lightning.study.stats.minimum import smallest_keeping, smallest_serving
from hskd_lightning.study.stats.scores import Scores


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


@pytest.fixture
def known(tiny: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The study with the answers of every cell to 200 dev examples."""
    tiny = tiny.assign(score=tiny["score"].mul(200).round().div(200))
    monkeypatch.setattr(Setting, "scores", property(_answered))
    return tiny


def _answered(setting: Setting) -> Scores:
    right = {seed: np.arange(200) < 200 * score for seed, score in setting.by_seed("score").items()}
    return Scores(setting.by_seed("score"), {seed: each.astype(float) for seed, each in right.items()})


def test_with_predictions_everything_is_read_twice(known: pd.DataFrame) -> None:
    row = settings_table(known, "marginal_utility", margin=0.05)[-2]
    assert row["to_full_sentences_low"] <= row["to_full_seeds_low"] <= row["to_full"]
    assert row["as_good"] == row["as_good_sentences"] != ""
    (row,) = minimum_table(known)
    assert {f"{name}_sentences_{end}" for name, end in (("serving", "amount"), ("keeping", "high"))} <= row.keys()


def test_findings_say_both_readings(known: pd.DataFrame) -> None:
    (said,) = findings(minimum_table(known))
    assert "on these sentences," in said and "On new sentences," in said


def test_findings_say_what_is_not_known(tiny: pd.DataFrame) -> None:
    (said,) = findings(minimum_table(tiny))
    assert "Of new sentences nothing is said" in said


def test_findings_say_where_there_may_be_nothing_of_which_a_part_could_serve(tiny: pd.DataFrame) -> None:
    hollow = "full HSK itself is not shown to beat the logits alone"
    (said,) = findings(minimum_table(tiny))
    assert hollow not in said
    (said,) = findings(minimum_table(tiny.assign(score=tiny["score"].where(tiny["knowledge"] != "logits", 0.99))))
    assert hollow in said


def test_undecided_says_what_it_takes(tiny: pd.DataFrame) -> None:
    rows = settings_table(tiny, "marginal_utility", margin=0.004)
    assert {"undecided"} <= {row["as_good"] for row in rows}
    assert all(("seeds" in row["needs"]) == (row["as_good"] == "undecided") for row in rows)


def test_a_collapsed_seed_has_a_dagger_and_stays_in_the_mean(tiny: pd.DataFrame) -> None:
    fallen = tiny.copy()
    at = fallen.index[fallen["hsk_amount"] == 0.1][1]
    fallen.loc[at, "score"] -= 0.2
    rows = settings_table(fallen, "marginal_utility")
    (row,) = (row for row in rows if row["collapsed"])
    assert (row["collapsed"], row["n"]) == (str(fallen.loc[at, "seed"]), 3)
    assert f"\N{DAGGER} seed {row['collapsed']}" in settings_html(rows)


def test_the_moderated_variance_may_be_asked_for(tiny: pd.DataFrame) -> None:
    welch, moderated = (settings_table(tiny, "marginal_utility", variance=rule) for rule in ("welch", "moderated"))
    assert [row["to_full"] for row in welch] == [row["to_full"] for row in moderated]
    assert welch[1]["to_full_seeds_low"] != moderated[1]["to_full_seeds_low"]


def test_two_teachers_of_one_name_are_said(tiny: pd.DataFrame) -> None:
    mixed = tiny.assign(teacher_weights=["a" * 8 if seed else "b" * 8 for seed in tiny["seed"]])
    assert "2 sets of weights are called tiny" in "".join(origins(finished(mixed), None, 0.01))
    assert "sets of weights" not in "".join(origins(finished(tiny.assign(teacher_weights="a" * 8)), None, 0.01))


def test_what_was_fixed_before_the_first_cell_is_said(tiny: pd.DataFrame) -> None:
    rules = Rules(seeds=tuple(sorted(tiny["seed"].unique())), margin=0.01)
    first = next(origins(finished(tiny), rules, 0.01))
    assert "a margin of 0.01, tests at 0.05, seeds" in first
    assert "came later" not in first


def test_data_that_outgrew_their_plan_are_said(tiny: pd.DataFrame) -> None:
    seeds = sorted(tiny["seed"].unique())
    first = next(origins(finished(tiny), Rules(seeds=tuple(seeds[:-1]), margin=0.01), 0.01))
    assert f"seed {seeds[-1]} came later" in first


def test_a_study_without_rules_says_so(tiny: pd.DataFrame) -> None:
    assert "None were written down" in next(origins(finished(tiny), None, 0.01))
