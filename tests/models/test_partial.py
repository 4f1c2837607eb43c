"""A model run no further than what is read of it, against the whole model as transformers runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from hskd_lightning.hsk import TokenBatch, TokenSelection
from hskd_lightning.models import encoder, partial
from hskd_lightning.models.rosita import RositaConfig
from tests.models.tiny_models import COMMON, CONFIGS

Build = Callable[..., PreTrainedModel]
KNOWN = ("bert", "rosita", "roberta", "electra", "distilbert")


def rosita(**more: object) -> RositaConfig:
    """Of three heads, which do not divide the hidden size."""
    return RositaConfig(**{**COMMON, "num_attention_heads": 3, **more}, head_size=8, embedding_rank=5)


@pytest.fixture(params=KNOWN)
def kind(request: pytest.FixtureRequest) -> str:
    """Each architecture that is run in part, in turn."""
    return request.param


@pytest.fixture
def tiny() -> Build:
    """Build a classifier of this kind, in eval mode, with the same weights every time; of biases that count."""

    def built(kind: str, **more: object) -> PreTrainedModel:
        torch.manual_seed(0)
        model = encoder.build_classifier((CONFIGS | {"rosita": rosita})[kind](**more)).eval()
        for parameter in model.parameters():
            if parameter.ndim == 1:
                nn.init.normal_(parameter, parameter.mean().item(), std=0.2)
        return model

    return built


def whole(model: PreTrainedModel, batch: TokenBatch) -> tuple[tuple[Tensor, ...], Tensor]:
    """All hidden states and the logits, as transformers computes them."""
    output = model(**encoder.model_inputs(model, batch), output_hidden_states=True)
    return output.hidden_states, output.logits


def gradients(model: PreTrainedModel, value: Tensor) -> dict[str, Tensor]:
    """Of the sum of squares, by parameter; those that are read nowhere are left out."""
    model.zero_grad()
    value.square().sum().backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Up to the order of sums: a gradient that is 0 to the last bit of one is so to the last bit of the other."""
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name in found.keys() | expected.keys():
        one, other = (given.get(name, torch.zeros(())) for given in (found, expected))
        torch.testing.assert_close(one.expand_as(other), other.expand_as(one), rtol=1e-4, atol=1e-6 * largest)


def selection(*pairs: list[list[int]]) -> TokenSelection:
    """The positions (B, K) of each pair; all of them valid."""
    positions = torch.tensor(pairs).transpose(0, 1)  # (B, P, K)
    return TokenSelection(positions, torch.ones_like(positions, dtype=torch.bool))


@contextmanager
def tokens_seen(*modules: nn.Module) -> Iterator[list[int]]:
    """How many tokens of an example each of these modules sees, in the order in which they run."""
    seen: list[int] = []
    handles = [module.register_forward_hook(lambda m, args, out: seen.append(args[0].shape[1])) for module in modules]
    yield seen
    for handle in handles:
        handle.remove()


@pytest.fixture(params=[[0, 1, 2], [0, 1, 2, 1]], ids=["each alone", "two in a sequence"])
def rows(request: pytest.FixtureRequest) -> list[int]:
    """Which of the batch's examples, of 7, 4 and 5 tokens: three have a call of attention each, four one for two."""
    return request.param


@pytest.fixture
def examples(batch: TokenBatch, rows: list[int]) -> TokenBatch:
    """These examples."""
    return TokenBatch(*(tensor[rows] for tensor in batch[:6]))


# [CLS] alone.


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_logits_and_gradients_are_the_whole_models(
    kind: str, attention: str, tiny: Build, examples: TokenBatch
) -> None:
    model = tiny(kind, num_labels=3)
    model.set_attn_implementation(attention)
    expected, found = whole(model, examples)[1], encoder.logits(model, examples)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert_same(gradients(model, found), gradients(model, expected))


def test_the_last_block_computes_cls_alone(tiny: Build, batch: TokenBatch) -> None:
    model = tiny("bert")
    below, last = encoder.blocks(model)[1:]
    own = last.attention.self
    parts = (below.output, own.query, own.key, own.value, last.attention.output, last.intermediate)
    with tokens_seen(*parts) as seen:
        encoder.logits(model, batch)
    assert seen == [7, 1, 7, 7, 1, 1]


def test_a_single_token(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    alone = batch._replace(
        input_ids=batch.input_ids[:, :1],
        attention_mask=batch.attention_mask[:, :1],
        token_type_ids=batch.token_type_ids[:, :1],
    )
    torch.testing.assert_close(encoder.logits(model, alone), whole(model, alone)[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("wanted", [(0,), (2, 1), (1, 3), (3,)])
def test_states_beside_the_logits_are_whole(kind: str, wanted: tuple[int, ...], tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    expected, logits = whole(model, batch)
    states, found = encoder.states_and_logits(model, batch, wanted)
    for state, number in zip(states, wanted, strict=True):
        torch.testing.assert_close(state, expected[number], rtol=0, atol=0)
    torch.testing.assert_close(found, logits, rtol=1e-5, atol=1e-5)


def test_the_order_of_sums_is_all_that_differs_in_bfloat16(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = encoder.logits(model, batch), whole(model, batch)[1]
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


def test_dropout_is_drawn_from_the_same_distribution(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind).train()
    one = TokenBatch(*(tensor[1:2].expand(4000, *tensor.shape[1:]) for tensor in batch[:6]))
    with torch.no_grad():
        found, expected = encoder.logits(model, one)[:, 0], whole(model, one)[1][:, 0]
    spread = float(expected.std())
    assert spread > 0.01
    assert float(found.mean()) == pytest.approx(float(expected.mean()), abs=5 * spread * (2 / 4000) ** 0.5)
    assert float(found.std()) == pytest.approx(spread, rel=0.08)


# The hidden stage's tokens.

SOME = [[0, 3, 5], [1, 0, 0], [4, 2, 0]]
OTHERS = [[6, 3, 1], [2, 0, 0], [0, 1, 0]]
ONE = [[2], [0], [4]]
MOST = [[5, 4, 3, 2, 1, 0], [3, 2, 1, 0, 0, 0], [4, 3, 2, 1, 0, 0]]
ALL = [[0, 1, 2, 3, 4, 5, 6]] * 3
KEPT = {
    "one token of the top": ((3,), (ONE,)),
    "some of the top": ((3,), (SOME,)),
    "most of the top": ((3,), (MOST,)),
    "all of the top": ((3,), (ALL,)),
    "some of two states": ((1, 3), (SOME, OTHERS)),
    "the top twice, other tokens": ((2, 3, 3), (SOME, SOME, OTHERS)),
    "the top twice, more tokens than there are": ((3, 3), (MOST, MOST)),
    "below the top": ((1, 2), (OTHERS, SOME)),
    "from the top down": ((3, 1), (SOME, OTHERS)),
    "embeddings alone": ((0,), (SOME,)),
    "embeddings and the first block": ((0, 1), (ONE, ONE)),
}


@pytest.mark.parametrize("case", KEPT)
def test_kept_states_and_gradients_are_those_gathered_from_the_whole_models(
    kind: str, case: str, tiny: Build, examples: TokenBatch, rows: list[int]
) -> None:
    model = tiny(kind)
    wanted, pairs = KEPT[case]
    tokens = TokenSelection(*(tensor[rows] for tensor in selection(*pairs)))
    found = encoder.kept_states(model, examples, wanted, tokens)
    expected = tokens.gather([whole(model, examples)[0][number] for number in wanted])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert_same(gradients(model, found), gradients(model, expected))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_padding_may_be_kept(kind: str, attention: str, tiny: Build, batch: TokenBatch) -> None:
    """`preset.padding=distill`."""
    model = tiny(kind)
    model.set_attn_implementation(attention)
    tokens = selection([[6, 0], [6, 5], [5, 6]])
    expected = tokens.gather([whole(model, batch)[0][3]])
    torch.testing.assert_close(encoder.kept_states(model, batch, (3,), tokens), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("case", "seen"),
    [
        ("one token of the top", [7, 7, 1]),
        ("some of two states", [7, 7, 3]),
        ("the top twice, other tokens", [7, 7, 6]),
        ("the top twice, more tokens than there are", [7, 7, 7]),
        ("all of the top", [7, 7, 7]),
        ("below the top", [7, 3]),
        ("embeddings alone", []),
    ],
)
def test_only_what_is_read_is_computed(case: str, seen: list[int], tiny: Build, batch: TokenBatch) -> None:
    model = tiny("bert")
    wanted, pairs = KEPT[case]
    with tokens_seen(*(block.output for block in encoder.blocks(model)), model.bert.pooler) as found:
        encoder.kept_states(model, batch, wanted, selection(*pairs))
    assert found == seen


def test_no_block_runs_above_the_highest_state(tiny: Build, batch: TokenBatch) -> None:
    model = tiny("bert")
    with tokens_seen(*(block.output for block in encoder.blocks(model))) as seen:
        encoder.hidden_states(model, batch, (1, 0))
    assert seen == [7]


# Short examples, which share a call of attention.


@pytest.mark.parametrize(
    ("examples", "tokens", "together"),
    [(32, 12, 2), (32, 6, 4), (32, 3, 8), (32, 13, 1), (6, 6, 2), (31, 6, 1), (2, 2, 2), (1, 1, 1)],
)
def test_so_many_neighbours_share_a_call(examples: int, tokens: int, together: int) -> None:
    assert partial.Reach(torch.ones(examples, tokens)).together == together


def test_neighbours_attend_to_their_own_real_tokens() -> None:
    reach = partial.Reach(torch.tensor([[1, 1, 1], [1, 1, 0]]))
    assert reach.mask(1, 2).int().tolist() == [[[[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]]]]
    assert reach.mask(2, 2).int().tolist() == [[[[1, 1, 1, 0, 0, 0]] * 2 + [[0, 0, 0, 1, 1, 0]] * 2]]


def test_each_may_be_alone() -> None:
    reach = partial.Reach(torch.tensor([[1, 1, 1], [1, 1, 0]]))
    assert reach.mask(2, 1).int().tolist() == [[[[1, 1, 1]]], [[[1, 1, 0]]]]


# Which models.


@pytest.mark.parametrize("other", ["deberta-v2", "modernbert"])
def test_other_architectures_run_as_they_are(other: str, tiny: Build, batch: TokenBatch) -> None:
    model, tokens = tiny(other), selection(SOME, OTHERS)
    states, logits = whole(model, batch)
    assert not partial.knows(model)
    assert torch.equal(encoder.logits(model, batch), logits)
    assert torch.equal(encoder.kept_states(model, batch, (1, 3), tokens), tokens.gather([states[1], states[3]]))


def test_a_decoder_runs_as_it_is(tiny: Build) -> None:
    assert partial.knows(tiny("bert")) and not partial.knows(tiny("bert", is_decoder=True))


# What is trained.


@pytest.mark.parametrize("top", [0, 1, 2, 3])
def test_what_lies_above_a_state_is_frozen_and_nothing_else(
    kind: str, top: int, tiny: Build, batch: TokenBatch
) -> None:
    model = tiny(kind)
    moved = gradients(model, encoder.hidden_states(model, batch, (top,))[0])
    encoder.freeze_above(model, top)
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == set(moved)


@pytest.mark.parametrize("other", ["deberta-v2", "modernbert"])
def test_blocks_and_head_of_other_architectures_are_frozen_too(other: str, tiny: Build) -> None:
    model = tiny(other)
    encoder.freeze_above(model, 1)
    below, *above = encoder.blocks(model)
    assert all(parameter.requires_grad for parameter in below.parameters())
    assert not any(parameter.requires_grad for block in (*above, model.classifier) for parameter in block.parameters())


# The mask.


class NoAnswers(TorchDispatchMode):
    """Fails where a tensor's value is asked for: on a GPU, the machine would wait there for all that was begun."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        assert function is not torch.ops.aten._local_scalar_dense.default, "a value was asked for"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("padding", [True, False])
def test_nobody_asks_whether_there_is_padding(kind: str, padding: bool, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    if not padding:
        batch = batch._replace(attention_mask=torch.ones_like(batch.attention_mask))
    with NoAnswers():
        encoder.logits(model, batch).sum().backward()
        encoder.kept_states(model, batch, (1, 3), selection(SOME, OTHERS)).sum().backward()


def test_transformers_would_ask(tiny: Build, batch: TokenBatch) -> None:
    with pytest.raises(AssertionError, match="a value was asked for"), NoAnswers():
        whole(tiny("bert"), batch)
