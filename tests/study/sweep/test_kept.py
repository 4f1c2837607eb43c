"""A plan that was kept is read back as it was made, and made again where anything changed that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hskd_lightning.integrity import read_json, write_json
from hskd_lightning.study.sweep import kept
from hskd_lightning.study.sweep.compose import as_multirun
from hskd_lightning.study.sweep.plan import Plan
from tests.helpers import SMALL, TINY

Planned = Callable[..., Plan]
SWEEP = ("length=cls_first", "length.keep=1,2,0", "seed=0,1")


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    def made(*overrides: str, name: str = "train") -> Plan:
        small = () if any(override.startswith("teacher=") for override in overrides) else (*SMALL, *TINY)
        words = [*small, *overrides, f"paths.root={tmp_path}"]
        with as_multirun(str(tmp_path), name, words) as (config, loader):
            return kept.planned(config, loader, words)

    return made


@pytest.fixture
def file(tmp_path: Path) -> Callable[[], Path]:
    def only() -> Path:
        (path,) = (tmp_path / "artifacts/plans").iterdir()
        return path

    return only


def age(path: Path) -> int:
    return path.stat().st_mtime_ns


def test_it_is_read_back_as_it_was_made(planned: Planned, file: Callable[[], Path]) -> None:
    first = planned(*SWEEP)
    before = age(file())
    again = planned(*SWEEP)
    assert age(file()) == before
    assert [(cell.id, cell.overrides, cell.reason) for cell in again.cells] == [
        (cell.id, cell.overrides, cell.reason) for cell in first.cells
    ]
    assert again.own_axes and len(again.to_run) == 4 and len(again.skipped) == 1 and again.repeated == first.repeated
    assert [cell.folder for cell in again.to_run] == [cell.folder for cell in first.to_run]


def test_the_kept_plan_is_believed(planned: Planned, file: Callable[[], Path]) -> None:
    """Which shows that it is what is read."""
    planned(*SWEEP)
    written = read_json(file(), "plan", "")
    write_json(file(), {**written, "repeated": 77})
    assert planned(*SWEEP).repeated == 77


def test_a_damaged_one_is_made_again(planned: Planned, file: Callable[[], Path]) -> None:
    planned(*SWEEP)
    file().write_text(file().read_text().replace('"repeated": 1', '"repeated": 77'))
    assert planned(*SWEEP).repeated != 77


def test_other_arguments_are_another_plan(planned: Planned, tmp_path: Path) -> None:
    assert planned(*SWEEP).name != planned(*SWEEP, "depth=skip").name
    assert len(list((tmp_path / "artifacts/plans").iterdir())) == 2


def text_data(folder: Path, last: str) -> tuple[str, ...]:
    rows = [f"a{number % 7} b{number % 5},{'good' if number % 2 else 'bad'}" for number in range(40)]
    (folder / "train.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (folder / "dev.csv").write_text("\n".join(["text,label", "x y,good", f"{last},bad"]) + "\n")
    files = (f"data.train={folder}/train.csv", f"data.dev={folder}/dev.csv")
    return ("data=text", *files, "data.text=text", "data.label=label", "length=cls_first", "length.keep=1,2")


def test_data_that_change_make_other_cells(tmp_path: Path) -> None:
    def plan(words: tuple[str, ...]) -> Plan:
        place = [*words, f"paths.root={tmp_path}"]
        with as_multirun(None, "train", place) as (config, loader):
            return kept.planned(config, loader, place)

    first = plan(text_data(tmp_path, "p q"))
    second = plan(text_data(tmp_path, "p r"))
    assert {cell.id for cell in first.to_run}.isdisjoint(cell.id for cell in second.to_run)
    assert plan(text_data(tmp_path, "p q")).name == first.name


def test_a_configuration_file_that_changes_makes_another_plan(planned: Planned, tmp_path: Path) -> None:
    for amount in (0.25, 0.5):
        sweeper = f"hydra:\n  sweeper:\n    plans:\n      mine:\n        - hsk.amount: {amount}\n    seeds: [0]\n"
        (tmp_path / "mine.yaml").write_text(f"defaults: [train, _self_]\n{sweeper}")
        (cell,) = planned(name="mine").to_run
        assert cell.config["hsk"]["amount"] == amount


def test_a_variable_that_a_file_reads_makes_another_plan(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    (cell,) = planned("seed=0", "length.keep='${oc.env:KEPT_TOKENS,1}'", "hydra.sweeper.amounts=[0.1]").cells
    before = cell.config["length"]["keep"]
    monkeypatch.setenv("KEPT_TOKENS", "5")
    (cell,) = planned("seed=0", "length.keep='${oc.env:KEPT_TOKENS,1}'", "hydra.sweeper.amounts=[0.1]").cells
    assert cell.config["length"]["keep"] != before


def test_a_plan_that_hangs_on_a_hub_out_of_reach_is_not_kept(planned: Planned, tmp_path: Path) -> None:
    planned("teacher=bert_base", "student=layer_drop", "seed=0,1")
    planned("student=tinybert4", "seed=0,1")
    assert not (tmp_path / "artifacts/plans").exists()
