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
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.models import encoder
from hskd_lightning.settings.groups import TrainerSettings
from hskd_lightning.settings.stages import HIDDEN, PREDICTION
from hskd_lightning.training import fit, graphs, vocabulary
from hskd_lightning.training.distiller import Distiller
from hskd_lightning.training.metrics_csv import MetricsCsv
from hskd_lightning.training.module import plain_config
from tests.helpers import ROOT, SMALL, TINY, batch_of, command_line, result_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
LONG = ("data.hidden_epochs=40", "data.prediction_epochs=40", "trainer.checkpoint_every=7")
PATIENCE = 120


def distiller(kind: type[Distiller], stage: str, assets: Assets, steps: int, **shape: float) -> Distiller:
    """A stage of so many steps, from the student's first weights."""
    student = encoder.load_classifier(str(assets.student.folder), **shape)
    settings = {"epochs": 1.0, "lr": 1e-3}
    task = {"name": "toy", "metric": "accuracy", "labels": assets.experiment.task.labels}
    module = kind(
        teacher_width=16, stage=stage, config=plain_config(student.config), task=task, settings=settings,
        total_steps=steps, seed=0,
    )  # fmt: skip
    module.model.load_state_dict(student.state_dict())
    return module


def loss_on(device: str, stage: str, source: KnowledgeSource, assets: Assets) -> tuple[float, torch.Tensor]:
    """A stage's first loss, and the gradient of the student's first block."""
    module = distiller(Distiller, stage, assets, steps=1)
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
    assets = Assets(Experiment.resolve(plain(small("bits=fp32", f"knowledge={knowledge}"))))
    source = assets.knowledge.source()
    assert source is not None
    here, gradient = loss_on("cpu", stage, source, assets)
    there, gradient_there = loss_on("cuda", stage, source, assets)
    assert there == pytest.approx(here, rel=1e-5)
    torch.testing.assert_close(gradient_there, gradient, rtol=1e-3, atol=1e-6)


class Watched(graphs.CudaRecorder):
    """Counts what it has recorded."""

    recorded = 0

    def __call__(self, work: Callable[[], torch.Tensor]) -> tuple[Callable[[], object], torch.Tensor]:
        made = super().__call__(work)
        Watched.recorded += 1
        return made


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    monkeypatch.setattr(graphs, "CudaRecorder", Watched)
    Watched.recorded = 0
    return Watched


def trained(
    module: Distiller, assets: Assets, folder: Path, precision: str, replay: bool
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses and weights of a stage that a store teaches, eight examples a step."""
    source = assets.knowledge.source()
    assert source is not None
    module.attach(source)
    read = source.reader(module.stage == HIDDEN)
    batches = assets.corpus.train_batches(assets.corpus.student_splits.train, 8, seed=0, read=read)
    machine = {"accelerator": "gpu", "devices": 1, "precision": precision, "graphs": replay}
    trainer, logger = TrainerSettings(**machine, log_every=1, checkpoint_every=7), MetricsCsv(folder / "metrics.csv")
    fit.fit_stage(module, batches, folder / "stage", trainer, loggers=[logger])
    return [value for _, _, value in logger.rows()], {name: value.cpu() for name, value in module.state_dict().items()}


def compare(kind: type[Distiller], stage: str, assets: Assets, folder: Path, precision: str = "32-true") -> None:
    """The stage with graphs, beside the stage without, dropout on."""
    assert assets.experiment.settings.trainer.device.type == "cuda"
    found = []
    for replay in (True, False):
        module = distiller(kind, stage, assets, 60, hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.2)
        found.append(trained(module, assets, folder / str(replay), precision, replay))
    (losses, weights), (eager_losses, eager_weights) = found
    furthest = max(
        float((value - eager_weights[name]).abs().max())
        for name, value in weights.items()
        if not name.endswith("key.bias")  # whose gradient is a rounding error, of any sign
    )
    print(f"{stage}, {precision}: furthest weight {furthest:.2e}, last losses {losses[-1]:.6f} {eager_losses[-1]:.6f}")
    rounded = precision != "32-true"
    assert losses == pytest.approx(eager_losses, rel=2e-2 if rounded else 1e-4)
    assert furthest < (5e-3 if rounded else 1e-4)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("stage", [HIDDEN, PREDICTION])
def test_replayed_steps_are_those_launched_kernel_by_kernel(
    stage: str, precision: str, small: Callable[..., DictConfig], tmp_path: Path, watched: type[Watched]
) -> None:
    assets = Assets(Experiment.resolve(plain(small("trainer.accelerator=gpu", f"trainer.precision={precision}"))))
    compare(Distiller, stage, assets, tmp_path, precision)
    assert watched.recorded > 0


def test_a_stage_with_the_rows_in_use_is_checkpointed(
    small: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its module is on two devices: the other rows stay where they were."""
    monkeypatch.setattr(vocabulary, "WORTH", 1)
    assets = Assets(Experiment.resolve(plain(small("trainer.accelerator=gpu"))))
    module = distiller(Distiller, PREDICTION, assets, steps=9)
    table = module.model.get_input_embeddings().weight.shape
    _, weights = trained(module, assets, tmp_path, "32-true", replay=True)
    kept = torch.load(tmp_path / "stage" / fit.LAST, map_location="cpu", weights_only=True)["state_dict"]
    assert kept.keys() == weights.keys() and table in {value.shape for value in kept.values()}


class Waits(Distiller):
    """Looks at its loss, for which the device must be waited for."""

    def loss(self, batch: TokenBatch) -> torch.Tensor:
        loss = super().loss(batch)
        assert loss.item() > 0
        return loss


def test_a_stage_that_cannot_be_recorded_goes_on_without(
    small: Callable[..., DictConfig], tmp_path: Path, watched: type[Watched], caplog: pytest.LogCaptureFixture
) -> None:
    assets = Assets(Experiment.resolve(plain(small("trainer.accelerator=gpu"))))
    compare(Waits, HIDDEN, assets, tmp_path)
    assert watched.recorded == 0
    assert len([said for said in caplog.messages if "could not be recorded as a CUDA graph" in said]) == 1


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
