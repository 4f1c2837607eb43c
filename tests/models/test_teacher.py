"""A teacher in memory: its states and attention, and its classes in the task's order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from hskd_lightning.compress.length.base import AttentionRequest
from hskd_lightning.data.examples import Task
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder
from hskd_lightning.models.teacher import Teacher, label_order
from tests.helpers import refusal

Build = Callable[..., PreTrainedModel]
POLARITY = Task("polarity", "accuracy", ("negative", "positive"))
MNLI = Task("mnli", "accuracy", ("entailment", "neutral", "contradiction"))
SCORE = Task("stsb", "pearson_spearman", None)


@pytest.fixture
def teach(tiny: Build, tmp_path: Path) -> Callable[..., Teacher]:
    """A teacher of this kind with three classes, through a folder as in a run."""

    def made(kind: str, order: tuple[int, ...] = (0, 1, 2), dropout: bool = False) -> Teacher:
        tiny(kind, num_labels=3).save_pretrained(tmp_path)
        return Teacher(str(tmp_path), order, dropout)

    return made


# Running.


def test_states_are_the_models(kind: str, teach: Callable[..., Teacher], batch: TokenBatch) -> None:
    teacher = teach(kind)
    states, attention = teacher.states(batch, (3, 1))
    assert attention is None
    with torch.inference_mode():
        expected = encoder.hidden_states(teacher.model, batch, (3, 1))
    assert all(torch.equal(state, other) for state, other in zip(states, expected, strict=True))


@pytest.mark.parametrize("statistic", ["cls_row", "received"])
def test_attention_of_every_architecture(
    kind: str, statistic: str, teach: Callable[..., Teacher], batch: TokenBatch
) -> None:
    teacher = teach(kind)
    plain, _ = teacher.states(batch, (1, 3))
    states, attention = teacher.states(batch, (1, 3), AttentionRequest(statistic, "mapped"), (0, 2))
    assert attention is not None and attention.shape == (3, 2, 7)
    assert attention.dtype == torch.float32 and attention.isfinite().all()
    padding = attention.masked_fill(batch.real[:, None], -torch.inf).amax(dim=-1)
    lowest = attention.masked_fill(~batch.real[:, None], torch.inf).amin(dim=-1)
    assert (padding[1:] < lowest[1:]).all()  # the first example has no padding
    for state, other in zip(states, plain, strict=True):
        torch.testing.assert_close(state[batch.real], other[batch.real], rtol=1e-4, atol=1e-5)


def test_attention_of_an_example_does_not_depend_on_its_batch(
    kind: str, teach: Callable[..., Teacher], batch: TokenBatch
) -> None:
    teacher, asked = teach(kind), AttentionRequest("cls_row", "mapped")
    _, together = teacher.states(batch, (1, 3), asked, (0, 2))
    alone = TokenBatch(*(tensor[1:2, :4] if tensor.ndim == 2 else tensor[1:2] for tensor in batch[:6]))
    _, own = teacher.states(alone, (1, 3), asked, (0, 2))
    assert together is not None and own is not None
    torch.testing.assert_close(own, together[1:2, :, :4], rtol=1e-4, atol=1e-5)


def test_states_stay_the_same_after_attention_was_asked(
    kind: str, teach: Callable[..., Teacher], batch: TokenBatch
) -> None:
    teacher = teach(kind)
    (before,), _ = teacher.states(batch, (3,))
    teacher.states(batch, (3,), AttentionRequest("cls_row", "mapped"), (2,))
    (after,), _ = teacher.states(batch, (3,))
    torch.testing.assert_close(after[batch.real], before[batch.real], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("statistic", ["cls_row", "received"])
@pytest.mark.parametrize("wanted", [(1,), (1, 3)])
def test_attention_of_the_last_block_is_the_same_with_the_logits_beside_it(
    kind: str, statistic: str, wanted: tuple[int, ...], teach: Callable[..., Teacher], batch: TokenBatch
) -> None:
    """Which want [CLS] alone of that block; the probability that a token is given needs every query."""
    teacher, asked, blocks = teach(kind), AttentionRequest(statistic, "uniform"), (2,) * len(wanted)
    states, alone = teacher.states(batch, wanted, asked, blocks)
    beside, attention, logits = teacher.everything(batch, wanted, asked, blocks)
    torch.testing.assert_close(attention, alone, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits, teacher.logits(batch), rtol=1e-4, atol=1e-5)
    assert len(beside) == len(wanted)
    for state, other in zip(beside, states, strict=True):
        torch.testing.assert_close(state, other, rtol=1e-5, atol=1e-5)


def test_attention_of_a_block_above_the_wanted_states(
    kind: str, teach: Callable[..., Teacher], batch: TokenBatch
) -> None:
    teacher, asked = teach(kind), AttentionRequest("received", "uniform")
    _, found = teacher.states(batch, (1, 1), asked, (0, 2))
    _, expected = teacher.states(batch, (1, 3), asked, (0, 2))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("wanted", "ran"), [((1,), 1), ((0, 2), 2), ((3,), 3)])
def test_states_alone_need_no_block_above_them(
    wanted: tuple[int, ...], ran: int, teach: Callable[..., Teacher], batch: TokenBatch
) -> None:
    teacher, seen = teach("bert"), []
    for block in encoder.blocks(teacher.model):
        block.output.register_forward_hook(lambda *_: seen.append(1))
    teacher.states(batch, wanted)
    assert len(seen) == ran


def test_logits_in_the_tasks_order(kind: str, teach: Callable[..., Teacher], batch: TokenBatch) -> None:
    teacher = teach(kind, order=(2, 0, 1))
    with torch.inference_mode():
        own = encoder.logits(teacher.model, batch)
    assert torch.equal(teacher.logits(batch), own[:, [2, 0, 1]])


def test_a_teacher_has_no_gradients(teach: Callable[..., Teacher], batch: TokenBatch) -> None:
    teacher = teach("bert")
    states, _ = teacher.states(batch, (3,))
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())
    assert states[0].is_inference() and teacher.logits(batch).is_inference()


def test_a_teacher_says_the_same_twice(teach: Callable[..., Teacher], batch: TokenBatch) -> None:
    teacher = teach("bert")
    assert torch.equal(teacher.logits(batch), teacher.logits(batch))


def test_a_teacher_with_dropout_does_not(teach: Callable[..., Teacher], batch: TokenBatch) -> None:
    teacher = teach("bert", dropout=True)
    assert not torch.equal(teacher.logits(batch), teacher.logits(batch))


def test_a_teacher_put_in_train_mode_is_noticed(teach: Callable[..., Teacher], batch: TokenBatch) -> None:
    teacher = teach("bert")
    teacher.model.train()
    with pytest.raises(AssertionError, match="someone changed the teacher's train/eval mode"):
        teacher.logits(batch)


def test_a_teacher_is_no_module(teach: Callable[..., Teacher]) -> None:
    holder = torch.nn.Linear(1, 1)
    holder.teacher = teach("bert")
    assert len(list(holder.parameters())) == 2


# The order of classes.


def test_the_same_names_in_the_same_order() -> None:
    assert label_order({0: "negative", 1: "positive"}, POLARITY) == [0, 1]


def test_mnli_permuted() -> None:
    assert label_order({0: "contradiction", 1: "entailment", 2: "neutral"}, MNLI) == [1, 2, 0]


def test_case_does_not_matter() -> None:
    assert label_order({0: "POSITIVE", 1: "NEGATIVE"}, POLARITY) == [1, 0]


def test_label_k_is_refused_with_the_remedy() -> None:
    with refusal("teacher.checkpoint", "'teacher.label_map={negative: 0, positive: 1}'"):
        label_order({0: "LABEL_0", 1: "LABEL_1"}, POLARITY)


def test_names_of_another_task_are_refused() -> None:
    with refusal("teacher.checkpoint", "the task's classes: negative, positive"):
        label_order({0: "entailment", 1: "not_entailment"}, POLARITY)


def test_more_outputs_than_classes_are_refused() -> None:
    with refusal("teacher.checkpoint", "'negative, neutral, positive' cannot be used"):
        label_order({0: "negative", 1: "neutral", 2: "positive"}, POLARITY)


def test_a_label_map_says_which_logit_is_which() -> None:
    names = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    given = {"entailment": 2, "neutral": 1, "contradiction": 0}
    assert label_order(names, MNLI, given) == [2, 1, 0]


def test_a_label_map_wins_over_names() -> None:
    assert label_order({0: "negative", 1: "positive"}, POLARITY, {"negative": 1, "positive": 0}) == [1, 0]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"negative": 0}, id="a class is missing"),
        pytest.param({"negative": 0, "positive": 0}, id="one logit for two"),
        pytest.param({"negative": 0, "positive": 2}, id="a logit that is not there"),
        pytest.param({"neg": 0, "pos": 1}, id="other names"),
    ],
)
def test_a_label_map_that_does_not_fit(given: dict[str, int]) -> None:
    with refusal("teacher.label_map", "the task's classes: negative, positive"):
        label_order({0: "LABEL_0", 1: "LABEL_1"}, POLARITY, given)


def test_regression_has_one_output() -> None:
    assert label_order({0: "LABEL_0"}, SCORE) == [0]


def test_regression_refuses_a_classifier() -> None:
    with refusal("teacher", "one output for a regression task"):
        label_order({0: "LABEL_0", 1: "LABEL_1"}, SCORE)


def test_regression_logits_are_the_score(tiny: Build, batch: TokenBatch, tmp_path: Path) -> None:
    tiny("bert", num_labels=1).save_pretrained(tmp_path)
    assert Teacher(str(tmp_path), [0]).logits(batch).shape == (3, 1)
