"""One way to run any Hugging Face encoder with a classification head: hidden states by number, logits, blocks."""

from __future__ import annotations

import copy
import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from hskd_lightning.errors import ConfigError, OutOfReach
from hskd_lightning.hsk import TokenBatch, TokenSelection
from hskd_lightning.models import (
    partial,
    rosita,  # noqa: F401  whose import tells the Auto classes below what a ROSITA is
)

SUPPORTED = ("bert", "roberta", "electra", "distilbert", "deberta-v2", "modernbert")
"""Model types tested here; others with the same interface will most likely do."""


def model_inputs(model: nn.Module, batch: TokenBatch) -> dict[str, Tensor]:
    """The batch as this model's forward wants it: token types only where the model knows them."""
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    if _takes_types(type(model).forward) and (getattr(model.config, "type_vocab_size", 0) or 0) > 1:
        inputs["token_type_ids"] = batch.token_type_ids
    return inputs


@functools.cache
def _takes_types(forward: Callable[..., Any]) -> bool:
    return "token_type_ids" in inspect.signature(forward).parameters


def hidden_states(model: PreTrainedModel, batch: TokenBatch, wanted: Sequence[int]) -> list[Tensor]:
    """The wanted hidden states, each (B, T, D), in the order asked for; the classification head does not run."""
    if partial.knows(model):
        states = partial.hidden_states(model, model_inputs(model, batch), wanted)
        return _in_order(model, states, wanted)
    return _run(model.base_model, batch, wanted)[0]


def kept_states(model: PreTrainedModel, batch: TokenBatch, wanted: Sequence[int], tokens: TokenSelection) -> Tensor:
    """The kept tokens of the P wanted hidden states -> (B, P, K, D); what else there is runs where it must."""
    if partial.knows(model):
        return partial.kept_states(model, model_inputs(model, batch), wanted, tokens)
    return tokens.gather(hidden_states(model, batch, wanted))


def states_and_logits(model: PreTrainedModel, batch: TokenBatch, wanted: Sequence[int]) -> tuple[list[Tensor], Tensor]:
    """The wanted hidden states as `hidden_states` gives them, and (B, C) logits, by one forward."""
    if partial.knows(model):
        states, logits = partial.states_and_logits(model, model_inputs(model, batch), wanted)
        return _in_order(model, states, wanted), logits
    whole, output = _run(model, batch, wanted)
    return whole, output.logits


def _run(model: nn.Module, batch: TokenBatch, wanted: Sequence[int]) -> tuple[list[Tensor], Any]:
    keep = sorted(set(wanted))
    output = model(**model_inputs(model, batch), output_hidden_states=keep or None)
    # transformers drops a number beyond the last state without a word.
    states = {number: state for number, state in enumerate(output.hidden_states or ()) if state is not None}
    return _in_order(model, states, wanted), output


def _in_order(model: nn.Module, states: Mapping[int, Tensor], wanted: Sequence[int]) -> list[Tensor]:
    missing = sorted(set(wanted) - set(states))
    assert not missing, f"{type(model).__name__} returned no hidden state {missing}"
    return [states[number] for number in wanted]


def logits(model: PreTrainedModel, batch: TokenBatch) -> Tensor:
    """(B, C) class logits, or (B, 1) scores."""
    return classify(model, model_inputs(model, batch))


def classify(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> Tensor:
    """`logits` of what `model_inputs` gives."""
    if partial.knows(model):
        return partial.states_and_logits(model, inputs, ())[1]
    output: Tensor = model(**inputs).logits
    return output


def freeze_above(model: PreTrainedModel, top: int) -> None:
    """Take gradients from what no hidden state up to number `top` is made by: blocks above it, pooler and head."""
    pooler = getattr(model.base_model, "pooler", None)
    for part in blocks(model)[top:] if pooler is None else (*blocks(model)[top:], pooler):
        part.requires_grad_(False)
    body = {id(parameter) for parameter in model.base_model.parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.requires_grad and id(parameter) in body)


def blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The stack of transformer blocks: the one list of modules as long as the model has layers."""
    return model.base_model.get_submodule(_blocks_path(model))  # type: ignore[return-value]


def reorder_classes(model: PreTrainedModel, order: Sequence[int]) -> None:
    """Put the classes of the head in another order: class i becomes what class order[i] was."""
    if list(order) == list(range(len(order))):
        return
    body = {id(module) for module in model.base_model.modules()}
    outputs = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and id(module) not in body and module.out_features == len(order)
    ]
    for parameter in outputs[-1].parameters():
        parameter.data = parameter.data[list(order)].contiguous()


def _blocks_path(model: PreTrainedModel) -> str:
    depth = model.config.num_hidden_layers
    for path, module in model.base_model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return path
    allowed = f"an encoder with one list of blocks, such as {', '.join(SUPPORTED)}"
    raise ConfigError("teacher", type(model).__name__, allowed, "choose another model")


def model_path(path: object, key: str) -> str:
    """The path of a model, or its hub id, as far as it can be judged without asking the hub.

    Raises:
        ConfigError: no text, or the path of a file, or of a folder without a model; `key` is where the user named it.
    """
    allowed, remedy = "a Hugging Face folder or hub id", f"write {key}=bert-base-uncased, or {key}=path/to/folder"
    if not isinstance(path, str) or not path.strip():
        raise ConfigError(key, path, allowed, remedy)
    if os.path.isfile(path):
        raise ConfigError(key, path, f"{allowed}: this is a file", "name the folder that holds its config.json")
    if os.path.isdir(path) and not os.path.isfile(os.path.join(path, "config.json")):
        raise ConfigError(key, path, f"{allowed}: this folder has no config.json", remedy)
    return path


def load_config(path: str, key: str = "path") -> PreTrainedConfig:
    """The configuration of a model folder or hub id.

    Raises:
        ConfigError: there is no such model, or the hub is out of reach; `key` is where the user named it.
    """
    config: PreTrainedConfig = _read(AutoConfig.from_pretrained, path, key)
    return config


def _read(read: Callable[[str], Any], path: str, key: str) -> Any:
    answer = _answer.__wrapped__(read, path) if os.path.exists(path) else _answer(read, path)
    if isinstance(answer, Exception):
        raise _out_of_reach(path, key, answer) from answer
    return copy.deepcopy(answer)  # whoever asked may change it


@functools.cache
def _answer(read: Callable[[str], Any], path: str) -> Any:
    """What a hub says, or the error that it ends in. It is asked once: the plan of a sweep has hundreds of cells of one
    model, and a hub that does not answer is waited for.
    """
    try:
        return read(path)
    except Exception as error:  # out of reach, or a file that is there and none: each fails in its own way
        return error


def _out_of_reach(path: str, key: str, error: Exception) -> OutOfReach:
    first = next(iter(str(error).splitlines()), type(error).__name__)
    remedy = f"check the spelling and the network, or name a local folder ({first})"
    return OutOfReach(key, path, "a Hugging Face folder, or a hub id within reach", remedy)


def load_settings(path: str, key: str = "path") -> dict[str, Any]:
    """What the configuration file of a model folder or hub id says, which may leave out even its architecture.

    Raises:
        ConfigError: as `load_config`.
    """
    settings: dict[str, Any] = _read(PreTrainedConfig.get_config_dict, path, key)[0]
    return settings


def load_classifier(path: str, fresh_head: bool = False, key: str = "path", **settings: object) -> PreTrainedModel:
    """Load weights in float32: transformers' own default is whatever the checkpoint was saved in.

    Args:
        fresh_head: a pretrained encoder, which is given a classification head. Otherwise all weights must be there:
            transformers draws what it misses, and says so where nobody reads it.
        key: where the user named it, for messages.
        settings: of its configuration.

    Raises:
        ConfigError: the files cannot be read, or weights are missing.
    """
    load = AutoModelForSequenceClassification.from_pretrained
    try:
        model, loading_info = load(path, dtype=torch.float32, output_loading_info=True, **settings)
    except Exception as error:  # each format of configuration and weights fails in its own way
        raise _out_of_reach(path, key, error) from error
    if loading_info["missing_keys"] and not fresh_head:
        missing = ", ".join(sorted(loading_info["missing_keys"])[:3])
        remedy = "name a folder with a fine-tuned classifier; to have an encoder fine-tuned here: teacher.init.path=..."
        raise ConfigError(key, path, f"a model with all of its weights; {missing} are missing", remedy)
    return model


def build_classifier(config: PreTrainedConfig) -> PreTrainedModel:
    """A classifier of this shape with random weights."""
    return AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)


def skeleton(config: PreTrainedConfig) -> PreTrainedModel:
    """A classifier of this shape without weights: nothing is allocated."""
    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config)


def count_parameters(model: nn.Module) -> int:
    """All parameters, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_from_config(config: PreTrainedConfig) -> int:
    """Parameters of a model of this shape, without allocating it."""
    return count_parameters(skeleton(config))
