"""The answer in words and as JSON, from numbers that are known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.minimum import RULES
from hskd_lightning.study.report.answer import answer_html
from hskd_lightning.study.search.answer import Answer, Cost
from hskd_lightning.study.search.confirmation import confirm
from hskd_lightning.study.search.ladder import Rung
from hskd_lightning.study.search.rules import Rules
from hskd_lightning.study.search.search import Outcome, Search
from hskd_lightning.study.search.space import Candidate, Space, Trial

SMALL, LARGE = Candidate("1 layer", ("a",), 71.0, (0.2, 1, 1)), Candidate("2 layers", ("b",), 142.0, (0.4, 1, 1))
SPACE = Space((SMALL, LARGE), Candidate("full HSK", ("full",), 20_000.0), Candidate("the logits alone", ("l",), 0.0))
COST = Cost(cells=60, failed=0, hours=1.5, teacher_passes=4, passes_saved=300, students_to_pay=1)


def answered(losses: dict[Candidate, float], rules: Rules = RULES, failing: int = 0, sd: float = 0.004) -> Answer:
    """Full HSK at 0.9, the rungs that much below it, every seed a step of sd up, none, or down."""
    search = Search(SPACE, rules)
    truth = {SPACE.full: 0.9, **{each: 0.9 - loss for each, loss in losses.items()}}
    for each, mean in truth.items():
        seeds = rules.fresh(rules.reference if each == SPACE.full else rules.confirming)
        search.found |= {Trial(each, seed): Outcome(mean + sd * (seed % 3 - 1)) for seed in seeds}
    for each in losses:
        search.found |= {Trial(each, seed): None for seed in list(rules.fresh(rules.confirming))[:failing]}
        scores, full = (search.scores(one, fresh=True) for one in (each, SPACE.full))
        search.confirmed += (confirm(Rung(each, 0.9), scores, full, rules),)
    search.ladder = tuple(each.rung for each in search.confirmed)
    return Answer(search, COST, "accuracy")


def test_the_smallest_shown_and_what_the_next_would_need() -> None:
    assert answered({LARGE: 0.0, SMALL: 0.008}).sentence == (
        "142 bytes an example (2 layers; 0.71% of full HSK) serve as well as all of it within 1 point, on these "
        "sentences, 95%; 71 bytes not shown (would need 35 seeds)."
    )


def test_what_all_examples_share_is_said_beside_it() -> None:
    coded = replace(LARGE, shared=1124.86)
    said = " Components and codebooks, which all examples share, add 1,125 to each of these."
    answer = answered({coded: 0.0})
    assert answer.sentence.endswith(f"95%.{said}")
    assert "142 (0.71%) + 1,125 shared" in answer_html(answer.as_json())
    assert answered({coded: 0.0}, replace(RULES, budget=300.0)).sentence.endswith(said)


def test_nothing_shown() -> None:
    assert answered({LARGE: 0.02}).sentence == (
        "Not shown: no setting serves as well as full HSK within 1 point, on these sentences, 95%; "
        "142 bytes not shown (it lost 2 points)."
    )


def test_a_failed_confirming_cell_is_told() -> None:
    assert "(1 of its 10 cells failed)" in answered({LARGE: 0.0}, failing=1).sentence


def test_the_best_within_a_budget_has_its_interval() -> None:
    sentence = answered({LARGE: 0.005}, replace(RULES, budget=300.0)).sentence
    assert sentence.startswith(
        "Within 300 bytes an example the best found is 2 layers (142 bytes; 0.71% of full HSK): "
    )
    assert "accuracy 0.89" in sentence and "over 10 fresh seeds" in sentence and "beside full HSK" in sentence


def test_json_has_the_rules_the_ladder_and_no_nan() -> None:
    answer = answered({LARGE: 0.0, SMALL: 0.02}).as_json()
    assert json.loads(json.dumps(answer, allow_nan=False)) == json.loads(json.dumps(answer))
    assert answer["verdict"] == "shown"
    assert answer["answer"]["overrides"] == ["b"]
    assert answer["rules"]["margin"] == 0.01
    assert [rung["shown"] for rung in answer["ladder"]] == [True, False]
    assert answer["ladder"][0]["new_sentences"] is None
    assert answer["ladder"][0]["difference"] == pytest.approx(0.0, abs=0.002)


def test_the_page_shows_sentence_ladder_and_cost() -> None:
    page = answer_html(answered({LARGE: 0.0}).as_json())
    assert "142 bytes an example" in page and "<td>2 layers</td>" in page and "60 cells" in page
