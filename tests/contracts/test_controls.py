"""What every control of conf/control promises, online and offline. A yaml added there is tested too."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from hskd_lightning.assets import Assets
from hskd_lightning.config import plain
from hskd_lightning.data.loader import collate
from hskd_lightning.experiment import Experiment
from hskd_lightning.hsk import HiddenTarget
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.models.encoder import logits
from tests.helpers import batch_of, options

CONTROLS = options("control")
WIDTHS = {
    "all": ["width=all"],
    "pca": ["width=pca", "width.keep=5"],
    "static mask": ["width=random_mask", "width.keep=5"],
    "masks": ["width=magnitude_mask", "width.keep=5"],
    "masks of examples": ["width=magnitude_mask", "width.keep=5", "width.scope=example"],
    "masks as zeros": ["width=magnitude_mask", "width.keep=5", "preset.masked=zero"],
}
KEEPS = ("depth=uniform", "depth.keep=2", "length=random", "length.keep=7", "bits=fp32")
"""Tokens are drawn, so that no teacher has a say in where they are; seven are more than some examples have."""

Make = Callable[..., Assets]
every_control = pytest.mark.parametrize("control", CONTROLS)
every_source = pytest.mark.parametrize("knowledge", ["online", "offline"])
every_width = pytest.mark.parametrize("width", WIDTHS)


@pytest.fixture
def make(small: Callable[..., DictConfig]) -> Make:
    def made(control: str, knowledge: str, width: str = "pca", *overrides: str) -> Assets:
        chosen = [*KEEPS, *WIDTHS[width], f"control={control}", f"knowledge={knowledge}", *overrides]
        return Assets(Experiment.resolve(plain(small(*chosen))))

    return made


def source_of(assets: Assets) -> KnowledgeSource:
    source = assets.knowledge.source()
    assert source is not None
    return source


def heard(target: HiddenTarget) -> Tensor:
    """The values that count, the others 0: (B, P, K, W)."""
    counted = target.tokens.valid[..., None]
    return target.values * (counted if target.units is None else counted & target.units)


@every_width
@every_source
@every_control
def test_target_stands_where_the_true_one_does(make: Make, control: str, knowledge: str, width: str) -> None:
    rows = [0, 1, 2, 3, 4, 5, 6, 7]
    assets, uncontrolled = make(control, knowledge, width), make("none", knowledge, width)
    target = source_of(assets).hidden(batch_of(assets, rows))
    true = source_of(uncontrolled).hidden(batch_of(uncontrolled, rows))
    assert torch.equal(target.tokens.positions, true.tokens.positions)
    assert torch.equal(target.tokens.valid, true.tokens.valid)
    assert target.values.shape == true.values.shape
    assert target.values.dtype == true.values.dtype
    assert (target.units is None) == (true.units is None)
    assert torch.equal(heard(target), heard(true)) == (control == "none")


@every_width
@every_control
def test_online_and_offline_teach_the_same(make: Make, control: str, width: str) -> None:
    online, offline = make(control, "online", width), make(control, "offline", width)
    for split in ("train", "selection"):
        one, other = (source_of(assets).hidden(batch_of(assets, [0, 3, 1, 5], split)) for assets in (online, offline))
        assert torch.equal(one.tokens.positions, other.tokens.positions)
        torch.testing.assert_close(heard(one), heard(other), rtol=1e-4, atol=1e-5)


@every_source
@every_control
def test_an_example_is_taught_the_same_in_every_epoch_and_whatever_its_neighbours(
    make: Make, control: str, knowledge: str
) -> None:
    assets = make(control, knowledge)
    source = source_of(assets)
    longest = int(assets.corpus.student_splits.train.lengths.argmax())
    alone = source.hidden(batch_of(assets, [7]))
    among = source.hidden(batch_of(assets, [longest, 7, 2]))
    kept = int(alone.tokens.valid[0, 0].sum())
    torch.testing.assert_close(alone.values[0, :, :kept], among.values[1, :, :kept], rtol=1e-5, atol=1e-5)
    assert torch.equal(alone.tokens.positions[0, :, :kept], among.tokens.positions[1, :, :kept])


@every_source
@every_control
def test_made_twice_it_is_bitwise_the_same(make: Make, control: str, knowledge: str) -> None:
    """As in the process that goes on where another was killed."""
    batches, targets = [], []
    for _ in range(2):
        assets = make(control, knowledge)
        batches.append(batch_of(assets, [0, 1, 2, 3]))
        targets.append(source_of(assets).hidden(batches[-1]).values)
    assert torch.equal(*targets)


@every_source
@every_control
def test_logits_are_the_true_teachers(make: Make, control: str, knowledge: str) -> None:
    assets = make(control, knowledge)
    batch = batch_of(assets, [0, 1, 2])
    with torch.inference_mode():
        expected = logits(assets.teacher.load().model, batch)
    torch.testing.assert_close(source_of(assets).logits(batch), expected, rtol=1e-5, atol=1e-6)


@every_control
def test_what_a_worker_process_reads_is_what_the_source_says(make: Make, control: str) -> None:
    assets = make(control, "offline")
    source, batch = source_of(assets), batch_of(assets, [4, 2])
    for hidden in (True, False):
        read = pickle.loads(pickle.dumps(source.reader(hidden)))(batch.ids)
        brought = batch._replace(taught=read)
        if hidden:
            assert torch.equal(read.values, source.hidden(batch).values)
            assert source.hidden(brought) is read
        else:
            assert torch.equal(read, source.logits(batch))
            assert source.logits(brought) is read


@every_source
@every_control
def test_targets_need_no_gradient_and_can_be_kept_for_a_backward_pass(make: Make, control: str, knowledge: str) -> None:
    assets = make(control, knowledge)
    values = source_of(assets).hidden(batch_of(assets, [0, 1])).values
    assert not values.requires_grad
    weight = torch.ones_like(values, requires_grad=True)
    (weight * values).sum().backward()
    assert torch.equal(weight.grad, values)


@every_source
@every_control
def test_the_student_is_looked_at_as_without_a_control(make: Make, control: str, knowledge: str) -> None:
    compression = source_of(make(control, knowledge)).compression
    assert compression is not None
    assert compression.layer_map.pairs == ((1, 2), (2, 4))


@every_source
@pytest.mark.parametrize("control", [name for name in CONTROLS if name != "untrained"])
def test_attention_that_ranks_tokens_is_the_true_teachers(make: Make, control: str, knowledge: str) -> None:
    ranked = ("length=attention", "length.keep=3")
    assets, uncontrolled = make(control, knowledge, "pca", *ranked), make("none", knowledge, "pca", *ranked)
    found, true = (source_of(each).hidden(batch_of(each, [0, 1, 2, 3])) for each in (assets, uncontrolled))
    assert torch.equal(found.tokens.positions, true.tokens.positions)


@every_control
def test_padding_that_is_distilled_is_taught_too(make: Make, control: str) -> None:
    targets = []
    for knowledge in ("online", "offline"):
        assets = make(control, knowledge, "all", "hsk.amount=null", "length.keep=null", "preset.padding=distill")
        rows, pad_id = torch.tensor([0, 1]), assets.corpus.tokenizer.pad_token_id
        batch = collate(assets.corpus.student_splits.train, rows, pad_id, assets.corpus.pad_to)
        targets.append(source_of(assets).hidden(batch))
    online, offline = targets
    assert online.tokens.valid.all() and offline.tokens.valid.all()
    assert online.values.shape == (2, 2, assets.experiment.settings.data.max_length, 16)
    torch.testing.assert_close(online.values, offline.values, rtol=1e-4, atol=1e-5)
