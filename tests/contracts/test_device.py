"""What every strategy and source promises on a device: the CPU's numbers, no device mixed, and next to no wait a step.

The device is emulated (tests/emulated_device.py). A strategy or control that is added to conf/ is tested too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from hskd_lightning.assets import Assets
from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.models.encoder import load_classifier
from hskd_lightning.settings.stages import HIDDEN, PREDICTION
from hskd_lightning.training.distiller import Distiller
from hskd_lightning.training.module import plain_config
from tests.contracts.strategies import EXAMPLES, one_option, with_keep
from tests.emulated_device import emulated
from tests.helpers import batch_of, options

ROWS = [0, 1, 2, 3, 4, 5]
PLAIN = {"depth": ("uniform", 2), "length": ("cls_first", 5), "width": ("pca", 5)}
"""Of each axis, unless a test chooses: a strategy, and how much it keeps where it can keep less than everything."""
MASKS = "transformers/masking_utils.py"
"""Where transformers looks whether anything is padded, once a forward, unless the mask spares it that."""

Make = Callable[..., Assets]


@pytest.fixture
def make(small: Callable[..., DictConfig]) -> Make:
    return lambda *chosen: Assets(Experiment.resolve(plain(small(*chosen))))


def setting(*chosen: str, **axes: tuple[str, dict[str, Any]]) -> list[str]:
    """Overrides: of each axis the strategy that is given with its options, else that of PLAIN."""
    overrides = []
    for axis, (usual, keep) in PLAIN.items():
        name, given = axes.get(axis, (usual, {}))
        own = {key.split(".")[1]: value for key, value in EXAMPLES.items() if key.startswith(f"{axis}.")}
        kept = {"keep": keep} if name in with_keep(axis) and name not in ("bottom", "last") else {}
        options = (own if name == "explicit" else {}) | kept | given
        overrides += [f"{axis}={name}", *(f"{axis}.{option}={value}" for option, value in options.items())]
    return [*overrides, *chosen]


def source_of(assets: Assets) -> KnowledgeSource:
    source = assets.knowledge.source()
    assert source is not None
    return source


def distiller(assets: Assets, stage: str) -> Distiller:
    """The cell's student and learned map, before any training."""
    experiment = assets.experiment
    student = load_classifier(str(assets.student.folder))
    module = Distiller(
        stage=stage,
        config=plain_config(student.config),
        task=dataclasses.asdict(experiment.task),
        settings=dataclasses.asdict(experiment.stage(stage)) | {"dropout": False},
        total_steps=4,
        seed=0,
        teacher_width=experiment.teacher_config.hidden_size,
    )
    module.model.load_state_dict(student.state_dict())
    return module.eval()


def read_batch(assets: Assets, source: KnowledgeSource, stage: str) -> TokenBatch:
    """As the loader makes it: with what the source's reader says of it."""
    batch, read = batch_of(assets, ROWS), source.reader(stage == HIDDEN)
    return batch if read is None else batch._replace(taught=read(batch.ids))


def loss_and_gradient(module: Distiller, source: KnowledgeSource, batch: TokenBatch, stage: str) -> tuple[Tensor, Any]:
    loss = module.hidden_loss(batch, source) if stage == HIDDEN else module.prediction_loss(batch)
    loss.backward()
    return loss.detach(), [parameter.grad for parameter in module.parameters() if parameter.grad is not None]


def on_cpu(assets: Assets, stage: str) -> tuple[Tensor, list[Tensor]]:
    source, module = source_of(assets), distiller(assets, stage)
    module.attach(source)
    return loss_and_gradient(module, source, read_batch(assets, source, stage), stage)


def on_device(assets: Assets, stage: str) -> tuple[Tensor, list[Tensor], list[str]]:
    """The same on the emulated device, and the waits of the step, its batch's way to the device included."""
    source, module = source_of(assets), distiller(assets, stage)
    module.attach(source)
    with emulated() as waits:
        device = torch.device("cuda", 0)
        module.to(device)
        source.to(device)
        batch = read_batch(assets, source, stage)
        waits.clear()
        loss, gradients = loss_and_gradient(module, source, batch.to(device), stage)
        counted = list(waits)
        return loss.cpu(), [gradient.cpu() for gradient in gradients], counted


def check(make: Make, stage: str, chosen: list[str], most: int) -> None:
    expected, gradients = on_cpu(make(*chosen), stage)
    loss, found, waits = on_device(make(*chosen), stage)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found, gradients, rtol=1e-4, atol=1e-6)
    ours = [wait for wait in waits if MASKS not in wait]
    assert len(ours) <= most, "\n".join(ours)


STRATEGIES = [
    (axis, *case.values)
    for axis, choices in (
        ("depth", ()),
        ("length", (("separators", ["first_row"]), ("pin_cls", [True]))),
        ("width", (("masked", ["zero"]), ("scope", ["example", "batch"]))),
    )
    for case in one_option(axis, *choices)
]


@pytest.mark.parametrize(("axis", "name", "given"), STRATEGIES)
def test_a_strategy_online(make: Make, axis: str, name: str, given: dict[str, Any]) -> None:
    check(make, HIDDEN, setting("knowledge=online", **{axis: (name, given)}), most=0)
