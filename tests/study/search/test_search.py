"""The search is told scores and asks for cells: the same ones, however often it is started."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.minimum import RULES, SD, made_up_space, play, surface
from hskd_lightning.errors import TrainingError
from hskd_lightning.study.search.rules import Rules
from hskd_lightning.study.search.search import Outcome, Round, Search, Told
from hskd_lightning.study.search.space import Candidate, Space, Trial

SPACE = made_up_space()
TRUTH = surface("multiplied", SPACE, np.random.default_rng(0))
SMALL = replace(RULES, cells=60, confirming=4, reference=5, first=8)


def score(trial: Trial) -> Outcome:
    """The true score and a noise that hangs on the cell alone, as that of a seed does."""
    return Outcome(TRUTH[trial.candidate] + SD * random.Random(f"{trial}").gauss(0, 1))


def told(asked: Round, failing: frozenset[Trial] = frozenset()) -> dict[Trial, Outcome]:
    return {trial: score(trial) for trial in asked.trials if trial not in failing}


def ended(rules: Rules = SMALL, failing: frozenset[Trial] = frozenset(), order: int | None = None) -> Search:
    """A search at its end; `order`: the seed by which the outcomes of each round are shuffled."""
    search = Search(SPACE, rules)
    asked = search.run()
    round_ = next(asked)
    while True:
        outcomes = list(told(round_, failing).items())
        if order is not None:
            random.Random(order).shuffle(outcomes)
        try:
            round_ = asked.send(dict(outcomes))
        except StopIteration:
            return search


@pytest.fixture(scope="module")
def search() -> Search:
    return ended()


def test_started_again_it_asks_for_the_same_cells(search: Search) -> None:
    assert ended().rounds == search.rounds


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_in_which_cells_end_does_not_matter(search: Search, order: int) -> None:
    again = ended(order=order)
    assert again.rounds == search.rounds
    assert again.confirmed == search.confirmed


def test_both_ends_and_a_handful_come_first(search: Search) -> None:
    first = [trial.candidate for trial in search.rounds[0].trials]
    assert first.count(SPACE.full) == 5 and first.count(SPACE.logits) == 2
    assert len(set(first)) == 2 + 8


def test_no_more_cells_than_the_rules_allow(search: Search) -> None:
    assert search.asked <= SMALL.cells
    assert sum(len(each.trials) for each in search.rounds) == search.asked


def test_the_search_never_sees_a_seed_of_the_confirmation(search: Search) -> None:
    seen = {trial.seed for each in search.rounds if not each.confirms for trial in each.trials}
    fresh = {trial.seed for each in search.rounds if each.confirms for trial in each.trials}
    assert fresh == set(range(1000, 1005))
    assert not seen & fresh


def test_rungs_are_confirmed_until_one_is_not_shown(search: Search) -> None:
    shown = [each.shown for each in search.confirmed]
    assert all(shown[:-1])
    assert len(shown) == len(search.ladder) or not shown[-1]


def test_a_cell_that_failed_is_left_out_and_told(search: Search) -> None:
    lost = search.rounds[1].trials[0]
    again = ended(failing=frozenset([lost]))
    assert again.failed == [lost]
    assert again.found[lost] is None
    assert again.rounds[:2] == search.rounds[:2]
    assert again.confirmed


def test_a_rung_with_a_failed_cell_is_not_shown(search: Search) -> None:
    rung = search.ladder[0].candidate
    again = ended(failing=frozenset([Trial(rung, 1000)]))
    assert again.confirmed[0].failed == 1
    assert not again.confirmed[0].shown and not again.confirmed[0].shown_here
    assert len(again.confirmed) == 1


def test_a_failed_cell_of_full_hsk_is_left_out(search: Search) -> None:
    again = ended(failing=frozenset([Trial(SPACE.full, 1000)]))
    assert list(again.scores(SPACE.full, fresh=True)) == [1001, 1002, 1003, 1004]
    assert again.confirmed[0].failed == 0


def test_without_full_hsk_nothing_can_be_compared() -> None:
    failing = frozenset(Trial(SPACE.full, seed) for seed in range(5))
    with pytest.raises(TrainingError, match="full HSK"):
        ended(failing=failing)


def test_within_a_budget_nothing_larger_is_tried() -> None:
    search = ended(replace(SMALL, budget=500.0))
    tried = {trial.candidate for trial in search.found} - {SPACE.full, SPACE.logits}
    assert max(each.bytes for each in tried) <= 500
    (best,) = search.confirmed
    assert best.candidate.bytes <= 500


def test_it_ends_early_where_all_agree_on_the_smallest() -> None:
    flat = dict.fromkeys((*SPACE.candidates, SPACE.full), 0.9) | {SPACE.logits: 0.5}
    search = play(Search(SPACE, replace(SMALL, margin=0.2)), flat, SD, seed=0)
    assert search.asked < SMALL.cells
    assert search.confirmed[-1].candidate == SPACE.candidates[0]


def test_predictions_widen_the_power_by_the_examples_part() -> None:
    dice = np.random.default_rng(0)
    common = dice.normal(0, 0.2, 100)
    common -= common.mean()

    def of(candidate: Candidate, seed: int) -> Outcome:
        own = common * (candidate != SPACE.full) + dice.normal(0, 0.01, 100)
        return Outcome(float((0.8 + own).mean()), 0.8 + own)

    small = Space(SPACE.candidates[:1], SPACE.full, SPACE.logits)
    search = Search(small, SMALL)
    for candidate in (SPACE.full, small.candidates[0]):
        search.found |= {Trial(candidate, seed): of(candidate, seed) for seed in range(5)}
    assert search._of_examples == pytest.approx(np.var(common, ddof=1) / 100, rel=0.1)


ENDS = (Trial(SPACE.full, 0), Trial(SPACE.logits, 0))


def test_dev_examples_choose_nothing_where_training_examples_are_held_out() -> None:
    search = Search(SPACE, SMALL, dict(zip(ENDS, (Outcome(0.9, None, 0.7), Outcome(0.5, None, 0.4)), strict=True)))
    assert list(search._observed().scores) == [0.7, 0.4] and not search.steers_by_dev


def test_one_cell_without_a_held_out_score_and_dev_examples_choose() -> None:
    search = Search(SPACE, SMALL, dict(zip(ENDS, (Outcome(0.9, None, 0.7), Outcome(0.5)), strict=True)))
    assert list(search._observed().scores) == [0.9, 0.5] and search.steers_by_dev


def test_fresh_seeds_steer_nothing() -> None:
    held_out = dict(zip(ENDS, (Outcome(0.9, None, 0.7), Outcome(0.5, None, 0.4)), strict=True))
    search = Search(SPACE, SMALL, {**held_out, Trial(SPACE.full, 1000): Outcome(0.8)})
    assert list(search._observed().scores) == [0.7, 0.4]


def test_what_a_round_is_told_may_hold_more(search: Search) -> None:
    again = Search(SPACE, SMALL)
    asked = again.run()
    first = next(asked)
    extra: Told = {**told(first), Trial(SPACE.candidates[0], 77): Outcome(1.0)}
    assert asked.send(extra) == search.rounds[1]
