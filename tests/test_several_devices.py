"""One cell on two devices is the cell on one, whoever starts them, killed and resumed on another number of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.forked import Forked
from tests.helpers import ROOT, SMALL, TINY, command_line, only_cell, only_store, result_of, trace

pytestmark = pytest.mark.slow
CELL = (
    *SMALL,
    *TINY,
    "data.distil_limit=99",  # batches of 32 and one of 3: uneven shares
    "store.shard_tokens=512",  # several shards
    "trainer.log_every=1",
    "trainer.checkpoint_every=5",  # in mid-epoch
    "teacher.training.epochs=2",
    "data.hidden_epochs=3",  # of 4 steps
    "data.prediction_epochs=3",
)
"""These models have no dropout, which every rank would draw for other examples."""
TWO = "trainer.devices=2"
PATIENCE = 120
CLOSE = 1e-5
"""Sums of two halves are rounded otherwise than the sum of all; Adam divides by the gradient's size, so that of a rare
word's tiny gradient the rounding is a larger part."""


def start(root: Path, *overrides: str, **environment: str) -> Forked:
    return Forked(command_line(root, *CELL, *overrides), environment={**os.environ, **environment})


def said_by(process: Forked, code: int = 0) -> str:
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, out
    return out


def wait_for(moment: Callable[[], bool], process: Forked) -> None:
    deadline = time.monotonic() + PATIENCE
    while not moment():
        assert process.poll() is None, f"ended before the moment came:\n{process.communicate()[0]}"
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.005)


def follower_of(process: Forked) -> int:
    """The other rank that a process started."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


def runs(number: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(number: int, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while runs(number) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not runs(number)


def weights(root: Path) -> Mapping[str, torch.Tensor]:
    """Of the teacher, and of the student after each stage."""
    (teacher,) = root.glob("artifacts/teacher/*/model.safetensors")
    found = {f"teacher {name}": value for name, value in load_file(teacher).items()}
    for path in root.glob("runs/*/checkpoints/*/last.ckpt"):
        state = torch.load(path, weights_only=True)["state_dict"]
        found |= {f"{path.parent.name} {name}": value for name, value in state.items()}
    return found


def shards(root: Path) -> list[dict[str, torch.Tensor]]:
    """The store's, in order."""
    return [load_file(path) for path in sorted(only_store(root).glob("shard-*.safetensors"))]


def assert_same_cell(ours: Path, theirs: Path) -> None:
    """The same names and files, weights, logged losses and scores."""
    assert only_cell(ours).name == only_cell(theirs).name
    assert only_store(ours).name == only_store(theirs).name
    one, other = weights(ours), weights(theirs)
    assert one.keys() == other.keys() and {name.split()[0] for name in one} == {"teacher", "hidden", "prediction"}
    assert max(float((one[name] - other[name]).abs().max()) for name in one) < CLOSE
    assert [row[:3] for row in trace(ours / "runs")] == [row[:3] for row in trace(theirs / "runs")]
    logged = [[row[3] for row in trace(root / "runs")] for root in (ours, theirs)]
    assert logged[0] == pytest.approx(logged[1], abs=1e-5)
    scores = [[result_of(root)[key] for key in ("score", "score_last", "teacher_score")] for root in (ours, theirs)]
    assert scores[0] == scores[1]
    clipped = [[result_of(root)[f"clipped_{stage}"] for stage in ("hidden", "prediction")] for root in (ours, theirs)]
    assert clipped[0] == pytest.approx(clipped[1], abs=1 / 12)  # a norm at the limit may be rounded across it


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("alone")
    said_by(start(root))
    return root


def test_two_processes_started_here_are_one(alone: Path, tmp_path: Path) -> None:
    out = said_by(start(tmp_path, TWO))
    assert_same_cell(tmp_path, alone)
    ours, theirs = shards(tmp_path), shards(alone)
    assert len(ours) == len(theirs) > 1
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one["ids"], other["ids"])
        assert torch.allclose(one["logits"], other["logits"], atol=CLOSE)
    assert out.count("teacher: fine-tuning") == 1, out
    assert "Warning" not in out and "rror" not in out, out


def test_two_processes_of_torchrun_are_one(alone: Path, tmp_path: Path) -> None:
    python, *words = command_line(tmp_path, *CELL, TWO)
    by = (python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*by, *words], capture_output=True, text=True, env=variables, timeout=PATIENCE)
    out = done.stdout + done.stderr
    assert done.returncode == 0, out
    assert_same_cell(tmp_path, alone)
    assert out.count("teacher: fine-tuning") == 1, out


def test_two_tasks_of_slurm_are_one(alone: Path, tmp_path: Path) -> None:
    job = {
        "SLURM_JOB_ID": f"{os.getpid()}",
        "SLURM_JOB_NAME": "cell",
        "SLURM_NTASKS": "2",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "127.0.0.1",
    }
    tasks = [start(tmp_path, TWO, **job, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank)) for rank in (0, 1)]
    first, second = (said_by(task) for task in tasks)
    assert_same_cell(tmp_path, alone)
    assert "teacher: fine-tuning" in first
    assert second == ""


HIDDEN, PREDICTION = (f"runs/*/checkpoints/{stage}/resume.ckpt" for stage in ("hidden", "prediction"))


def test_killed_on_two_then_on_one_it_ends_on_two_as_the_unbroken_run(alone: Path, tmp_path: Path) -> None:
    process = start(tmp_path, TWO)
    wait_for(lambda: any(tmp_path.glob(HIDDEN)), process)
    began = time.monotonic()
    os.kill(follower_of(process), signal.SIGKILL)
    out = said_by(process, code=1)
    assert time.monotonic() - began < 20
    assert "rank 1 ended, and all end with it: the same command goes on" in out

    process = start(tmp_path)
    wait_for(lambda: any(tmp_path.glob(PREDICTION)), process)
    process.send_signal(signal.SIGKILL)
    assert "hidden: resumed at step" in process.communicate()[0]

    assert "prediction: resumed at step" in said_by(start(tmp_path, TWO))
    assert_same_cell(tmp_path, alone)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_with_the_rank_that_leads_all_end(number: signal.Signals, code: int, tmp_path: Path) -> None:
    process = start(tmp_path, TWO, "teacher.training.epochs=400")
    wait_for(lambda: any(tmp_path.glob("artifacts/teacher/*.partial/fit/resume.ckpt")), process)
    follower = follower_of(process)
    process.send_signal(number)
    out = said_by(process, code)
    assert ends(follower)
    assert ("the same command goes on" in out) == (number == signal.SIGTERM)


def test_a_loss_that_is_no_number_on_one_rank_ends_all_in_our_words(tmp_path: Path) -> None:
    process = start(tmp_path, TWO, "knowledge=labels", "stage.prediction.lr=1e30")
    out = said_by(process, code=1)
    assert out.count("the loss became") == 1 and "Traceback" not in out, out
