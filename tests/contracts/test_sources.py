"""What every source of knowledge promises. A new source joins by one entry in SOURCES."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from omegaconf import DictConfig

from hskd_lightning.assets import Assets
from hskd_lightning.assets.fits import fit
from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.knowledge.teacher_source import TeacherSource
from hskd_lightning.models.encoder import hidden_states, logits
from tests.helpers import batch_of


def online(assets: Assets) -> KnowledgeSource:
    teacher, plan = assets.teacher.load(), assets.experiment.plan
    assert plan is not None
    return TeacherSource(teacher, plan, lambda: fit(assets.taught_states, teacher, plan, assets.stores.request))


def offline(assets: Assets) -> KnowledgeSource:
    return assets.stores.source()


SOURCES = {"online": online, "offline": offline}
KEEPS = (
    "depth=uniform",
    "depth.keep=2",
    "length=attention_no_sep",
    "length.keep=3",
    "width=magnitude_mask",
    "width.keep=5",
    "bits=fp32",
)


@pytest.fixture
def assets(small: Callable[..., DictConfig]) -> Assets:
    return Assets(Experiment.resolve(plain(small(*KEEPS))))


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, assets: Assets) -> KnowledgeSource:
    return SOURCES[request.param](assets)


def test_target_has_the_shapes_of_the_legend(source: KnowledgeSource, assets: Assets) -> None:
    target = source.hidden(batch_of(assets, [0, 1, 2, 3]))
    assert target.tokens.positions.shape == target.tokens.valid.shape == (4, 2, 3)
    assert target.values.shape[:3] == (4, 2, 3)


def test_target_is_the_teachers_states_at_the_chosen_places(source: KnowledgeSource, assets: Assets) -> None:
    batch = batch_of(assets, [5])
    target = source.hidden(batch)
    teacher = assets.teacher.load().model
    with torch.inference_mode():
        states = hidden_states(teacher, batch, (2, 4))
    assert target.units is not None
    for pair, state in enumerate(states):
        for number, position in enumerate(target.tokens.positions[0, pair].tolist()):
            kept = target.units[0, pair, number]
            assert kept.sum() == 5
            expected = state[0, position][kept]
            torch.testing.assert_close(target.values[0, pair, number][kept], expected, rtol=1e-5, atol=1e-6)


def test_logits_are_the_teachers(source: KnowledgeSource, assets: Assets) -> None:
    batch = batch_of(assets, [0, 1, 2])
    with torch.inference_mode():
        expected = logits(assets.teacher.load().model, batch)
    torch.testing.assert_close(source.logits(batch), expected, rtol=1e-5, atol=1e-6)


def test_an_example_gets_the_same_knowledge_whatever_its_neighbours(source: KnowledgeSource, assets: Assets) -> None:
    longest = int(assets.corpus.student_splits.train.lengths.argmax())
    alone = source.hidden(batch_of(assets, [7]))
    among = source.hidden(batch_of(assets, [longest, 7]))
    assert torch.equal(alone.tokens.positions[0], among.tokens.positions[1])
    torch.testing.assert_close(alone.values[0], among.values[1], rtol=1e-5, atol=1e-5)


def test_twice_the_same_batch_is_bitwise_the_same(source: KnowledgeSource, assets: Assets) -> None:
    batch = batch_of(assets, [0, 1, 2, 3])
    one, other = source.hidden(batch), source.hidden(batch)
    assert torch.equal(one.values, other.values)
    assert torch.equal(source.logits(batch), source.logits(batch))


def test_knowledge_needs_no_gradient_and_can_be_kept_for_a_backward_pass(
    source: KnowledgeSource, assets: Assets
) -> None:
    batch = batch_of(assets, [0, 1])
    for knowledge in (source.hidden(batch).values, source.logits(batch)):
        assert not knowledge.requires_grad
        weight = torch.ones_like(knowledge, requires_grad=True)
        (weight * knowledge).sum().backward()
        assert torch.equal(weight.grad, knowledge)


def test_compression_is_the_one_to_look_at_the_student_with(source: KnowledgeSource) -> None:
    assert source.compression is not None
    assert source.compression.layer_map.pairs == ((1, 2), (2, 4))
