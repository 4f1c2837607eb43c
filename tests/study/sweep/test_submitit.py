"""A sweep by submitit: jobs of several cells, jobs that are put back into the queue, and what SLURM is asked for."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import ROOT, SMALL, TINY, command_line, only_cell, read

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="submitit is not installed"),
]
PATIENCE = 240
SEEDS = ("-m", *SMALL, *TINY, "hydra.sweeper.amounts=[0.1]")
SBATCH = '#!/bin/bash\ncat "$1" >> {folder}/asked.sh\nexit 1\n'
"""A SLURM that writes down what it is asked for, and refuses."""


def test_a_job_of_two_tasks_runs_two_cells_at_once(tmp_path: Path) -> None:
    """Three cells: the second job has a task without one."""
    command = command_line(
        tmp_path, *SEEDS, "seed=0,1,2", "launch=submitit_local", "hydra.launcher.tasks_per_node=2",
        "hydra.sweeper.max_batch_size=null",
    )  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 3
    jobs = [folder for folder in tmp_path.glob("multirun/*/.submitit/*") if folder.name.isdigit()]
    assert len(jobs) == 2
    assert [len(list(job.glob("*_result.pkl"))) for job in jobs] == [2, 2]


def test_a_cell_whose_job_runs_out_of_time_is_requeued_and_goes_on(tmp_path: Path) -> None:
    long = ("data.hidden_epochs=40", "data.prediction_epochs=1", "trainer.checkpoint_every=7")
    command = command_line(tmp_path, *SEEDS, *long, "seed=0", "launch=submitit_local", "hydra.launcher.timeout_min=9")
    sweep = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + PATIENCE
    while not any(tmp_path.glob("runs/*/checkpoints/hidden/resume.ckpt")):
        assert sweep.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(task_below(tmp_path), signal.SIGUSR2)  # as SLURM does, two minutes before the end
    out, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == 0, out
    assert "hidden: resumed at step" in (only_cell(tmp_path) / "log.txt").read_text()
    assert read(only_cell(tmp_path), "status.json")["attempt"] == 2
    told = "".join(path.read_text() for path in tmp_path.glob("multirun/*/.submitit/*/*_0_log.*"))
    assert "this job is timed-out" in told and "(2 remaining timeouts)" in told


def task_below(root: Path) -> int:
    """The process of the one task whose job's folder is below `root`."""
    started = [path for path in Path("/proc").glob("[0-9]*") if belongs(path, root)]
    (task,) = started
    return int(task.name)


def belongs(process: Path, root: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False  # it has ended since
    return "submitit.core._submit" in words and any(word.startswith(str(root)) for word in words)


def test_what_slurm_is_asked_for(tmp_path: Path) -> None:
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text(SBATCH.format(folder=tmp_path))
        (tmp_path / name).chmod(0o755)
    asked = ("launch=submitit_slurm", "hydra.launcher.tasks_per_node=2", "hydra.launcher.partition=gpu", "threads=3")
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", *SEEDS, "seed=0,1,2", *asked, f"paths.root={tmp_path}"],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 1 and "3 of 3 cells did not end" in done.stderr + done.stdout
    lines = (tmp_path / "asked.sh").read_text().splitlines()
    assert {
        "#SBATCH --array=0-1%2",  # three cells, two a job
        "#SBATCH --ntasks-per-node=2",
        "#SBATCH --cpus-per-task=3",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --partition=gpu",
        "#SBATCH --requeue",
        "#SBATCH --signal=USR2@120",
        "#SBATCH --time=1440",
    } <= set(lines)
    assert lines[-1].startswith("srun --unbuffered") and "submitit.core._submit" in lines[-1]


def test_a_cell_on_several_devices_has_the_whole_job() -> None:
    from omegaconf import OmegaConf

    from hydra_plugins.hskd_submitit import cells_a_job

    four_tasks = {"tasks_per_node": 2, "nodes": 2}
    assert cells_a_job(OmegaConf.create({"trainer": {"devices": 1}}), four_tasks) == 4
    assert cells_a_job(OmegaConf.create({"trainer": {"devices": 2, "num_nodes": 2}}), four_tasks) == 1
