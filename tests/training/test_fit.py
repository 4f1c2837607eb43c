"""A stage beside a plain loop of the same steps, and what a stage leaves that goes wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import BertConfig

from hskd_lightning.allocator import keep_freed_memory
from hskd_lightning.data.examples import Task
from hskd_lightning.data.loader import BucketedBatches, Collate, ResumableLoader, train_loader
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.errors import TrainingError
from hskd_lightning.settings.groups import TrainerSettings
from hskd_lightning.settings.stages import StageSettings
from hskd_lightning.training import fit
from hskd_lightning.training.metrics_csv import MetricsCsv
from hskd_lightning.training.module import FineTuner, plain_config, reseed, step_seed
from hskd_lightning.training.optim import decayed

STEPS = 6
SETTINGS = StageSettings(epochs=1, lr=0.01, batch_size=4, schedule="linear", warmup=0.34, clip=0.5)
TASK = Task("parity", "accuracy", ("even", "odd"))


def batches() -> ResumableLoader:
    """24 examples of two to five tokens, four a batch."""
    lengths = torch.arange(24) % 4 + 2
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    tokens = torch.arange(int(offsets[-1]), dtype=torch.int32) % 9 + 1
    nothing = torch.zeros(len(tokens), dtype=torch.int8)
    split = TokenSplit(torch.arange(24), torch.arange(24) % 2, offsets, tokens, nothing, nothing.bool())
    return train_loader(Collate(split, pad_id=0), BucketedBatches(lengths, 4, seed=0))


def fine_tuner(**changed: Any) -> FineTuner:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=10, num_labels=2, **sizes)
    settings = dataclasses.asdict(dataclasses.replace(SETTINGS, **changed))
    return FineTuner("teacher", plain_config(config), dataclasses.asdict(TASK), settings, STEPS, seed=0)


def trainer(**changed: Any) -> TrainerSettings:
    machine = {"accelerator": "cpu", "devices": 1, "precision": "32-true", "graphs": True}
    given = {**machine, "log_every": 1, "checkpoint_every": 2}
    return TrainerSettings(**{**given, **changed})


def plain_loop(module: FineTuner) -> Iterator[float]:
    """Forward, backward, torch's own clip, AdamW and schedule; the losses."""
    optimizer = torch.optim.AdamW(decayed(module), lr=SETTINGS.lr, weight_decay=SETTINGS.weight_decay, fused=True)
    schedule = LambdaLR(optimizer, lambda step: (step + 1) / 3 if step < 2 else (STEPS - step) / (STEPS - 2))
    module.train()
    for step, batch in enumerate(batches()):
        reseed(step_seed(0, "teacher", step), torch.device("cpu"))
        loss = module.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        yield float(loss.detach())


def weights(module: nn.Module) -> dict[str, Tensor]:
    """All but the biases of keys: no loss hangs on them, so their gradients, and Adam's steps, are rounding errors."""
    return {name: weight.detach() for name, weight in module.named_parameters() if not name.endswith("key.bias")}


def test_a_stage_is_a_plain_loop(tmp_path: Path) -> None:
    ours, plain = fine_tuner(), fine_tuner()
    logger = MetricsCsv(tmp_path / "metrics.csv")
    fit.fit_stage(ours, batches(), tmp_path / "stage", trainer(), loggers=[logger])
    losses = list(plain_loop(plain))
    assert [value for _, _, value in logger.rows()] == pytest.approx(losses, rel=1e-5)
    torch.testing.assert_close(weights(ours), weights(plain), rtol=1e-4, atol=1e-6)


def test_looking_at_losses_seldom_changes_nothing(tmp_path: Path) -> None:
    often, seldom = fine_tuner(), fine_tuner()
    fit.fit_stage(often, batches(), tmp_path / "often", trainer())
    fit.fit_stage(seldom, batches(), tmp_path / "seldom", trainer(log_every=5))
    torch.testing.assert_close(weights(often), weights(seldom), rtol=0, atol=0)


def test_a_stage_keeps_the_memory_that_its_steps_free(tmp_path: Path) -> None:
    keep_freed_memory.cache_clear()
    fit.fit_stage(fine_tuner(), batches(), tmp_path, trainer())
    assert keep_freed_memory.cache_info().misses == 1


def test_a_stage_of_less_than_an_epoch_is_judged_by_its_last_weights(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    short = FineTuner(**{**fine_tuner().hparams, "total_steps": 4})
    looked_at = fit.Selection(batches().loader, monitor="teacher/selection_accuracy")
    fit.fit_stage(short, batches(), tmp_path, trainer(), looked_at)
    assert fit.best(tmp_path) == fit.LAST
    assert not recwarn.list


@pytest.mark.parametrize(("clip", "share"), [(1e-6, 1.0), (1e6, 0.0)])
def test_a_stage_says_in_which_share_of_its_steps_it_clipped(clip: float, share: float, tmp_path: Path) -> None:
    facts = fit.fit_stage(fine_tuner(clip=clip), batches(), tmp_path, trainer())
    assert facts["clipped"] == fit.read_facts(tmp_path)["clipped"] == share


class Killed(Exception):
    """In the place of a signal."""


class UntilKilled(FineTuner):
    """A stage that ends in its sixth step, after a checkpoint at its fourth."""

    def loss(self, batch: Any) -> Tensor:
        if self.global_step == STEPS - 1:
            raise Killed
        return super().loss(batch)


def test_steps_that_were_clipped_before_a_kill_are_counted(tmp_path: Path) -> None:
    middling = fine_tuner(clip=0.3)
    unbroken = fit.fit_stage(middling, batches(), tmp_path / "unbroken", trainer())["clipped"]
    assert 0 < unbroken < 1
    with pytest.raises(Killed):
        fit.fit_stage(UntilKilled(**middling.hparams), batches(), tmp_path / "stage", trainer())
    assert fit.fit_stage(fine_tuner(clip=0.3), batches(), tmp_path / "stage", trainer())["clipped"] == unbroken


class ElsewhereUntil(FineTuner):
    """A stage whose loss is no number from a step on, on a device where losses are not looked at as they come."""

    bad = 1

    def loss(self, batch: Any) -> Tensor:
        loss = super().loss(batch)
        return loss * math.nan if self.global_step >= self.bad else loss

    @property
    def device(self) -> torch.device:
        return torch.device("meta")

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """There is no generator to seed there."""


def elsewhere() -> ElsewhereUntil:
    return ElsewhereUntil(**fine_tuner().hparams)


def test_a_bad_loss_that_nobody_saw_is_named_before_a_checkpoint_is_written(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="became nan in stage teacher, step 1:"):
        fit.fit_stage(elsewhere(), batches(), tmp_path, trainer(log_every=100, checkpoint_every=4))
    assert not list(tmp_path.glob("*.ckpt"))


def test_a_bad_loss_that_nobody_saw_is_named_at_the_end(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="became nan in stage teacher, step 1:"):
        fit.fit_stage(elsewhere(), batches(), tmp_path, trainer(log_every=100, checkpoint_every=100))
    assert not fit.is_whole(tmp_path) and not list(tmp_path.glob("*.ckpt"))


def test_weights_that_the_last_step_spoils_are_not_kept(tmp_path: Path) -> None:
    module = fine_tuner(lr=1e38, clip=None, saved_every=2, schedule="constant", warmup=0.0)
    module.total_steps = 3
    assert module.kept_steps == 1
    with pytest.raises(TrainingError, match="weights became infinite or NaN in stage teacher, by step 1:"):
        fit.fit_stage(module, batches(), tmp_path, trainer())
    assert not fit.is_whole(tmp_path)
