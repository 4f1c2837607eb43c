"""Whether the tensors of a shard, or of a fit, are what the manifest makes of them: a checksum proves but a copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hskd_lightning.compress.bits.base import Layout
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.shards import layer_key

Tensors = Mapping[str, Tensor]


def shard_fault(tensors: Tensors, request: Request, facts: Mapping[str, Any], number: int) -> str | None:
    """What is wrong with a shard, tensor by tensor; None: nothing.

    All that a reader takes for an index is looked at: a position beyond its example would be read from the student.
    """
    said = facts["shards"][number]
    by_example = _by_example(said["examples"], facts["classes"], request.masks)
    if (wrong := _misfit(by_example, {name: tensors[name] for name in by_example if name in tensors})) is not None:
        return wrong
    tokens, kept = tensors["tokens"].long(), tensors["kept"].long()
    if bool((kept < 0).any() or (kept > tokens).any()) or int(kept.sum()) != said["rows"]:
        return f"a shard whose `kept` are not {said['rows']:,} rows of its tokens"
    counts = tensors["counts"].long() if request.masks else kept * request.units
    if bool((counts < 0).any()):
        return "a shard whose `counts` are below 0"
    expected = by_example | _by_layer(request, said["rows"], int(counts.sum()), facts["width"])
    return _misfit(expected, tensors) or _astray(tensors, request, kept, tokens, counts)


def _by_example(examples: int, classes: int, masks: bool) -> Layout:
    layout: Layout = {
        "ids": (torch.int64, (examples,)),
        "tokens": (torch.int32, (examples,)),
        "kept": (torch.int32, (examples,)),
        "logits": (torch.float32, (examples, classes)),
    }
    return layout | ({"counts": (torch.int32, (examples,))} if masks else {})


def _by_layer(request: Request, rows: int, values: int, width: int) -> Layout:
    layout: Layout = {}
    for layer in map(layer_key, request.layers):
        coder = request.coder
        layout[f"positions.{layer}"] = (torch.int16, (rows,))
        shape = (coder.columns(values),) if request.masks else (rows, coder.columns(request.units))
        layout[f"values.{layer}"] = (coder.dtype, shape)
        if request.masks:
            layout[f"mask.{layer}"] = (torch.uint8, (rows, -(-width // 8)))
    return layout


def _misfit(layout: Layout, tensors: Tensors) -> str | None:
    if odd := sorted(layout.keys() ^ tensors.keys()):
        return f"a file {'without' if odd[0] in layout else 'with'} a tensor {odd[0]!r}"
    for name, (dtype, shape) in layout.items():
        tensor = tensors[name]
        if tensor.dtype != dtype or tuple(tensor.shape) != shape:
            return f"a file whose {name!r} is {tensor.dtype} {tuple(tensor.shape)} instead of {dtype} {shape}"
    return None


def _astray(tensors: Tensors, request: Request, kept: Tensor, tokens: Tensor, counts: Tensor) -> str | None:
    """Positions beyond their example, and masks of other counts than the values'."""
    most = tokens.repeat_interleave(kept)  # (R,)
    for layer in map(layer_key, request.layers):
        positions = tensors[f"positions.{layer}"]
        if bool((positions < 0).any() or (positions >= most).any()):
            return f"a shard with a position in 'positions.{layer}' that its example does not have"
        if request.masks:
            bits = torch.from_numpy(np.bitwise_count(tensors[f"mask.{layer}"].numpy())).sum(dim=1)  # (R,)
            example = torch.arange(len(kept)).repeat_interleave(kept)
            if not torch.equal(torch.zeros_like(counts).index_add(0, example, bits.long()), counts):
                return f"a shard whose 'mask.{layer}' has other counts than its values"
    return None


def fit_fault(fitted: Tensors, request: Request, width: int) -> str | None:
    """What is wrong with a store's fit, of its width and its bits; None: nothing."""
    layers, units = len(request.layers), request.units
    made = request.coder.layout(layers, width if request.masks else units)
    bits = {name: fitted[name] for name in made if name in fitted}
    return _width_fault({name: fitted[name] for name in fitted if name not in made}, layers, units, width) or (
        _misfit(made, bits) or request.coder.fault(bits)
    )


def _width_fault(fitted: Tensors, layers: int, units: int, width: int) -> str | None:
    shapes = {"mean": (width,), "directions": (width, units), "units": (units,)}
    if set(fitted) not in (set(), {"mean", "directions"}, {"units"}):
        return f"no fit: it has {', '.join(sorted(fitted))}"
    for name, tensor in fitted.items():
        if tensor.shape[0] not in (1, layers) or tuple(tensor.shape[1:]) != shapes[name]:
            return f"a file whose {name!r} is {tuple(tensor.shape)}, for {layers} layers of {width} units, {units} kept"
    if "units" in fitted and bool((fitted["units"] < 0).any() or (fitted["units"] >= width).any()):
        return "a file with a unit that the teacher does not have"
    return None
