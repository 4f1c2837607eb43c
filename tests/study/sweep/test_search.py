"""`study minimum` as a user starts it: what is refused, what is written first, and what a kill does to it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from hskd_lightning.runs.state import State, Status
from hskd_lightning.settings.sweeper import SweeperSettings, read_sweeper
from hskd_lightning.study.__main__ import bytes_of
from hskd_lightning.study.rules import read as read_rules
from hskd_lightning.study.sweep.collect import read
from hskd_lightning.study.sweep.search_rules import as_study, check_whole, chosen, rules_of, write_rules
from tests.forked import Forked, said_by
from tests.helpers import CONF, KILLS, SMALL, TINY, refusal

SWEEPER = yaml.safe_load((CONF / "hydra" / "sweeper" / "study.yaml").read_text())
PATIENCE = 600


def settings(**changed: Any) -> SweeperSettings:
    return read_sweeper({**SWEEPER, "minimum": {**SWEEPER["minimum"], **changed}})


def key(name: str) -> str:
    return f"hydra.sweeper.minimum.{name}"


# What is asked for.


def test_the_rules_as_they_are_shipped_take_a_hundred_cells() -> None:
    rules = rules_of(settings())
    assert rules.cells == 100 == rules.search_cells + rules.reference + 3 * rules.confirming
    assert rules.margin == 0.01 and rules.powers == (0.9, 0.7, 0.45)


@pytest.mark.parametrize(
    ("name", "value", "phrase"),
    [
        ("confirming", 1, "fewer seeds show nothing"),
        ("reference", 2, "fewer seeds show nothing"),
        ("full", 1, "one seed has no spread"),
        ("alpha", 0.7, "between 0 and 0.5"),
        ("powers", [], "shares between 0 and 1"),
        ("powers", [0.5, 0.9], "falling"),
        ("cells", 50, "to confirm"),
        ("confirmation_seed", 40, "the search never sees"),
        ("budget", 0.0, "a number above 0"),
        ("axes", {"depth": {"uniform": [1.0]}}, "a value"),
    ],
)
def test_rules_that_show_nothing_are_refused(name: str, value: object, phrase: str) -> None:
    with refusal(key(name) if name != "axes" else key("axes.length"), phrase):
        rules_of(settings(**{name: value}))


@pytest.mark.parametrize(("name", "value"), [("max_cells", 3), ("only", "FAILED")])
def test_a_part_of_a_search_is_refused(name: str, value: object) -> None:
    with refusal(f"hydra.sweeper.{name}", "a search runs what it needs next"):
        check_whole(read_sweeper({**SWEEPER, name: value}), force=False)


def test_a_search_runs_nothing_again() -> None:
    with refusal("force", "goes on from the cells that are there"):
        check_whole(settings(), force=True)


def test_a_margin_of_nothing_is_refused() -> None:
    with refusal("hydra.sweeper.margin", "a number above 0"):
        read_sweeper({**SWEEPER, "margin": 0.0})


@pytest.mark.parametrize("word", ["depth=skip", "bits=int4", "hsk.amount=0.1", "seed=3", "knowledge=logits"])
def test_what_the_search_chooses_is_left_to_it(word: str) -> None:
    with refusal(word.partition("=")[0], "the search chooses it"):
        chosen([word])


def test_a_search_is_of_one_student() -> None:
    with refusal("student", "one value"):
        chosen(["student=tiny,layer_drop"])


@pytest.mark.parametrize(("budget", "size"), [("300B", 300), ("300", 300), ("1.5kB", 1500), (" 20 B", 20)])
def test_budgets_as_users_write_them(budget: str, size: float) -> None:
    assert bytes_of(budget) == size


@pytest.mark.parametrize("budget", ["0B", "-3", "many", "3MB", ""])
def test_a_budget_that_is_none(budget: str) -> None:
    with refusal("--budget", "above 0"):
        bytes_of(budget)


def test_its_rules_are_a_studys_too(tmp_path: Path) -> None:
    write_rules(tmp_path, as_study(rules_of(settings())))
    found = read_rules(tmp_path)
    assert found is not None and found.margin == 0.01
    assert set(range(100)) | set(range(1000, 1015)) == set(found.seeds)


def test_rules_stay_as_they_were_written(tmp_path: Path) -> None:
    write_rules(tmp_path, {"margin": 0.01, "powers": (0.9, 0.7)})
    write_rules(tmp_path, {"margin": 0.01, "powers": (0.9, 0.7)})
    with refusal("margin", "from before the first cell"):
        write_rules(tmp_path, {"margin": 0.02, "powers": (0.9, 0.7)})


# As a user starts it.


AXES = (
    "hydra.sweeper.minimum.axes.depth.uniform=[1,1.0]",
    "hydra.sweeper.minimum.axes.length={attention_no_sep: [], cls_first: [1, 0.3, 1.0]}",
    "hydra.sweeper.minimum.axes.width.pca=[0.25,1.0]",
    "hydra.sweeper.minimum.axes.bits={residual: [], planes: [8, 32], int8: [], fp16: null}",
)
FEW = {"cells": 28, "full": 2, "logits": 1, "first": 4, "batch": 3, "confirming": 3, "reference": 3}
RULES = [f"hydra.sweeper.minimum.{name}={value}" for name, value in FEW.items()]


def command(root: Path, *words: str, margin: Sequence[str] = ("--margin", "0.05")) -> list[str]:
    study = [sys.executable, "-m", "hskd_lightning.study", "minimum", *margin]
    return [*study, *SMALL, *TINY, *AXES, *RULES, f"paths.root={root}", *words]


def answer(root: Path) -> dict[str, Any]:
    """answer.json without what differs between two runs of one search."""
    (path,) = root.glob("studies/minimum-*/answer.json")
    found: dict[str, Any] = json.loads(path.read_text())
    del found["cost"]["hours"], found["seal"]  # the seal has the hours in it
    return found


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("unbroken")
    return root, said_by(command(root))


@pytest.mark.slow
def test_the_sweepers_own_margin_is_kept(tmp_path: Path) -> None:
    assert "margin 0.07" in said_by(command(tmp_path, "hydra.sweeper.margin=0.07", "--dry", margin=()))


@pytest.mark.slow
def test_it_plans_searches_and_answers_in_a_sentence(unbroken: tuple[Path, str]) -> None:
    root, said = unbroken
    assert "space: 24 settings" in said and "to run: at most 28 cells" in said
    assert "search 1:" in said and "confirm 1 of" in said
    found = answer(root)
    assert found["sentence"] in said
    assert len(found["ladder"][0]["scores"]) == 3
    (folder,) = root.glob("studies/minimum-*")
    assert json.loads((folder / "study.json").read_text())["margin"] == 0.05
    assert found["sentence"][:20] in (folder / "report.html").read_text()
    assert (folder / "figures" / "minimum.png").stat().st_size > 5000


@pytest.mark.slow
def test_its_table_keeps_search_and_confirmation_apart(unbroken: tuple[Path, str]) -> None:
    (path,) = unbroken[0].glob("studies/minimum-*/results.csv")
    found = read(path)
    assert set(found.seed[found.figure == "minimum"]) == {1000, 1001, 1002}
    assert set(found.confirmed[found.figure == "minimum"]) <= {"shown", "not shown", "reference"}
    assert found.confirmed[found.figure == "search"].isna().all()
    assert len(list(unbroken[0].glob("artifacts/teacher/*/manifest.json"))) == 1
    assert len(list(unbroken[0].glob("artifacts/store/*/manifest.json"))) <= 3


@pytest.mark.slow
def test_a_plan_runs_nothing(tmp_path: Path) -> None:
    assert "to run: at most 28 cells" in said_by(command(tmp_path, "--dry"))
    assert not list(tmp_path.glob("runs/*")) and not list(tmp_path.glob("studies/*"))


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_answer(unbroken: tuple[Path, str], tmp_path: Path) -> None:
    draw = random.Random()
    for _ in range(KILLS):
        words = command(tmp_path)
        process = Forked(words, alone=True)
        until = len(list(tmp_path.glob("runs/*/result.json"))) + draw.randint(1, 4)
        deadline = time.monotonic() + PATIENCE
        while len(list(tmp_path.glob("runs/*/result.json"))) < until and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.4))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(PATIENCE)
    said_by(command(tmp_path))
    assert answer(tmp_path) == answer(unbroken[0])
    assert len(list(tmp_path.glob("runs/*/result.json"))) == answer(tmp_path)["cost"]["cells"]


@pytest.mark.slow
def test_a_finished_search_runs_nothing_again(unbroken: tuple[Path, str]) -> None:
    root, _ = unbroken
    before = {path: path.stat().st_mtime_ns for path in root.glob("runs/*/result.json")}
    said_by(command(root))
    assert {path: path.stat().st_mtime_ns for path in root.glob("runs/*/result.json")} == before


@pytest.mark.slow
def test_where_every_cell_fails_it_stops_and_says_how_to_go_on(tmp_path: Path) -> None:
    failing = ("stage.hidden.lr=1e38", "stage.hidden.clip=null", "stage.hidden.warmup=0.0", "stage.prediction.lr=1e38")
    said = said_by(command(tmp_path, *failing, "stage.prediction.clip=null", "stage.prediction.warmup=0.0"), code=1)
    assert "every cell failed" in said and "the same command goes on" in said


@pytest.mark.slow
def test_one_failed_cell_is_told_and_left_out(unbroken: tuple[Path, str], tmp_path: Path) -> None:
    root = shutil.copytree(unbroken[0], tmp_path / "root")
    (table,) = root.glob("studies/minimum-*/results.csv")
    found = read(table)
    name = found.cell_id[(found.figure == "search") & found.hsk_amount.isna() & (found.bits == "planes")].iloc[0]
    (root / "runs" / name / "result.json").unlink()
    Status(name, State.FAILED, 1).write(root / "runs" / name / "status.json")
    shutil.rmtree(table.parent)
    said = said_by(command(root))
    assert f"cell {name} failed, and is left out" in said
    assert answer(root)["sentence"] in said
    assert name not in set(read(next(root.glob("studies/minimum-*/results.csv"))).cell_id)
