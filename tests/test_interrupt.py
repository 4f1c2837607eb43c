"""Ctrl-C, and SIGTERM as a preempted job gets it: an interrupted cell, one line, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hskd_lightning.interrupt import REPEATED, Interrupted, interruptible
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.state import State
from tests.forked import Forked
from tests.helpers import SMALL, TINY, command_line

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As a shell starts a program, whoever started the tests; and as they were."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # it arrives between two lines


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_block_with_the_exit_code_of_a_shell(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Interrupted) as caught, interruptible():
        send(number)
    assert caught.value.code == SIGNALS[number]
    assert capsys.readouterr().err == "\nInterrupted: the same command goes on where it stopped.\n"


def test_nobody_takes_it_for_an_error() -> None:
    with pytest.raises(Interrupted), interruptible():
        try:
            send(signal.SIGTERM)
        except Exception:
            pytest.fail("it went no further")


def test_an_inner_block_leaves_the_words_to_the_outer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Interrupted), interruptible(), interruptible():
        send(signal.SIGTERM)
    assert capsys.readouterr().err.count("Interrupted") == 1


def test_the_same_signal_again_does_not_disturb_the_end() -> None:
    ended = False
    with pytest.raises(Interrupted), interruptible():
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            ended = True
    assert ended


def test_a_later_signal_ends_what_hangs() -> None:
    reached = False
    with pytest.raises(Interrupted), interruptible():
        try:
            send(signal.SIGINT)
        finally:
            time.sleep(REPEATED)
            send(signal.SIGINT)
            reached = True
    assert not reached


def test_a_handler_of_somebody_else_stays() -> None:
    got = []
    signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    with interruptible():
        send(signal.SIGTERM)
    assert got == [signal.SIGTERM]


def test_afterwards_signals_are_handled_as_before() -> None:
    with interruptible():
        pass
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_command_that_starts_again_is_not_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "force=true"])
    with pytest.raises(Interrupted), interruptible():
        send(signal.SIGTERM)
    assert "the same command without force=true goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.py", "-m", "force=true"], "cells that it did not reach have the results of before"),
        (["study", "verify", "--to", "results/toy"], "nothing is kept; the same command begins again"),
        (["hskd", "store", "pull", "s3://bucket"], "nothing is kept; the same command begins again"),
    ],
)
def test_what_does_not_go_on_is_not_said_to(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(Interrupted), interruptible():
        send(signal.SIGTERM)
    assert said in capsys.readouterr().err


# The whole program.

PATIENCE = 240
LONG = ("data.hidden_epochs=60", "data.prediction_epochs=60", "trainer.checkpoint_every=7")
"""180 steps a stage: long enough to be hit."""
MOMENTS = {
    "teacher": "artifacts/teacher/*.partial/fit/resume.ckpt",
    "hidden": "runs/*/checkpoints/hidden/resume.ckpt",
    "prediction": "runs/*/checkpoints/prediction/resume.ckpt",
}
"""Phases that write a checkpoint, and so have one to go on from."""


Process = Forked | subprocess.Popen[str]


def start(root: Path, *overrides: str, sweep: bool = False, alone: bool = False) -> Forked:
    return Forked(command_line(root, *SMALL, *TINY, *overrides) + ["-m"] * sweep, alone)


def wait_for(process: Process, moment: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not moment():
        assert process.poll() is None, f"ended before the moment came:\n{process.communicate(timeout=PATIENCE)[0]}"
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.005)


def ended(process: Process, code: int) -> str:
    """What an interrupted process says: one line that tells how to go on, and no traceback."""
    began = time.monotonic()
    out, _ = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < 30
    assert process.returncode == code, out
    assert out.count("Interrupted: the same command goes on where it stopped.") == 1, out
    for word in ("Traceback", "KeyboardInterrupt", "Error", "failed"):
        assert word not in out, out
    return out


def the_cell(root: Path) -> CellFolder:
    (folder,) = (path for path in (root / "runs").iterdir() if path.is_dir())
    return CellFolder(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "number"), [*((stage, signal.SIGTERM) for stage in MOMENTS), ("hidden", signal.SIGINT)]
)
def test_a_stage_that_is_stopped_goes_on_where_it_stopped(stage: str, number: signal.Signals, tmp_path: Path) -> None:
    teacher = ("teacher.training.epochs=12",) if stage == "teacher" else ()
    process = start(tmp_path, *LONG, *teacher)
    wait_for(process, lambda: any(tmp_path.glob(MOMENTS[stage])))
    process.send_signal(number)
    ended(process, SIGNALS[number])
    cell = the_cell(tmp_path)
    assert cell.state is State.INTERRUPTED and not cell.error.exists()
    assert cell.status is not None and cell.status.state is State.INTERRUPTED
    again = start(tmp_path, *LONG, *teacher)
    out, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0 and f"{stage}: resumed at step" in out, out
    assert cell.state is State.DONE


@pytest.mark.slow
@pytest.mark.parametrize("words", ["tokens", "store: shard 1 of", "prediction: step"], ids=["data", "store", "scoring"])
def test_between_the_stages_it_is_the_same(words: str, tmp_path: Path) -> None:
    process = start(tmp_path)
    while words not in (line := process.stdout.readline()):
        assert line, "the moment never came"
    process.send_signal(signal.SIGTERM)
    ended(process, 143)
    assert the_cell(tmp_path).state is State.INTERRUPTED


@pytest.mark.slow
def test_an_export_that_is_stopped_leaves_the_cell_done(tmp_path: Path) -> None:
    process = start(tmp_path, "export=true")
    while "export: writing the student as ONNX" not in (line := process.stdout.readline()):
        assert line, "the moment never came"
    process.send_signal(signal.SIGINT)
    ended(process, 130)
    assert the_cell(tmp_path).state is State.DONE
    assert not (the_cell(tmp_path).folder / "export").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_sweep_that_is_stopped_starts_no_other_cell(number: signal.Signals, tmp_path: Path) -> None:
    process = start(tmp_path, *LONG, "seed=0,1,2", "hydra.sweeper.amounts=[0.1]", sweep=True)
    wait_for(process, lambda: any(tmp_path.glob(MOMENTS["hidden"])))
    process.send_signal(number)
    ended(process, SIGNALS[number])
    assert the_cell(tmp_path).state is State.INTERRUPTED


@pytest.mark.slow
def test_the_children_of_a_sweep_are_stopped_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSKD_JOBS", "2")
    process = start(tmp_path, *LONG, "seed=0,1", "hydra.sweeper.amounts=[0.1]", sweep=True, alone=True)
    wait_for(process, lambda: len(list(tmp_path.glob(MOMENTS["hidden"]))) == 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, and `timeout`
    ended(process, SIGNALS[signal.SIGINT])
    cells = [CellFolder(path) for path in (tmp_path / "runs").iterdir() if path.is_dir()]
    assert [cell.state for cell in cells] == [State.INTERRUPTED] * 2


@pytest.mark.slow
def test_data_loading_processes_end_with_their_parent(tmp_path: Path) -> None:
    process = start(tmp_path, "workers=1", *LONG, alone=True)
    wait_for(process, lambda: any(tmp_path.glob(MOMENTS["hidden"])))
    os.killpg(process.pid, signal.SIGINT)
    ended(process, 130)
    assert the_cell(tmp_path).state is State.INTERRUPTED


@pytest.mark.slow
def test_timeout_is_what_preempts_most(tmp_path: Path) -> None:
    command = ["timeout", "--preserve-status", "60", *command_line(tmp_path, *SMALL, *TINY, *LONG)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(process, lambda: any(tmp_path.glob(MOMENTS["hidden"])))
    process.send_signal(signal.SIGTERM)  # it passes this on, twice, as it does when the time is up
    ended(process, 143)
    assert the_cell(tmp_path).state is State.INTERRUPTED
