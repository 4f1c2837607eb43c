"""What every strategy and source promises on a device: the CPU's numbers, no device mixed, and next to no wait a step.

The device is emulated (tests/emulated_device.py). A strategy or control that is added to conf/ is tested too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from hskd_lightning.assets import Assets
from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.knowledge import device_store
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.knowledge.writer import BATCH
from hskd_lightning.models.encoder import load_classifier
from hskd_lightning.settings.groups import TrainerSettings
from hskd_lightning.settings.stages import HIDDEN, PREDICTION
from hskd_lightning.training.distiller import Distiller
from hskd_lightning.training.module import plain_config
from tests.contracts.strategies import EXAMPLES, one_option, with_keep
from tests.emulated_device import CUDA, emulated
from tests.helpers import batch_of, options

ROWS = [0, 1, 2, 3, 4, 5]
PLAIN = {"depth": ("uniform", 2), "length": ("cls_first", 5), "width": ("pca", 5)}
"""Of each axis, unless a test chooses: a strategy, and how much it keeps where it can keep less than everything."""
MANY = ("store.shard_tokens=200",)
"""A store of several shards."""
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
        kept = {"keep": keep} if name in with_keep(axis) and name not in ("bottom", "last", "skip") else {}
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
    module = distiller(assets, stage)
    with emulated() as waits, patch.object(TrainerSettings, "device", CUDA):
        source = source_of(assets)
        module.attach(source).to(CUDA)
        source.to(CUDA)
        batch = read_batch(assets, source, stage)
        if stage == HIDDEN:
            source.hidden(batch.to(CUDA))  # what is put on the device once, in the first step
        waits.clear()
        there = batch.to(CUDA)
        if module.repeatable(there):
            there = there._replace(host=None)  # as a step is recorded, see training/graphs.py
        loss, gradients = loss_and_gradient(module, source, there, stage)
        counted = list(waits)
        return loss.cpu(), [gradient.cpu() for gradient in gradients], counted


def check(make: Make, stage: str, chosen: list[str]) -> None:
    agree(on_cpu(make(*chosen), stage), on_device(make(*chosen), stage))


def check_stored(make: Make, chosen: list[str]) -> None:
    """The hidden stage from a store that is resident on the device, and from one that is not."""
    expected = on_cpu(make(*chosen), HIDDEN)
    for free in (2**30, 0):
        with patch.object(device_store, "free_bytes", lambda device, free=free: free):
            agree(expected, on_device(make(*chosen), HIDDEN))


def agree(expected: tuple[Tensor, list[Tensor]], found: tuple[Tensor, list[Tensor], list[str]]) -> None:
    """Loss and gradients are the CPU's, and nothing waited."""
    loss, gradients, waits = found
    torch.testing.assert_close(loss, expected[0], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(gradients, expected[1], rtol=1e-4, atol=1e-6)
    assert not [wait for wait in waits if MASKS not in wait]


Strategies = dict[str, tuple[str, dict[str, Any]]]
"""Of each axis a strategy's name and options."""
CHOICES = {
    "depth": (),
    "length": (("separators", ["first_row"]), ("pin_cls", [True])),
    "width": (("masked", ["zero"]), ("scope", ["example", "batch"])),
}
NOT_STORED = ("first_row", "batch")
"""Options of strategies that no store can hold."""


def every_strategy(*left_out: str) -> list[Any]:
    """Each strategy of each axis, and each again with each of CHOICES, by as few settings as the longest axis has."""
    axes = {axis: [case.values for case in one_option(axis, *choices)] for axis, choices in CHOICES.items()}
    kept = {axis: [case for case in cases if not {*left_out} & {*case[1].values()}] for axis, cases in axes.items()}
    settings = [
        {axis: cases[number % len(cases)] for axis, cases in kept.items()}
        for number in range(max(map(len, kept.values())))
    ]
    return [pytest.param(found, id=" ".join(name for name, _ in found.values())) for found in settings]


@pytest.mark.parametrize("strategies", every_strategy())
def test_strategies_with_their_teacher_wait_for_nothing(make: Make, strategies: Strategies) -> None:
    check(make, HIDDEN, setting("knowledge=online", **strategies))


@pytest.mark.parametrize("strategies", every_strategy(*NOT_STORED))
def test_strategies_from_a_store_wait_for_nothing(make: Make, strategies: Strategies) -> None:
    check_stored(make, setting(*MANY, **strategies))


BITS = ["bits=fp32", "bits=int8", "bits=int4", "bits=planes bits.keep=12", "bits=residual bits.keep=3"]


@pytest.mark.parametrize("bits", BITS)
def test_bits_from_a_store_wait_for_nothing(make: Make, bits: str) -> None:
    needs_faiss(bits)
    check_stored(make, setting(*MANY, *bits.split()))


@pytest.mark.parametrize("bits", BITS)
def test_bits_with_their_teacher_wait_for_nothing(make: Make, bits: str) -> None:
    needs_faiss(bits)
    check(make, HIDDEN, setting("knowledge=online", *bits.split()))


def needs_faiss(bits: str) -> None:
    if "residual" in bits:
        pytest.importorskip("faiss")


@pytest.mark.parametrize("stage", [HIDDEN, PREDICTION])
@pytest.mark.parametrize("knowledge", ["online", "offline"])
@pytest.mark.parametrize("control", options("control"))
def test_a_control_waits_for_nothing(make: Make, control: str, knowledge: str, stage: str) -> None:
    with patch.object(device_store, "free_bytes", lambda device: 2**30):
        check(make, stage, setting(f"control={control}", f"knowledge={knowledge}"))


KEPT = {
    "components": setting("bits=fp16"),
    "components, int8": setting("bits=int8"),
    "components, int4": setting("bits=int4"),
    "components, planes": setting("bits=planes", "bits.keep=12"),
    "masks, int4": setting("bits=int4", width=("magnitude_mask", {})),
    "masks, planes": setting("bits=planes", "bits.keep=12", width=("magnitude_mask", {})),
    "masks": setting("bits=bf16", width=("magnitude_mask", {})),
    "masks of examples, int8": setting("bits=int8", width=("magnitude_mask", {"scope": "example"})),
    "ranked by attention": setting(length=("attention_no_sep", {})),
    "logits alone": ["knowledge=logits"],
}


@pytest.mark.parametrize("kept", KEPT)
def test_a_store_written_on_a_device_is_that_of_the_cpu(make: Make, tmp_path: Path, kept: str) -> None:
    here, there = tmp_path / "cpu", tmp_path / "device"
    write(make(*KEPT[kept], *MANY), here)
    with emulated() as waits, patch.object(TrainerSettings, "device", CUDA):
        batches, shards, layers, masked = write(make(*KEPT[kept], *MANY), there)
        counted = [wait for wait in waits if "knowledge/" in wait and MASKS not in wait]
    files = sorted(path.name for path in here.glob("*.safetensors"))
    assert files == sorted(path.name for path in there.glob("*.safetensors"))
    assert [name for name in files if (here / name).read_bytes() != (there / name).read_bytes()] == []
    # A batch is waited for once, and once a layer where its masks are read; the rest is a shard's.
    assert len(counted) <= batches * (1 + layers * masked) + shards * (2 + 8 * layers)


def write(assets: Assets, folder: Path) -> tuple[int, int, int, bool]:
    """Write all shards of the cell's own store: how many batches, shards and layers it has, and whether masks."""
    folder.mkdir()
    writer = assets.stores.writer(folder, assets.stores.request)
    writer.write(writer.missing())
    batches = sum(-(-len(rows) // BATCH) for rows in writer.shards)
    return batches, len(writer.shards), len(writer.request.layers), writer.request.masks
