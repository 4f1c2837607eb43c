"""Every supported architecture behind one interface: states by number, logits, blocks, classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedModel

from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder

Build = Callable[..., PreTrainedModel]


def all_states(model: PreTrainedModel, batch: TokenBatch) -> tuple[Tensor, ...]:
    """transformers' own hidden states."""
    inputs = encoder.model_inputs(model.base_model, batch)
    return model.base_model(**inputs, output_hidden_states=True).hidden_states


# Hidden states and logits.


@pytest.mark.parametrize("wanted", [(0, 1, 2, 3), (3, 1), (2,), (0,), (1, 1, 3)])
def test_states_come_in_the_order_asked(kind: str, wanted: tuple[int, ...], tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    expected = all_states(model, batch)
    states = encoder.hidden_states(model, batch, wanted)
    assert len(states) == len(wanted)
    for state, number in zip(states, wanted, strict=True):
        torch.testing.assert_close(state, expected[number], rtol=0, atol=0)


def test_a_state_beyond_the_last_is_noticed(kind: str, tiny: Build, batch: TokenBatch) -> None:
    with pytest.raises(AssertionError, match=r"returned no hidden state \[4\]"):
        encoder.hidden_states(tiny(kind), batch, (1, 4))


def test_states_are_of_the_models_width(kind: str, tiny: Build, batch: TokenBatch) -> None:
    (state,) = encoder.hidden_states(tiny(kind), batch, (3,))
    assert state.shape == (3, 7, 32)


def test_state_zero_is_before_the_first_block(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    before, *_ = encoder.hidden_states(model, batch, (0,))
    for parameter in encoder.blocks(model).parameters():
        parameter.data.zero_()
    after, *_ = encoder.hidden_states(model, batch, (0,))
    assert torch.equal(before, after)


def test_logits_are_the_models_own(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind, num_labels=3)
    expected = model(**encoder.model_inputs(model, batch)).logits
    assert encoder.logits(model, batch).shape == (3, 3)
    torch.testing.assert_close(encoder.logits(model, batch), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["bert", "electra"])
def test_token_types_reach_models_that_know_them(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    other = batch._replace(token_type_ids=torch.zeros_like(batch.token_type_ids))
    assert not torch.equal(encoder.logits(model, batch), encoder.logits(model, other))


@pytest.mark.parametrize("kind", ["roberta", "distilbert", "deberta-v2", "modernbert"])
def test_token_types_are_kept_from_models_that_do_not(kind: str, tiny: Build, batch: TokenBatch) -> None:
    assert set(encoder.model_inputs(tiny(kind), batch)) == {"input_ids", "attention_mask"}


def test_padding_leaves_real_tokens_alone(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    padded = batch._replace(
        input_ids=torch.nn.functional.pad(batch.input_ids, (0, 3)),
        attention_mask=torch.nn.functional.pad(batch.attention_mask, (0, 3)),
        token_type_ids=torch.nn.functional.pad(batch.token_type_ids, (0, 3)),
    )
    narrow, wide = (encoder.hidden_states(model, one, (3,))[0] for one in (batch, padded))
    torch.testing.assert_close(wide[:, :7][batch.real], narrow[batch.real], rtol=1e-4, atol=1e-5)


# Blocks.


def test_there_are_as_many_blocks_as_the_config_says(kind: str, tiny: Build) -> None:
    assert len(encoder.blocks(tiny(kind))) == 3


def test_weights_load_in_float32_whatever_they_were_saved_in(kind: str, tiny: Build, tmp_path: Path) -> None:
    tiny(kind).half().save_pretrained(tmp_path)
    loaded = encoder.load_classifier(str(tmp_path))
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_a_model_without_a_list_of_blocks_is_refused(tiny: Build) -> None:
    model = tiny("bert")
    model.config.num_hidden_layers = 5
    with pytest.raises(ConfigError, match="an encoder with one list of blocks, such as bert") as caught:
        encoder.blocks(model)
    assert caught.value.key == "teacher"


def test_another_architecture_of_the_same_interface_works(batch: TokenBatch) -> None:
    config = GPT2Config(vocab_size=100, n_embd=32, n_layer=3, n_head=4, n_positions=40, pad_token_id=0)
    model = GPT2ForSequenceClassification(config).eval()
    assert len(encoder.blocks(model)) == 3
    assert len(encoder.hidden_states(model, batch, (0, 3))) == 2


# Classes.


def test_reordered_classes_reorder_the_logits(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind, num_labels=3)
    before = encoder.logits(model, batch)
    encoder.reorder_classes(model, [2, 0, 1])
    torch.testing.assert_close(encoder.logits(model, batch), before[:, [2, 0, 1]])


def test_reordering_leaves_everything_but_the_head(kind: str, tiny: Build) -> None:
    model, other = tiny(kind, num_labels=3), tiny(kind, num_labels=3)
    encoder.reorder_classes(model, [2, 0, 1])
    body, same = model.base_model.state_dict(), other.base_model.state_dict()
    assert all(torch.equal(body[name], same[name]) for name in same)


def test_as_many_classes_as_units_is_no_trap(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind, num_labels=32)  # every layer of the head is 32 wide
    before = encoder.logits(model, batch)
    order = list(range(1, 32)) + [0]
    encoder.reorder_classes(model, order)
    torch.testing.assert_close(encoder.logits(model, batch), before[:, order])


def test_the_same_order_changes_nothing(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind, num_labels=3)
    before = encoder.logits(model, batch)
    encoder.reorder_classes(model, [0, 1, 2])
    assert torch.equal(encoder.logits(model, batch), before)


# Sizes.


def test_parameters_counted_without_the_model(kind: str, tiny: Build) -> None:
    model = tiny(kind)
    assert encoder.count_from_config(model.config) == encoder.count_parameters(model)
