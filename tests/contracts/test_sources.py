"""What every source of knowledge promises. A new source joins by one entry in SOURCES."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from omegaconf import DictConfig

from hskd_lightning.assets.stores import Storeroom
from hskd_lightning.assets.workshop import Workshop
from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.knowledge.teacher_source import TeacherSource
from hskd_lightning.models.encoder import hidden_states, logits
from tests.helpers import batch_of


def online(workshop: Workshop) -> KnowledgeSource:
    teacher, plan = workshop.load_teacher(), workshop.experiment.plan
    assert plan is not None
    return TeacherSource(teacher, plan, lambda: workshop.moments(teacher, plan.layer_map.teacher_states))


def offline(workshop: Workshop) -> KnowledgeSource:
    return Storeroom(workshop).source()


SOURCES = {"online": online, "offline": offline}
KEEPS = (
    "depth=uniform",
    "depth.keep=2",
    "length=attention_no_sep",
    "length.keep=3",
    "width=magnitude_mask",
    "width.keep=5",
    "store.dtype=fp32",
)


@pytest.fixture
def workshop(small: Callable[..., DictConfig]) -> Workshop:
    return Workshop(Experiment.resolve(plain(small(*KEEPS))))


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, workshop: Workshop) -> KnowledgeSource:
    return SOURCES[request.param](workshop)


def test_target_has_the_shapes_of_the_legend(source: KnowledgeSource, workshop: Workshop) -> None:
    target = source.hidden(batch_of(workshop, [0, 1, 2, 3]), step=1)
    assert target.tokens.positions.shape == target.tokens.valid.shape == (4, 2, 3)
    assert target.values.shape[:3] == (4, 2, 3)


def test_target_is_the_teachers_states_at_the_chosen_places(source: KnowledgeSource, workshop: Workshop) -> None:
    batch = batch_of(workshop, [5])
    target = source.hidden(batch, step=1)
    teacher = workshop.load_teacher().model
    with torch.inference_mode():
        states = hidden_states(teacher, batch, (2, 4))
    assert target.units is not None
    for pair, state in enumerate(states):
        for number, position in enumerate(target.tokens.positions[0, pair].tolist()):
            kept = target.units[0, pair, number]
            assert kept.sum() == 5
            expected = state[0, position][kept]
            torch.testing.assert_close(target.values[0, pair, number][kept], expected, rtol=1e-5, atol=1e-6)


def test_logits_are_the_teachers(source: KnowledgeSource, workshop: Workshop) -> None:
    batch = batch_of(workshop, [0, 1, 2])
    with torch.inference_mode():
        expected = logits(workshop.load_teacher().model, batch)
    torch.testing.assert_close(source.logits(batch), expected, rtol=1e-5, atol=1e-6)


def test_an_example_gets_the_same_knowledge_whatever_its_neighbours(
    source: KnowledgeSource, workshop: Workshop
) -> None:
    longest = int(workshop.student_splits.train.lengths.argmax())
    alone = source.hidden(batch_of(workshop, [7]), step=1)
    among = source.hidden(batch_of(workshop, [longest, 7]), step=1)
    assert torch.equal(alone.tokens.positions[0], among.tokens.positions[1])
    torch.testing.assert_close(alone.values[0], among.values[1], rtol=1e-5, atol=1e-5)


def test_twice_the_same_batch_is_bitwise_the_same(source: KnowledgeSource, workshop: Workshop) -> None:
    batch = batch_of(workshop, [0, 1, 2, 3])
    one, other = source.hidden(batch, step=1), source.hidden(batch, step=2)
    assert torch.equal(one.values, other.values)
    assert torch.equal(source.logits(batch), source.logits(batch))


def test_knowledge_needs_no_gradient_and_can_be_kept_for_a_backward_pass(
    source: KnowledgeSource, workshop: Workshop
) -> None:
    batch = batch_of(workshop, [0, 1])
    for knowledge in (source.hidden(batch, step=1).values, source.logits(batch)):
        assert not knowledge.requires_grad
        weight = torch.ones_like(knowledge, requires_grad=True)
        (weight * knowledge).sum().backward()
        assert torch.equal(weight.grad, knowledge)


def test_compression_is_the_one_to_look_at_the_student_with(source: KnowledgeSource) -> None:
    assert source.compression is not None
    assert source.compression.layer_map.pairs == ((1, 2), (2, 4))
