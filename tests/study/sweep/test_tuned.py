"""The same grid for each arm, and what the selection split makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.runs.result import Result
from hskd_lightning.settings.sweeper import read_sweeper
from hskd_lightning.study.sweep import tuned
from hskd_lightning.study.sweep.expand import make_plan
from hskd_lightning.study.sweep.plan import Plan, PlannedCell
from tests.helpers import CONF, refusal
from tests.runs.example import a_result

SWEEPER = yaml.safe_load((CONF / "hydra" / "sweeper" / "study.yaml").read_text())
HIDDEN, PREDICTION = [0.001, 0.003, 0.01], [0.1, 0.2]
BLOCKS = [
    {"hsk.amount": 0.1, "student.lr.hidden": HIDDEN, "student.lr.prediction": PREDICTION},
    {"knowledge": "logits", "student.lr.prediction": PREDICTION},
]
Planned = Callable[..., Plan]


@pytest.fixture
def planned(small: Callable[..., DictConfig]) -> Planned:
    """Two arms of the small run: six settings, and two."""

    def made(*arguments: str, seeds: Sequence[int] = (0, 1)) -> Plan:
        def compose(overrides: Sequence[str]) -> Mapping[str, Any]:
            return plain(small(*overrides))

        settings = read_sweeper({**SWEEPER, "seeds": list(seeds), "plans": {"tune": BLOCKS}})
        return make_plan(settings, arguments, compose)

    return made


def scored(score: Callable[[float, float, int], float | None]) -> Callable[[PlannedCell], Result | None]:
    """What cells would have ended with, by both learning rates and the seed; None: they have not."""

    def result_of(cell: PlannedCell) -> Result | None:
        assert cell.settings is not None
        rates, seed = cell.settings.student.lr, cell.settings.seed
        found = score(rates.hidden, rates.prediction, seed)
        return None if found is None else a_result(seed=seed, selection_score=found, score=1 - found)

    return result_of


def middle(hidden: float, prediction: float, seed: int) -> float:
    """Best at 0.003 and 0.2."""
    return (0.5 if hidden == 0.003 else 0.4) + prediction / 10 + seed / 100


def test_each_arm_has_the_same_grid_as_far_as_it_has_the_stages(planned: Planned) -> None:
    both, logits = tuned.arms(planned(), scored(middle))
    assert (both.overrides, logits.overrides) == (("hsk.amount=0.1",), ("knowledge=logits",))
    assert [tried.rates for tried in both.grid] == [
        (f"student.lr.hidden={hidden}", f"student.lr.prediction={prediction}")
        for hidden in HIDDEN
        for prediction in PREDICTION
    ]
    assert [tried.rates for tried in logits.grid] == [(f"student.lr.prediction={each}",) for each in PREDICTION]


def test_what_the_user_gives_to_all_tells_no_arm(planned: Planned) -> None:
    both, _ = tuned.arms(planned("depth=uniform"), scored(middle))
    assert both.overrides == ("hsk.amount=0.1",)


def test_the_winner_has_the_highest_mean_over_seeds_on_the_selection_split(planned: Planned) -> None:
    """A single seed that is better elsewhere does not win, and neither does dev, which here is the other way round."""

    def lucky(hidden: float, prediction: float, seed: int) -> float:
        return 0.56 if (hidden, seed) == (0.01, 0) else middle(hidden, prediction, seed)

    both, _ = tuned.arms(planned(), scored(lucky))
    assert both.winner is not None
    assert both.winner.rates == ("student.lr.hidden=0.003", "student.lr.prediction=0.2")
    assert both.winner.mean == pytest.approx(0.525)  # 0.52 and 0.53
    assert both.line == "hsk.amount=0.1 student.lr.hidden=0.003 student.lr.prediction=0.2"


def test_of_equals_the_first_wins(planned: Planned) -> None:
    both, _ = tuned.arms(planned(), scored(lambda hidden, prediction, seed: 0.5))
    assert both.winner is both.grid[0]


def test_there_is_no_winner_while_a_cell_is_missing(planned: Planned) -> None:
    def unfinished(hidden: float, prediction: float, seed: int) -> float | None:
        return None if (hidden, seed) == (0.001, 1) else middle(hidden, prediction, seed)

    arms = tuned.arms(planned(), scored(unfinished))
    assert [arm.winner is None for arm in arms] == [True, False]
    assert arms[0].edges == ()


def test_a_winner_at_the_edge_of_its_grid_is_said(planned: Planned) -> None:
    both, logits = tuned.arms(planned(), scored(middle))
    assert both.edges == logits.edges == ("student.lr.prediction=0.2",)  # of 0.1 and 0.2; 0.003 lies in the middle


def test_a_rate_that_alone_was_tried_has_no_edge(planned: Planned) -> None:
    both, _ = tuned.arms(planned("student.lr.prediction=0.1"), scored(middle))
    assert both.edges == ()


def test_the_whole_grid_and_the_winners_are_written_and_said(
    planned: Planned, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    written = tuned.finish(tuned.arms(planned(), scored(middle)), tmp_path / "study")
    assert [path.name for path in written] == ["tuned.json", "tuned.csv"]
    both, logits = json.loads(written[0].read_text())["arms"]
    assert both["winner"] == ["student.lr.hidden=0.003", "student.lr.prediction=0.2"]
    assert logits["overrides"] == "knowledge=logits student.lr.prediction=0.2"
    assert len(both["grid"]) == 6 and both["grid"][0]["selection_scores"] == pytest.approx({"0": 0.41, "1": 0.42})
    table = pd.read_csv(written[1])
    assert len(table) == 8 and table["winner"].sum() == 2 and table["student.lr.hidden"].isna().sum() == 2
    assert "knowledge=logits student.lr.prediction=0.2" in caplog.messages
    assert "student.lr.prediction=0.2 is the last that was tried on its side: widen the grid there" in caplog.messages


def test_an_arm_without_a_winner_is_said(planned: Planned, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (path, _) = tuned.finish(tuned.arms(planned(), scored(lambda *_: None)), tmp_path)
    assert "hsk.amount=0.1: 6 of 6 settings have no score yet: no winner" in caplog.messages
    assert json.loads(path.read_text())["arms"][0]["winner"] is None


@pytest.mark.parametrize(
    ("override", "key", "words"),
    [
        ("data.selection=0", "data.selection", "they are chosen on what is held out of train"),
        ("preset.select_on=dev", "stage.prediction.select_on", "what dev has chosen, dev cannot judge"),
    ],
)
def test_a_grid_that_nothing_could_be_chosen_from_is_refused(
    planned: Planned, override: str, key: str, words: str
) -> None:
    assert len(planned().cells) == 16
    with refusal(key, words):
        planned(override)
