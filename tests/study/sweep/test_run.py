"""Sweeps as a user starts them: killed, failing, by every launcher, and the commands that look after them."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from hskd_lightning.study.__main__ import main
from hskd_lightning.study.rules import read as read_rules
from hskd_lightning.study.seals import parse
from hskd_lightning.study.sweep.collect import TIMES, read
from tests.forked import Forked, said_by
from tests.helpers import KILLS, ROOT, SMALL, TINY, command_line

pytestmark = pytest.mark.slow
Program = Callable[..., subprocess.CompletedProcess[str]]
PATIENCE = 240
USERS_LINE = (*SMALL, *TINY, "depth=uniform", "length=cls_first", "width=pca")
TWENTY_THREE = [
    {"length": "cls_first", "length.keep": [1, 2, 3, 4, 5], "width.keep": [1, 2, 3, 4]},
    {"length": "cls_first", "length.keep": 6, "width.keep": [1, 2, 3]},
]
GOOD = {"length": "cls_first", "length.keep": 6, "width.keep": 4}
BAD = {**GOOD, "stage.hidden.lr": 1e38, "stage.hidden.clip": None, "stage.hidden.warmup": 0.0}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of plans: 24 cells, and 24 of which one cannot end well."""
    folder = tmp_path_factory.mktemp("plans")
    for name, last in (("good", GOOD), ("bad", BAD)):
        sweeper = {"plans": {"curve": [*TWENTY_THREE, last]}, "seeds": [0]}
        plan = {"defaults": ["train", "_self_"], "hydra": {"sweeper": sweeper}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(plan))
    return folder


def arguments(plans: Path, name: str) -> list[str]:
    return ["--config-dir", str(plans), "--config-name", name, "-m", *SMALL, *TINY]


def table(root: Path) -> pd.DataFrame:
    """results.csv without what differs between two runs of one cell."""
    (path,) = root.glob("studies/*/results.csv")
    found = read(path)
    return found.drop(columns=[*TIMES, "git_sha"])


def results(root: Path) -> list[Path]:
    return list(root.glob("runs/*/result.json"))


# The user's own line.


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """`python train.py depth=uniform length=cls_first width=pca -m`, small, and what it said."""
    root = tmp_path_factory.mktemp("line")
    command = command_line(root, *USERS_LINE, "hydra.sweeper.amounts=[0,0.1,1]", "seed=0,1")
    return root, said_by([*command, "-m"])


def test_the_users_line_runs_from_logits_to_all_knowledge(line: tuple[Path, str]) -> None:
    found = table(line[0])
    assert sorted(zip(found.knowledge, found.hsk_amount.fillna(1.0), found.seed, strict=True)) == [
        ("logits", 0.1, 0),
        ("logits", 0.1, 1),
        ("offline", 0.1, 0),
        ("offline", 0.1, 1),
        ("offline", 1.0, 0),
        ("offline", 1.0, 1),
    ]
    full = found[found.hsk_amount.isna()]
    assert full.knowledge_fraction.tolist() == pytest.approx([1, 1])
    assert full[["depth", "length", "width"]].eq("all").all(axis=None)


def test_it_ends_in_a_table_and_a_figure(line: tuple[Path, str]) -> None:
    root, said = line
    assert "sweep: 6 cells (6 missing)" in said
    (figure,) = root.glob("studies/curve-*/figures/curve.png")
    assert str(figure) in said
    assert figure.stat().st_size > 5000


def test_no_library_speaks_in_between(line: tuple[Path, str]) -> None:
    assert not [word for word in ("GPU available", "TPU", "Tip", "Loading weights") if word in line[1]]


def test_a_finished_sweep_runs_nothing_and_draws_the_same(line: tuple[Path, str]) -> None:
    root, _ = line
    before, drawn = {path: path.stat().st_mtime_ns for path in results(root)}, table(root)
    command = command_line(root, *USERS_LINE, "hydra.sweeper.amounts=[0,0.1,1]", "seed=0,1")
    again = said_by([*command, "-m"])
    assert "sweep: 6 cells (6 done)" in again
    assert {path: path.stat().st_mtime_ns for path in results(root)} == before
    pd.testing.assert_frame_equal(table(root), drawn)


def test_verify_runs_it_again_and_finds_the_score_that_somebody_raised(line: tuple[Path, str], tmp_path: Path) -> None:
    (committed,) = line[0].glob("studies/curve-*/results.csv")
    rows = parse(committed.read_text())
    raised = next(row for row in rows if row["knowledge"] == "logits" and row["seed"] == "0")
    raised["score"] = str(float(raised["score"]) + 0.05)
    pd.DataFrame(rows).to_csv(tmp_path / "results.csv", index=False)
    settings = {"tenth": "hsk.amount=0.1", "logits": "knowledge=logits"}
    recipe = {"sweep": " ".join(USERS_LINE), "seeds": [0], "floor": 0.01, "settings": settings}
    (tmp_path / "verify.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "hskd_lightning.study", "verify", "--to", str(tmp_path)]
    said = said_by(command, code=1)
    assert "2 of 5 checks" in said and "do not hold: rows whose seals hold, logits: cells" in said
    assert "the teacher is the same to the bit; 1 of 1 scores are equal to the digit" in said


def test_one_command_tunes_every_arm_and_writes_its_winner_down(tmp_path: Path) -> None:
    rates = ("hydra.sweeper.hidden_lr=[0.001,0.003]", "hydra.sweeper.prediction_lr=[0.001]")
    grid = ("student=tiny", *rates, "bits=fp32")
    command = [sys.executable, "-m", "hskd_lightning.study", "tune", *SMALL, *TINY, *grid, f"paths.root={tmp_path}"]
    said = said_by(command)
    (written,) = tmp_path.glob("studies/tune-*/tuned.json")
    arms = json.loads(written.read_text())["arms"]
    assert [(arm["arm"], len(arm["grid"])) for arm in arms] == [
        (["experiment=full_hsk"], 2),
        (["hsk.amount=0.1"], 2),
        (["knowledge=logits"], 1),
    ]
    assert all(arm["overrides"] in said for arm in arms)
    found = read(written.with_name("results.csv"))
    assert len(found) == 5 and found.swept_student_lr_hidden.notna().sum() == 4 and set(found.seed) == {100}
    assert not written.with_name("figures").exists()  # dev is not looked at


def test_explain_lists_the_cells_and_runs_none(program: Program, tmp_path: Path) -> None:
    out = program("-m", *USERS_LINE, "explain=true", "length.keep=1,2").stdout
    assert "length.keep=1" in out and "missing" in out
    assert not results(tmp_path)


# Killed, and failing.


@pytest.fixture(scope="module")
def unbroken(plans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unbroken")
    said_by(command_line(root, *arguments(plans, "good")))
    return root


def test_killed_at_random_moments_it_ends_as_the_unbroken_one(plans: Path, unbroken: Path, tmp_path: Path) -> None:
    draw = random.Random()
    command = command_line(tmp_path, *arguments(plans, "good"))
    for kill in range(KILLS):
        process = Forked(command, alone=True)
        until = len(results(tmp_path)) + draw.randint(1, 4)
        deadline = time.monotonic() + PATIENCE
        while len(results(tmp_path)) < until and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.4))
        assert process.poll() is None, f"ended before kill {kill}"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(PATIENCE)
    said_by(command)
    pd.testing.assert_frame_equal(table(tmp_path), table(unbroken))


@pytest.fixture(scope="module")
def failing(plans: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("failing")
    return root, said_by(command_line(root, *arguments(plans, "bad")), code=1)


def test_one_cell_fails_and_the_others_finish(failing: tuple[Path, str]) -> None:
    root, said = failing
    assert len(results(root)) == len(table(root)) == 23
    last = said.strip().splitlines()[-4:]
    assert last[0] == "1 of 24 cells did not end in a result:"
    assert "failed: length.keep=6" in last[1] and "stage.hidden.lr=1e+38" in last[1]
    assert last[2].startswith(f"    {root}/runs/") and last[2].endswith("/error.txt")
    assert "The same command runs what is missing." in last[3]


def test_the_failure_is_printed_when_it_happens_and_not_again(
    failing: tuple[Path, str],
) -> None:
    root, said = failing
    (status,) = [path for path in root.glob("runs/*/status.json") if "FAILED" in path.read_text()]
    assert f"cell {status.parent.name} failed: the loss became" in said
    assert said.count("the loss became") == 1
    assert "TrainingError" in (status.parent / "error.txt").read_text()


def test_retry_runs_the_failed_cell_alone(failing: tuple[Path, str], plans: Path) -> None:
    root, _ = failing
    (status,) = [path for path in root.glob("runs/*/status.json") if "FAILED" in path.read_text()]
    others = {path: path.stat().st_mtime_ns for path in results(root)}
    where = ["--config-dir", str(plans), "--config-name", "bad"]
    command = [sys.executable, "-m", "hskd_lightning.study", "retry", *where, *SMALL, *TINY, f"paths.root={root}"]
    said_by(command, code=1)
    assert json.loads(status.read_text())["attempt"] == 2
    assert {path: path.stat().st_mtime_ns for path in results(root)} == others


def command(name: str, root: Path, plans: Path, *more: str) -> None:
    where = ["--config-dir", str(plans), "--config-name", "bad"]
    main([name, *where, *more, *SMALL, *TINY, f"paths.root={root}"])


def test_status_names_what_is_missing_and_why(
    failing: tuple[Path, str], plans: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="hskd_lightning"):
        command("status", failing[0], plans)
    assert "sweep: 24 cells (23 done, 1 failed)" in caplog.text
    assert "the loss became" in caplog.text


def test_plan_prices_the_rest_before_anything_runs(
    failing: tuple[Path, str],
    plans: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", logger="hskd_lightning"):
        command("plan", failing[0], plans)
        command("plan", tmp_path, plans)
    assert "to run: 1 cells" in caplog.text and "at the pace of 23 finished cells" in caplog.text
    assert "to run: 24 cells" in caplog.text and "by a probe of a few steps" in caplog.text
    assert not results(tmp_path) and not list(tmp_path.glob("artifacts/teacher/*"))


def test_collect_takes_a_half_done_sweep(
    failing: tuple[Path, str],
    plans: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", logger="hskd_lightning"):
        command("collect", failing[0], plans, "--to", str(tmp_path))
    assert "23 of 24 cells are there" in caplog.text
    assert read_rules(tmp_path) == read_rules(next(failing[0].glob("studies/*"))) is not None
    found = read(tmp_path / "results.csv")
    assert len(found) == len(pd.read_parquet(tmp_path / "results.parquet")) == 23
    by_id = {path.parent.name: json.loads(path.read_text()) for path in results(failing[0])}
    assert {row.cell_id: row.score for row in found.itertuples()} == {
        name: result["score"] for name, result in by_id.items()
    }


def test_collected_results_go_into_the_sweeps_own_folder(failing: tuple[Path, str], plans: Path) -> None:
    (csv,) = failing[0].glob("studies/*/results.csv")
    before = csv.read_text()
    csv.unlink()
    command("collect", failing[0], plans)
    assert csv.read_text() == before


def test_a_sweep_judges_by_the_margin_that_it_fixed(line: tuple[Path, str]) -> None:
    command = command_line(line[0], *USERS_LINE, "hydra.sweeper.amounts=[0,0.1,1]", "seed=0,1")
    said = said_by([*command, "hydra.sweeper.margin=0.3", "-m"])
    assert "the margin is 0.01, as study.json has it" in said
    (page,) = line[0].glob("studies/*/report.html")
    assert "with a margin of 0.01" in page.read_text()


def test_a_damaged_result_is_left_out_by_name_and_the_others_are_collected(
    failing: tuple[Path, str],
    plans: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damaged = sorted(results(failing[0]))[0]
    before = damaged.read_text()
    damaged.write_text(before.replace('"score": 0.', '"score": 1.'))
    try:
        with caplog.at_level("INFO", logger="hskd_lightning"):
            command("collect", failing[0], plans, "--to", str(tmp_path))
            command("status", failing[0], plans)
    finally:
        damaged.write_text(before)
    assert f"cell {damaged.parent.name} of figure curve is left out" in caplog.text
    assert "22 of 24 cells are there" in caplog.text
    assert "sweep: 24 cells (1 damaged, 22 done, 1 failed)" in caplog.text
    assert f"rm {damaged}, and the same command ends the cell again" in caplog.text
    found = read(tmp_path / "results.csv")
    assert len(found) == 22 and damaged.parent.name not in set(found.cell_id)


def test_clean_says_what_it_would_remove_and_keeps_results(
    failing: tuple[Path, str], plans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = failing
    command("clean", root, plans)
    assert "nothing removed" in capsys.readouterr().out
    assert len(list(root.glob("runs/*/checkpoints"))) == 24
    command("clean", root, plans, "--yes")
    assert not list(root.glob("runs/*/checkpoints"))
    assert len(results(root)) == len(list(root.glob("runs/*/student"))) == 23


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"`no.such` = '1'"):
        main(["plan", "no.such=1", f"paths.root={tmp_path}"])


def test_a_margin_that_is_none_is_refused_before_anything_runs(program: Program, tmp_path: Path) -> None:
    done = program("-m", *USERS_LINE, "hydra.sweeper.margin=nan", check=False)
    assert done.returncode == 1
    assert "`hydra.sweeper.margin`" in done.stderr and "a number above 0" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_figures_are_drawn_again_with_another_margin(
    line: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = line[0].glob("studies/*")
    main(["figures", "--to", str(folder), "--margin", "0.25"])
    assert "with a margin of 0.25" in (folder / "report.html").read_text()
    assert str(folder / "report.html") in capsys.readouterr().out
    with pytest.raises(SystemExit, match="`--margin` = -1.0"):
        main(["figures", "--to", str(folder), "--margin=-1"])


def test_figures_have_the_margin_that_the_study_fixed(tmp_path: Path) -> None:
    search = shutil.copytree(ROOT / "results/toy/minimum", tmp_path / "minimum")
    main(["figures", "--to", str(search)])
    page = (search / "report.html").read_text()
    assert "with a margin of 0.03" in page and "what is tested here" not in page
    assert "seeds 0 to 99, 1000 to 1014" in page


# Launchers.


LAUNCHERS = {"joblib": "joblib", "submitit_local": "submitit", "ray": "ray"}
"""joblib's is the one that runs several cells where nobody says which."""


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_gives_the_same_table(launcher: str, line: tuple[Path, str], tmp_path: Path) -> None:
    if importlib.util.find_spec(LAUNCHERS[launcher]) is None:
        pytest.skip(f"{LAUNCHERS[launcher]} is not installed")
    said = () if launcher == "joblib" else (f"launch={launcher}",)
    sweep = ("hydra.sweeper.amounts=[0,0.1]", "seed=0", *said)
    command = [*command_line(tmp_path, *USERS_LINE, *sweep), "-m"]
    environment = {**os.environ, "HSKD_JOBS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    here = table(line[0]).drop(columns="store")  # fewer cells share another one
    same = here[(here.seed == 0) & (here.hsk_amount == 0.1)].reset_index(drop=True)
    pd.testing.assert_frame_equal(table(tmp_path)[same.columns], same, check_dtype=False)
    kept = [yaml.safe_load(path.read_text()) for path in tmp_path.glob("runs/*/config.yaml")]
    assert [config["threads"] for config in kept] == [1, 1]
    assert len(list(tmp_path.glob("artifacts/teacher/*/manifest.json"))) == 1
    told = "sweep: 2 cells at a time, threads=1 each; HSKD_JOBS=1 runs one by one" in done.stdout
    assert told == (launcher == "joblib") == ("first the teacher of all cells" in done.stdout)
    assert "hidden: step" not in done.stdout  # cells at a time do not talk at once
