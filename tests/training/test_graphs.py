"""Which steps are recorded, and what a replay leaves. The recorder does the work anew here; test_gpu.py has CUDA's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig

from hskd_lightning.data.examples import Task
from hskd_lightning.data.loader import BucketedBatches, Collate, ResumableLoader, train_loader
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.hsk import HiddenTarget, TokenBatch, TokenSelection
from hskd_lightning.settings.groups import TrainerSettings
from hskd_lightning.settings.stages import StageSettings
from hskd_lightning.training import fit, graphs
from hskd_lightning.training.graphs import EAGER, StepGraphs, form
from hskd_lightning.training.metrics_csv import MetricsCsv
from hskd_lightning.training.module import FineTuner, plain_config


class Anew:
    """Records nothing: it does the work once more, and puts the result where it was."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        self.recorded += 1
        with torch.random.fork_rng([]):
            result = work()
        return lambda: result.copy_(work()), result


def batch_of(*labels: float, taught: object = None) -> TokenBatch:
    """One token an example."""
    ids = torch.arange(len(labels))
    column = ids[:, None]
    return TokenBatch(ids, column, column, column, column.bool(), torch.tensor(labels), taught)  # type: ignore[arg-type]


weight, unread = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(5.0))


def loss(batch: TokenBatch) -> Tensor:
    """2 times the labels' sum, whose gradient is that sum."""
    assert batch.host is None
    return weight * batch.labels.sum()


@pytest.fixture
def steps() -> StepGraphs:
    weight.grad = unread.grad = None
    return StepGraphs(loss, [weight, unread], Anew())


def seen(steps: StepGraphs, batch: TokenBatch, times: int = EAGER) -> None:
    for _ in range(times):
        assert steps(batch) is None


def test_a_replay_has_the_loss_and_the_gradients_of_its_own_batch(steps: StepGraphs) -> None:
    seen(steps, batch_of(1.0, 1.0))
    first = steps(batch_of(1.0, 2.0))
    assert (first, weight.grad, unread.grad) == (6, 3, None)
    second = steps(batch_of(3.0, 4.0)._replace(host=batch_of(0.0)))
    assert (first, second, weight.grad) == (6, 14, 7)  # the first loss is not written over
    assert not second.requires_grad


def test_gradients_of_all_shapes_lie_in_one_place(steps: StepGraphs) -> None:
    places = set()
    for batch in (batch_of(1.0), batch_of(1.0, 2.0)):
        seen(steps, batch)
        steps(batch)
        assert weight.grad is not None
        places.add(weight.grad.data_ptr())
    assert len(places) == 1 and weight.grad == 3


def test_a_gradient_of_a_step_made_as_ever_is_not_added_to(steps: StepGraphs) -> None:
    seen(steps, batch_of(1.0))
    weight.grad = torch.tensor(100.0)
    steps(batch_of(1.0))
    assert weight.grad == 1


def test_each_shape_is_counted_by_itself(steps: StepGraphs) -> None:
    seen(steps, batch_of(1.0))
    seen(steps, batch_of(1.0, 2.0))
    assert steps(batch_of(1.0)) is not None


def test_more_shapes_than_are_recorded_are_made_as_ever(steps: StepGraphs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MOST", 1)
    seen(steps, batch_of(1.0))
    assert steps(batch_of(1.0)) is not None
    seen(steps, batch_of(1.0, 2.0), times=EAGER + 2)


def test_what_cannot_be_recorded_is_told_once_and_made_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    steps = StepGraphs(loss, [weight], refuse)
    seen(steps, batch_of(1.0), times=EAGER + 2)
    seen(steps, batch_of(1.0, 2.0), times=EAGER + 2)
    (told,) = caplog.messages
    assert told.endswith("kernel by kernel: operation not permitted when stream is capturing")


def test_the_form_of_a_batch_is_its_shapes_dtypes_and_parts() -> None:
    tokens = TokenSelection(torch.zeros(1, 1, 1).long(), torch.ones(1, 1, 1).bool())
    target = HiddenTarget(torch.zeros(1, 1, 1, 3), tokens, None)
    batches = [
        batch_of(1.0),
        batch_of(1),
        batch_of(1.0, 2.0),
        batch_of(1.0, taught=torch.zeros(1, 2)),
        batch_of(1.0, taught=target),
        batch_of(1.0, taught=target._replace(units=torch.ones(1, 1, 1, 3).bool())),
        batch_of(1.0, taught=tuple(target)),
    ]
    assert len({form(batch) for batch in batches}) == len(batches)
    assert form(batch_of(7.0)) == form(batch_of(1.0))


def batches() -> ResumableLoader:
    """Five batches of three tokens an example and five of five, in the order that the seed has them in."""
    lengths = torch.arange(40) // 20 * 2 + 3
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    tokens = torch.arange(int(offsets[-1]), dtype=torch.int32) % 9 + 1
    nothing = torch.zeros(len(tokens), dtype=torch.int8)
    split = TokenSplit(torch.arange(40), torch.arange(40) % 2, offsets, tokens, nothing, nothing.bool())
    return train_loader(Collate(split, pad_id=0), BucketedBatches(lengths, 4, seed=0))


def trained(folder: Path, record: Anew | None) -> tuple[list[float], dict[str, Tensor]]:
    """Losses and weights of ten steps with dropout."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = plain_config(BertConfig(vocab_size=10, num_labels=2, **sizes))
    task = dataclasses.asdict(Task("parity", "accuracy", ("even", "odd")))
    settings = dataclasses.asdict(StageSettings(epochs=1, lr=0.01, batch_size=4))
    module = FineTuner("teacher", config, task, settings, total_steps=10, seed=0)
    if record is not None:
        module.graphs = StepGraphs(module.loss, list(module.parameters()), record)
    trainer = TrainerSettings(
        accelerator="cpu", devices=1, precision="32-true", log_every=1, checkpoint_every=4, graphs=True
    )
    logger = MetricsCsv(folder / "metrics.csv")
    fit.fit_stage(module, batches(), folder / "stage", trainer, loggers=[logger])
    return [value for _, _, value in logger.rows()], {name: value.detach() for name, value in module.named_parameters()}


def test_a_stage_with_recorded_steps_is_the_stage_without(tmp_path: Path) -> None:
    record = Anew()
    losses, weights = trained(tmp_path / "recorded", record)
    eager_losses, eager_weights = trained(tmp_path / "eager", None)
    assert record.recorded == 2 and losses == eager_losses
    torch.testing.assert_close(weights, eager_weights, rtol=0, atol=0)
