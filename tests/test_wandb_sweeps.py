"""The W&B sweep files: the command that wandb's own agent makes of each starts a cell, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig
from wandb import wandb_agent
from wandb.sdk.launch.sweeps import utils

from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from tests.helpers import ROOT, SMALL, TINY
from tests.offline_run import offline_runs

FILES = sorted((ROOT / "sweeps/wandb").glob("*.yaml"))
pytestmark = pytest.mark.usefixtures("no_account")
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def grid(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """What the server would send to agents, one by one."""
    choices = {name: one.get("values", [one.get("value")]) for name, one in sweep["parameters"].items()}
    cells = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    return [{"args": {name: {"value": value} for name, value in chosen.items()}} for chosen in cells]


def what_the_agent_starts(
    sweep: dict[str, Any], cell: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Command and environment of the process: all of wandb's agent but its server."""
    started: list[dict[str, Any]] = []

    class Process:
        def __init__(self, **asked: Any) -> None:
            started.append(asked)

    monkeypatch.setattr(wandb_agent, "AgentProcess", Process)
    monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
    for set_by_agent in ("WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
        monkeypatch.setenv(set_by_agent, "")  # so that they are as before when the test ends
    agent = wandb_agent.Agent(api=None, queue=None, sweep_id="s1")
    agent._sweep_command = sweep["command"]
    answer = agent._process_command({"type": "run", "run_id": "given", "program": sweep["program"], **cell})
    assert "exception" not in answer, answer
    return started[0]


def test_there_are_sweep_files() -> None:
    assert [path.stem for path in FILES] == ["amount", "length"]


@each_file
def test_every_cell_of_the_grid_is_another(path: Path, small: Callable[..., DictConfig]) -> None:
    sweep = yaml.safe_load(path.read_text())
    assert sweep["method"] == "grid" and sweep["metric"] == {"name": "final/score", "goal": "maximize"}
    assert sweep["project"] == small("logger=wandb").logger.project
    overrides = [utils.create_sweep_command_args(cell)["args_no_hyphens"] for cell in grid(sweep)]
    ids = {Experiment.resolve(plain(small(*cell))).cell_id for cell in overrides}
    assert len(ids) == len(overrides) == 15


@pytest.mark.slow
@each_file
def test_the_agents_command_runs_a_cell(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))  # the agent writes the parameters there
    sweep = yaml.safe_load(path.read_text())
    cell = grid(sweep)[-1]
    asked = what_the_agent_starts(sweep, cell, monkeypatch)
    assert asked["command"][:4] == ["/usr/bin/env", "python", "train.py", "logger=wandb"]
    environment = asked["env"] | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [*asked["command"], *SMALL, *TINY, f"paths.root={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (told,) = offline_runs(tmp_path)
    assert (told.id, told.sweep) == ("given", "s1")
    axes = {name.replace(".", "_"): parameter["value"] for name, parameter in cell["args"].items()}
    assert {name: told.config[name] for name in axes} == axes
    assert "final/score" in told.summary
