"""What only a GPU can show. Skipped where there is none; tests/ has the rest on a device that is emulated."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from hskd_lightning.assets import Assets
from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.models import encoder
from hskd_lightning.settings.stages import HIDDEN, PREDICTION
from hskd_lightning.training.distiller import Distiller
from hskd_lightning.training.module import plain_config
from tests.helpers import ROOT, SMALL, TINY, batch_of, command_line, result_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
LONG = ("data.hidden_epochs=40", "data.prediction_epochs=40", "trainer.checkpoint_every=7")
PATIENCE = 120


def loss_on(device: str, stage: str, source: KnowledgeSource, assets: Assets) -> tuple[float, torch.Tensor]:
    """A stage's first loss, and the gradient of the student's first block."""
    student = encoder.load_classifier(str(assets.student.folder))
    settings = {"epochs": 1.0, "lr": 1e-3}
    task = {"name": "toy", "metric": "accuracy", "labels": assets.experiment.task.labels}
    module = Distiller(
        teacher_width=16, stage=stage, config=plain_config(student.config), task=task, settings=settings,
        total_steps=1, seed=0,
    )  # fmt: skip
    module.model.load_state_dict(student.state_dict())
    module.to(torch.device(device)).attach(source).on_fit_start()
    loss = module.loss(batch_of(assets, list(range(16))).to(torch.device(device)))
    loss.backward()
    weight = next(encoder.blocks(module.model)[0].parameters())
    assert weight.grad is not None
    return float(loss.detach()), weight.grad.cpu()


@pytest.mark.parametrize("knowledge", ["online", "offline"])
@pytest.mark.parametrize("stage", [HIDDEN, PREDICTION])
def test_loss_and_gradient_on_the_gpu_are_those_on_the_cpu(
    stage: str, knowledge: str, small: Callable[..., DictConfig]
) -> None:
    torch.set_float32_matmul_precision("highest")
    assets = Assets(Experiment.resolve(plain(small("store.dtype=fp32", f"knowledge={knowledge}"))))
    source = assets.knowledge.source()
    assert source is not None
    here, gradient = loss_on("cpu", stage, source, assets)
    there, gradient_there = loss_on("cuda", stage, source, assets)
    assert there == pytest.approx(here, rel=1e-5)
    torch.testing.assert_close(gradient_there, gradient, rtol=1e-3, atol=1e-6)


def start(root: Path) -> subprocess.Popen[str]:
    command = command_line(root, *SMALL, *TINY, *LONG, "trainer=gpu", "trainer.accelerator=gpu")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def finish(root: Path) -> str:
    process = start(root)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    return out


def weights(root: Path) -> dict[str, torch.Tensor]:
    (path,) = root.glob("runs/*/checkpoints/prediction/last.ckpt")
    return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]


def test_killed_on_the_gpu_ends_as_the_unbroken_run(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(whole)
    process = start(broken)
    deadline = time.monotonic() + PATIENCE
    while not any(broken.glob("runs/*/checkpoints/hidden/resume.ckpt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert "hidden: resumed at step" in finish(broken)
    assert result_of(broken)["score"] == result_of(whole)["score"]
    expected = weights(whole)
    furthest = max(float((value - expected[name]).abs().max()) for name, value in weights(broken).items())
    print(f"furthest weight after a kill: {furthest:.2e}")
    assert furthest < 1e-5
