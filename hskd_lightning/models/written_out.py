"""A model's configuration from sizes that a user wrote out, checked by name: transformers would end in a traceback."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from transformers import CONFIG_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoConfig, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from hskd_lightning.data.examples import Task
from hskd_lightning.errors import ConfigError, did_you_mean, listing
from hskd_lightning.models import encoder

SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "embedding_size",
)
"""Settings of an architecture that count something, of which there must be one. Some architectures rename them."""
OF_THE_DATA = ("id2label", "label2id", "num_labels", "problem_type")
"""Settings that the task decides."""


def head(task: Task) -> dict[str, Any]:
    """The classification head's part of a configuration: the task's real label names."""
    names = task.labels or ("score",)
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
    }


def written_out(shape: Mapping[str, Any], task: Task, key: str, **inherited: Any) -> PreTrainedConfig:
    """A configuration from sizes written out; `model_type` names the architecture.

    Args:
        shape: the architecture and its settings, as the user wrote them.
        task: what the head is for.
        key: where the user wrote them, for messages: `student.shape`.
        inherited: settings that others decide, unless the shape has them.

    Raises:
        ConfigError: no such architecture or setting, or a value that no model can be built of, by the user's key.
    """
    kind = _known(shape.get("model_type"), key)
    given = {name: value for name, value in shape.items() if name != "model_type"}
    usual = CONFIG_MAPPING[kind]()
    for name, value in given.items():
        _check_name(name, value, usual, key)
        _check_value(name, value, usual, key)
    try:
        config: PreTrainedConfig = AutoConfig.for_model(kind, **{**inherited, **given, **head(task)})
        _check_heads(config, given, key)
        _check_whole(kind, config.to_json_string())
    except ConfigError:
        raise
    except Exception as error:  # each architecture has its own rules, and its own error
        raise _refused(error, given, key) from error
    return config


@functools.cache
def _check_whole(kind: str, settings: str) -> None:
    """Build a model of these settings, as JSON, once a process: a sweep's plan has hundreds of cells of one shape."""
    written: dict[str, Any] = json.loads(settings)
    del written["model_type"]
    encoder.skeleton(AutoConfig.for_model(kind, **written))


def _known(kind: object, key: str) -> str:
    known = isinstance(kind, str) and kind in CONFIG_MAPPING
    if known and CONFIG_MAPPING[kind] in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        return str(kind)
    able = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES  # names alone: the classes would take seconds to import
    allowed = f"an encoder with a classification head, as transformers calls it: {', '.join(encoder.SUPPORTED)}"
    raise ConfigError(
        f"{key}.model_type", kind, allowed, did_you_mean(str(kind), able, f"write {key}.model_type=bert", most=3)
    )


def _check_name(name: str, value: object, usual: PreTrainedConfig, key: str) -> None:
    if name in OF_THE_DATA:
        raise ConfigError(f"{key}.{name}", value, "nothing: the data decide it", "leave it out")
    if not hasattr(usual, name):
        settings = [setting for setting in usual.to_dict() if setting not in OF_THE_DATA]
        remedy = did_you_mean(name, settings, "leave it out", most=3)
        raise ConfigError(f"{key}.{name}", value, f"a setting of {usual.model_type}, say {listing(SIZES[:4])}", remedy)


def _check_value(name: str, value: object, usual: PreTrainedConfig, key: str) -> None:
    if name in SIZES or name in (usual.attribute_map.get(size) for size in SIZES):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            usually = getattr(usual, name)
            remedy = f"write one, as in {usual.model_type}'s own {name}={usually}"
            raise ConfigError(f"{key}.{name}", value, "a whole number from 1", remedy)
    elif "dropout" in name and isinstance(value, int | float) and not 0 <= value <= 1:
        raise ConfigError(f"{key}.{name}", value, "a share from 0 to 1", f"write {key}.{name}=0.1")


def _check_heads(config: PreTrainedConfig, given: Mapping[str, Any], key: str) -> None:
    """Refuse heads of which the width is no multiple, unless their size is an own setting, as ROSITA's is."""
    width, heads = config.hidden_size, config.num_attention_heads
    if hasattr(config, "head_size") or width % heads == 0:
        return
    own = config.attribute_map.get("num_attention_heads")  # DistilBERT's n_heads
    name = own if own in given else "num_attention_heads"
    divisors = [str(number) for number in range(1, width + 1) if width % number == 0]
    allowed = f"a number of heads that divides the width, {width}: {listing(divisors, 20)}"
    remedy = f"choose one of them, or another hidden_size: a multiple of {heads}"
    raise ConfigError(f"{key}.{name}", heads, allowed, remedy)


def _refused(error: Exception, given: Mapping[str, Any], key: str) -> ConfigError:
    """What transformers says, by the setting whose name or value is in it, if there is one."""
    said = str(error).strip().splitlines()[-1:] or ["nothing more"]
    named = [name for name in given if f"'{name}'" in str(error)]
    valued = [name for name, value in given.items() if isinstance(value, str) and repr(value) in str(error)]
    name = next(iter([*named, *valued]), None)
    remedy = f"correct it: transformers says {type(error).__name__}, {said[0].strip()}"
    if name is None:
        return ConfigError(key, dict(given), "settings that a model can be built of", remedy)
    return ConfigError(f"{key}.{name}", given[name], "a value that the architecture takes", remedy)
