"""The doctor as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hskd_lightning.doctor.__main__ import main
from tests.helpers import ROOT

GROUPS = ("libraries", "processor", "GPUs", "disk", "caches", "sources", "scheduler", "network")
SECRETS = {
    "WANDB_API_KEY": "5ecretkey5ecretkey5ecretkey5ecretkey5ecr",
    "HF_TOKEN": "hf_5ecrettoken",
    "https_proxy": "http://me:5ecretword@127.0.0.1:9",
    "HTTPS_PROXY": "http://me:5ecretword@127.0.0.1:9",
    "AWS_SECRET_ACCESS_KEY": "5ecretaccess",
}
QUIET = ("HSKD_", "WANDB_", "HF_", "SLURM_", "GLUE_", "RAY_", "CUDA_", "no_proxy", "NO_PROXY")


@pytest.mark.slow
def test_a_machine_without_a_network_is_fit_and_no_secret_is_told(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(QUIET)}
    environment = {**kept, "HOME": str(tmp_path), "HF_ENDPOINT": "https://127.0.0.1:9", **SECRETS}
    command = [sys.executable, "-m", "hskd_lightning.doctor", f"paths.root={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0 and "\nfit to run: " in done.stdout, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")][:-1] == list(GROUPS)
    assert max(map(len, done.stdout.splitlines())) < 80 and "\x1b[" not in done.stdout
    assert "http://***@127.0.0.1:9" in done.stdout and "a key" in done.stdout
    assert "5ecret" not in done.stdout + done.stderr


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, no_account: None) -> pytest.MonkeyPatch:
    """An environment that says nothing of ours."""
    for name in [name for name in os.environ if name.startswith(QUIET)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return monkeypatch


def test_what_a_run_would_be_refused_for_is_red_and_the_rest_is_said_too(
    quiet: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}.items():
        quiet.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        main([f"paths.root={tmp_path}", "trainer=cpu", "trainer.devices=2"])
    said = capsys.readouterr().out
    assert end.value.code == 1 and "\nnot fit to run: " in said
    assert "red   processes      trainer.devices = 2" in said and "\nnetwork\n" in said


def test_a_mistyped_override_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main([f"paths.root={tmp_path}", "trainer.devizes=2"])
    assert "did you mean trainer.devices?" in str(end.value.code)
