"""Each arm at the rates that were tuned for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.integrity import read_json, write_json
from hskd_lightning.settings.sweeper import read_sweeper
from hskd_lightning.settled import cell_id
from hskd_lightning.study.sweep import tuned
from hskd_lightning.study.sweep.expand import make_plan
from hskd_lightning.study.sweep.plan import Plan
from hskd_lightning.study.sweep.rates import Rates
from hskd_lightning.study.sweep.search import Rounds
from tests.helpers import CONF, refusal

SWEEPER = yaml.safe_load((CONF / "hydra" / "sweeper" / "study.yaml").read_text())
ARMS = [
    {"arm": ["experiment=full_hsk"], "student": "tiny", "taught": "everything"},
    {"arm": ["hsk.amount=0.1"], "student": "tiny", "taught": "a part"},
    {"arm": ["knowledge=logits"], "student": "tiny", "taught": "logits"},
]
WINNERS = [
    ["student.lr.hidden=0.1", "student.lr.prediction=0.01"],
    ["student.lr.hidden=0.2", "student.lr.prediction=0.02"],
    ["student.lr.prediction=0.03"],
]
BLOCKS = [{"experiment": "full_hsk"}, {"hsk.amount": [0.1, 0.3]}, {"knowledge": "logits"}]
Planned = Callable[..., Plan]


def the_tuned(folder: Path, **changed: Any) -> Path:
    """A tuned.json of the small run, all of it or with other parts."""
    arms = [{**arm, "winner": winner} for arm, winner in zip(ARMS, WINNERS, strict=True)]
    path = folder / "tuned.json"
    write_json(path, {"task": "polarity", "teacher": "tiny", "arms": arms} | changed)
    return path


@pytest.fixture
def planned(small: Callable[..., DictConfig]) -> Planned:
    def made(path: Path, *arguments: str, blocks: Sequence[Mapping[str, Any]] = BLOCKS) -> Plan:
        def compose(overrides: Sequence[str]) -> Mapping[str, Any]:
            return plain(small(*overrides))

        settings = {**SWEEPER, "seeds": [0], "tuned": str(path), "plans": {"depth": list(blocks)}}
        return make_plan(read_sweeper(settings), arguments, compose)

    return made


def rates(plan: Plan) -> list[tuple[float, float]]:
    lrs = [cell.settings.student.lr for cell in plan.cells if cell.settings is not None]
    return [(lr.hidden, lr.prediction) for lr in lrs]


def test_each_arm_trains_at_its_own_and_every_part_of_the_knowledge_alike(planned: Planned, tmp_path: Path) -> None:
    full, tenth, third, logits = rates(planned(the_tuned(tmp_path)))
    assert (full, tenth, third, logits[1]) == ((0.1, 0.01), (0.2, 0.02), (0.2, 0.02), 0.03)


def test_a_cell_can_be_run_by_its_overrides_alone(planned: Planned, tmp_path: Path) -> None:
    assert planned(the_tuned(tmp_path)).cells[0].overrides == ("experiment=full_hsk", *WINNERS[0], "seed=0")


def test_a_rate_that_the_user_says_stays(planned: Planned, tmp_path: Path) -> None:
    assert rates(planned(the_tuned(tmp_path), "student.lr.hidden=0.5"))[:2] == [(0.5, 0.01), (0.5, 0.02)]


def test_a_rate_that_the_plan_says_stays(planned: Planned, tmp_path: Path) -> None:
    said = [{"hsk.amount": 0.1, "student.lr.prediction": 0.7}]
    assert rates(planned(the_tuned(tmp_path), blocks=said)) == [(0.2, 0.7)]


def test_what_tuning_wrote_is_what_a_study_reads(
    planned: Planned, tmp_path: Path, small: Callable[..., DictConfig]
) -> None:
    of = planned(the_tuned(tmp_path)).cells
    grid = [tuned.Tried(tuple(winner), {0: 0.5}, ("x",)) for winner in WINNERS]
    arms = [
        tuned.Arm(("an arm",), cell.settings, (tried,))  # type: ignore[arg-type]
        for cell, tried in zip((of[0], of[1], of[3]), grid, strict=True)
    ]
    path, _ = tuned.finish(arms, tmp_path / "again")
    assert read_json(path, "", "")["task"] == "polarity"
    assert rates(planned(path)) == rates(planned(the_tuned(tmp_path)))


def test_a_search_trains_each_arm_at_its_own(small: Callable[..., DictConfig], tmp_path: Path) -> None:
    def compose(overrides: Sequence[str]) -> Mapping[str, Any]:
        return plain(small(*overrides))

    corners = [("experiment=full_hsk",), ("knowledge=logits",)]
    config, launcher = small(), None
    rounds = Rounds(config, launcher, compose, (), corners, None, Rates.read(the_tuned(tmp_path)))  # type: ignore[arg-type]
    said = [(*corners[0], *WINNERS[0]), (*corners[1], *WINNERS[2])]
    assert list(rounds.families.values()) == [cell_id(compose(each)) for each in said]


def test_an_arm_that_was_not_tuned_is_refused(planned: Planned, tmp_path: Path) -> None:
    path = the_tuned(tmp_path, arms=[{**ARMS[0], "winner": WINNERS[0]}])
    with refusal("hydra.sweeper.tuned", "has: tiny on everything"):
        planned(path)


@pytest.mark.parametrize(("key", "named"), [("task", "data"), ("teacher", "teacher")])
def test_rates_of_another_task_or_teacher_are_refused(planned: Planned, tmp_path: Path, key: str, named: str) -> None:
    with refusal(named, "another, which"):
        planned(the_tuned(tmp_path, **{key: "another"}))


def test_a_grid_that_is_not_finished_is_refused(planned: Planned, tmp_path: Path) -> None:
    path = the_tuned(tmp_path, arms=[{**ARMS[0], "winner": None}])
    with refusal("hydra.sweeper.tuned", "a grid that is finished"):
        planned(path)


def test_a_file_that_is_not_there_is_refused(planned: Planned, tmp_path: Path) -> None:
    with refusal("hydra.sweeper.tuned", "the tuned.json of `study tune`"):
        planned(tmp_path / "tuned.json")
