"""From blocks and overrides to cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.runs.state import State, Status
from hskd_lightning.settings.sweeper import SweeperSettings, read_sweeper
from hskd_lightning.study.sweep.collect import quirk
from hskd_lightning.study.sweep.compose import as_multirun
from hskd_lightning.study.sweep.expand import expand, make_plan, parse, written
from hskd_lightning.study.sweep.plan import Plan
from hskd_lightning.study.sweep.run import wanted
from tests.helpers import CONF, ROOT
from tests.runs.example import a_result

SWEEPER = yaml.safe_load((CONF / "hydra" / "sweeper" / "study.yaml").read_text())


def settings(**changed: Any) -> SweeperSettings:
    return read_sweeper({**SWEEPER, "seeds": [0, 1], "amounts": [0, 0.1, 1], **changed})


@pytest.fixture
def planned(small: Callable[..., DictConfig]) -> Callable[..., Plan]:
    """Plan a sweep of the small run."""

    def made(arguments: Sequence[str], **changed: Any) -> Plan:
        def compose(overrides: Sequence[str]) -> Mapping[str, Any]:
            return plain(small(*overrides))

        return make_plan(settings(**changed), arguments, compose)

    return made


# Overrides.


def test_one_value_and_several() -> None:
    assert parse(["depth=skip", "seed=0,1"]) == {"depth": ["depth=skip"], "seed": ["seed=0", "seed=1"]}


def test_a_range_is_written_out() -> None:
    assert parse(["length.keep=range(1,4)"]) == {"length.keep": ["length.keep=1", "length.keep=2", "length.keep=3"]}


def test_a_list_is_one_value() -> None:
    assert parse(["depth.pairs=[[1,2],[2,4]]"]) == {"depth.pairs": ["depth.pairs=[[1,2],[2,4]]"]}


def test_an_interval_is_not_values() -> None:
    with pytest.raises(ConfigError, match=r"`hsk.amount`(.|\n)*values written out"):
        parse(["hsk.amount=interval(0,1)"])


@pytest.mark.parametrize(
    ("value", "spelled"),
    [(None, "null"), (True, "true"), (0.5, "0.5"), (3, "3"), ("skip", "skip"), ([[1, 2]], "[[1, 2]]")],
)
def test_values_are_spelled_as_hydra_does(value: object, spelled: str) -> None:
    assert written("key", value) == f"key={spelled}"


# Blocks.


def test_lists_are_crossed_single_values_go_along() -> None:
    cells = expand([{"depth": "skip", "length.keep": [1, 2], "width.keep": [8, 9]}], {})
    assert cells == [
        ("depth=skip", "length.keep=1", "width.keep=8"),
        ("depth=skip", "length.keep=1", "width.keep=9"),
        ("depth=skip", "length.keep=2", "width.keep=8"),
        ("depth=skip", "length.keep=2", "width.keep=9"),
    ]


def test_zipped_axes_walk_in_step() -> None:
    cells = expand([{"a": [1, 2], "zip": {"b": [3, 4], "c": [5, 6]}}], {})
    assert cells == [
        ("a=1", "b=3", "c=5"),
        ("a=1", "b=4", "c=6"),
        ("a=2", "b=3", "c=5"),
        ("a=2", "b=4", "c=6"),
    ]


def test_zipped_axes_of_different_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"lists of one length"):
        expand([{"zip": {"b": [3, 4], "c": [5]}}], {})


def test_the_seed_is_not_an_axis_of_a_block() -> None:
    assert expand([{"a": 1}], {"seed": ["seed=7"]}) == [("a=1",)]


def test_what_the_user_gives_goes_to_every_block() -> None:
    assert expand([{"a": 1}, {"b": 2}], {"data": ["data=cola"]}) == [("data=cola", "a=1"), ("data=cola", "b=2")]


def test_the_users_values_replace_a_list_and_leave_other_blocks_alone() -> None:
    cells = expand([{"a": [1, 2]}, {"baseline": True}], {"a": ["a=5", "a=6"]})
    assert cells == [("a=5",), ("a=6",), ("baseline=true",)]


def test_the_users_value_yields_to_what_a_block_is_about() -> None:
    cells = expand([{"a": [1, 2]}, {"knowledge": "logits"}], {"knowledge": ["knowledge=online"]})
    assert cells == [("knowledge=online", "a=1"), ("knowledge=online", "a=2"), ("knowledge=logits",)]


# Plans.


def overrides(plan: Plan) -> list[str]:
    return [" ".join(cell.overrides) for cell in plan.cells]


def test_without_an_axis_the_amount_runs_from_logits_to_all(planned: Callable[..., Plan]) -> None:
    plan = planned(["depth=uniform", "length=cls_first"])
    chosen = "depth=uniform length=cls_first"
    assert overrides(plan) == [
        f"{setting} seed={seed}"
        for seed in (0, 1)
        for setting in (f"{chosen} knowledge=logits", f"{chosen} hsk.amount=0.1", "experiment=full_hsk")
    ]
    assert {cell.figure for cell in plan.cells} == {"curve"}


def test_full_hsk_is_full_whatever_part_the_others_keep(planned: Callable[..., Plan]) -> None:
    words = ["length=cls_first", "length.keep=2", "hsk.amount=0.1", "bits=int8", "student=tiny"]
    plan = planned(words, plans={"depth": [{"depth.keep": [1, 2]}, {"experiment": "full_hsk"}]}, seeds=[0])
    full = plan.cells[-1]
    assert full.overrides == ("bits=int8", "student=tiny", "experiment=full_hsk", "seed=0")
    assert {full.config[axis]["name"] for axis in ("depth", "length", "width")} == {"all"}


def test_a_quick_look_is_quick_with_a_recipe_too() -> None:
    with as_multirun(str(ROOT / "sweeps"), "train", ["recipe=sst2", "debug=fast"]) as (config, _):
        assert (config.data.source.task, config.data.limit, config.teacher.training.epochs) == ("sst2", 200, 0.5)


def test_an_axis_of_the_users_own_is_swept_alone(planned: Callable[..., Plan]) -> None:
    assert overrides(planned(["length.keep=1,2"])) == ["length.keep=1", "length.keep=2"]


def test_all_settings_of_a_seed_come_before_the_next_seed(planned: Callable[..., Plan]) -> None:
    plan = planned([], plans={"curve": [{"length.keep": [1, 2]}, {"knowledge": "logits"}]})
    assert overrides(plan) == [
        f"{setting} seed={seed}"
        for seed in (0, 1)
        for setting in ("length.keep=1", "length.keep=2", "knowledge=logits")
    ]


def test_the_users_seeds_replace_the_plans(planned: Callable[..., Plan]) -> None:
    plan = planned(["seed=7"], plans={"curve": [{"length.keep": [1, 2]}]})
    assert overrides(plan) == ["length.keep=1 seed=7", "length.keep=2 seed=7"]


@pytest.mark.parametrize(("figure", "seeds"), [("marginal_utility", 5), ("paths", 5), ("bits", 5), ("depth", 2)])
def test_plans_that_say_how_little_is_enough_have_more_seeds(
    planned: Callable[..., Plan], figure: str, seeds: int
) -> None:
    assert len(planned([], plans={figure: [{"length.keep": 1}]}).cells) == seeds


def test_the_users_seeds_replace_those_of_a_curve(planned: Callable[..., Plan]) -> None:
    plan = planned(["seed=7"], plans={"bits": [{"length.keep": 1}], "depth": [{"length.keep": 1}]})
    assert [cell.figure for cell in plan.cells] == ["bits", "depth"]
    assert len(plan.to_run) == 1


def test_a_planned_cell_is_the_one_that_runs(planned: Callable[..., Plan], small: Callable[..., DictConfig]) -> None:
    """The seed is put into a composed configuration; composing with it gives the same cell."""
    for cell in planned(["length=random", "length.keep=1,2", "seed=0,3"]).cells:
        assert Experiment.resolve(plain(small(*cell.overrides))).cell_id == cell.id


def test_seeds_alone_are_no_axis(planned: Callable[..., Plan]) -> None:
    assert len(planned(["seed=3,4,5"]).cells) == 9


def test_the_same_cell_twice_runs_once(planned: Callable[..., Plan]) -> None:
    plan = planned(["length.keep=1,1,2"])
    assert (len(plan.to_run), plan.repeated) == (2, 1)


def test_amounts_that_change_nothing_are_one_cell(planned: Callable[..., Plan]) -> None:
    plan = planned(["depth.keep=1", "length.keep=2", "width.keep=3"], seeds=[0], amounts=[0, 0.1, 0.3])
    assert [cell.config["knowledge"]["name"] for cell in plan.to_run] == ["logits", "offline"]
    assert plan.repeated == 1


def test_a_cell_of_two_figures_is_in_both_and_runs_once(planned: Callable[..., Plan]) -> None:
    blocks = [{"knowledge": "logits"}]
    plan = planned([], plans={"depth": [*blocks, {"depth.keep": [1, 2]}], "length": blocks}, seeds=[0])
    assert [cell.figure for cell in plan.cells] == ["depth", "depth", "depth", "length"]
    assert len(plan.to_run) == 3


def test_what_makes_no_sense_is_left_out_with_the_reason(planned: Callable[..., Plan]) -> None:
    plan = planned([], plans={"depth": [{"depth.keep": [1, 9]}]}, seeds=[0])
    assert len(plan.to_run) == 1
    (skipped,) = plan.skipped
    assert skipped.state == "SKIPPED" and skipped.reason is not None and "up to 3" in skipped.reason


def test_a_plan_is_named_by_its_cells(planned: Callable[..., Plan]) -> None:
    one, same, other = (planned([f"length.keep={keeps}"]).name for keeps in ("1,2", "2,1", "1,3"))
    assert one == same != other


def test_a_cell_is_told_by_what_sets_it_apart(planned: Callable[..., Plan]) -> None:
    plan = planned(["depth=uniform", "length.keep=1,2"])
    assert [plan.distinguishing(cell) for cell in plan.cells] == ["length.keep=1", "length.keep=2"]


def test_states_are_read_off_the_disk(planned: Callable[..., Plan], tmp_path: Path) -> None:
    plan = planned(["length.keep=1,2,3,4"])
    for cell, state in zip(plan.to_run, (State.DONE, State.FAILED, State.RUNNING), strict=False):
        cell.folder.mkdir(parents=True)
        Status(str(cell.id), state, attempt=1).write(cell.folder / "status.json")
    a_result(cell_id=plan.to_run[0].id).write(plan.to_run[0].folder / "result.json", {})
    assert [cell.state for cell in plan.to_run] == ["DONE", "FAILED", "INTERRUPTED", "MISSING"]
    assert [cell.state for cell in wanted(plan, settings(), force=False)] == ["FAILED", "INTERRUPTED", "MISSING"]
    assert [cell.state for cell in wanted(plan, settings(only="FAILED"), force=False)] == ["FAILED"]
    assert [cell.state for cell in wanted(plan, settings(only="interrupted"), force=False)] == ["INTERRUPTED"]
    assert len(wanted(plan, settings(), force=True)) == 4


def test_a_finished_cell_that_is_to_be_exported_is_asked_again(planned: Callable[..., Plan]) -> None:
    plan = planned(["length.keep=1,2", "export=true"])
    for cell in plan.to_run:
        cell.folder.mkdir(parents=True)
        a_result(cell_id=cell.id).write(cell.folder / "result.json", {})
    plan.to_run[0].files.export.mkdir()
    assert wanted(plan, settings(), force=False) == [plan.to_run[1]]


def test_a_state_that_there_is_none_of_is_refused(planned: Callable[..., Plan]) -> None:
    with pytest.raises(ConfigError, match="(?s)`hydra.sweeper.only` = 'STARTED'.*MISSING, RUNNING, INTERRUPTED"):
        wanted(planned(["length.keep=1"]), settings(only="STARTED"), force=False)


def test_a_quirk_is_the_one_switch_of_its_figure(planned: Callable[..., Plan]) -> None:
    blocks = [{"preset.padding": ["ignore", "distill"]}]
    plan = planned([], plans={"quirks": [{}, *blocks], "width": blocks}, seeds=[0])
    assert [(cell.figure, quirk(cell)) for cell in plan.cells] == [
        ("quirks", None),
        ("quirks", "padding"),
        ("width", None),
        ("width", None),
    ]
