"""A second device on a machine that has none: tensors that say they are on `cuda`, are computed on the CPU, may not be
mixed with the CPU's, and count every time that a program would have to wait for a real one.

Counted as waits: a value read (`item`, `bool`, `float`, `tolist`), a result whose shape hangs on values (`nonzero`, a
boolean index, `unique`, `repeat_interleave` without its size), an index that lies on the CPU, a copy to the CPU, and a
copy from it, unless its memory is pinned and it is told not to block.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

CUDA = torch.device("cuda:0")
aten = torch.ops.aten
SHAPED_BY_VALUES = {
    aten.nonzero, aten.masked_select, aten.unique_consecutive, aten._unique, aten._unique2, aten.unique_dim,
    aten.repeat_interleave, aten.bincount,
}  # fmt: skip
READ = {aten._local_scalar_dense, aten.equal, aten.is_nonzero, aten.item, aten.allclose}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}
FACTORIES_OF_DATA = (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)
_waits: list[str] = []
_pinned: dict[int, Tensor] = {}
"""Tensors whose memory is pinned, by its address: they live as long as the emulated device does."""


class OnDevice(Tensor):
    """A tensor on the emulated device; its numbers are in `raw`, a CPU tensor."""

    raw: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw: Tensor) -> OnDevice:
        made: OnDevice = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, raw.shape, strides=raw.stride(), storage_offset=raw.storage_offset(), dtype=raw.dtype
        )
        made.raw = raw
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    is_cuda, is_cpu = True, False  # type: ignore[assignment]

    def __repr__(self, **_: Any) -> str:
        return f"OnDevice({self.raw})"

    @classmethod
    def __torch_dispatch__(
        cls, op: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        _check(op, args, kwargs := dict(kwargs or {}))
        raws, options = tree_map_only(OnDevice, lambda tensor: tensor.raw, (args, kwargs))
        out = op(*raws, **options)
        if op.overloadpacket in READ:
            return out
        out = tree_map_only(Tensor, OnDevice, out)
        return return_and_correct_aliasing(op, tuple(args), kwargs, out)


def _check(op: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise where devices are mixed, and count what waits."""
    packet = op.overloadpacket
    if packet is aten.copy_:
        return _copied(args[0], args[1], kwargs.get("non_blocking", args[2] if len(args) > 2 else False))
    if packet in READ or packet in SHAPED_BY_VALUES and kwargs.get("output_size") is None:
        _wait(str(packet))
    if packet in INDEXED:
        return _indexed(packet, args)
    elsewhere = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor) and not isinstance(t, OnDevice)]
    if any(tensor.dim() for tensor in elsewhere):
        raise RuntimeError(f"{op}: expected all tensors on one device, but {_spelled(elsewhere)} on the CPU")


def _indexed(packet: Any, args: Sequence[Any]) -> None:
    """Indices may lie on the CPU, and are then waited for; the values that are put may not."""
    if not isinstance(args[0], OnDevice) or any(
        isinstance(value, Tensor) and not isinstance(value, OnDevice) and value.dim() for value in args[2:3]
    ):
        raise RuntimeError(f"{packet}: expected all tensors on one device")
    scalar = len(args) > 2 and args[2].numel() == 1  # CUDA fills by a mask
    for index in args[1]:
        if index is not None and not isinstance(index, OnDevice):
            _wait(f"{packet} by an index on the CPU")
        elif index is not None and index.dtype == torch.bool and not scalar:
            _wait(f"{packet} by a boolean index")


def _copied(to: Tensor, source: Tensor, non_blocking: bool) -> None:
    if isinstance(to, OnDevice) == isinstance(source, OnDevice) or (source.dim() == 0 and isinstance(to, OnDevice)):
        return
    if not non_blocking or isinstance(to, OnDevice) and not _is_pinned(source):
        _wait("a blocking copy")


def _pin(tensor: Tensor) -> Tensor:
    _pinned[tensor.untyped_storage().data_ptr()] = tensor
    return tensor


def _is_pinned(tensor: Tensor) -> bool:
    return tensor.untyped_storage().data_ptr() in _pinned


def _spelled(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{tensor.dtype} {tuple(tensor.shape)}" for tensor in tensors)


def _wait(what: str) -> None:
    frames = [frame for frame in traceback.extract_stack() if "emulated_device" not in frame.filename]
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    _waits.append(f"{what}: {frames[-1].filename}:{frames[-1].lineno}, by {ours[-1].filename}:{ours[-1].lineno}")


class Emulated(TorchFunctionMode):
    """Sends what is asked for on `cuda` to the emulated device, and what leaves it back to the CPU."""

    def __torch_function__(
        self, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if special := self._special(function):
            return special(function, args, kwargs)
        if kwargs.pop("pin_memory", False):
            return _pin(function(*args, **kwargs))
        if (asked := kwargs.get("device")) is None:
            return function(*args, **kwargs)
        if torch.device(asked).type != "cuda":
            return function(*args, **kwargs)
        if function in FACTORIES_OF_DATA:
            _wait(f"{function.__name__} of Python's numbers")
        raws = tree_map_only(OnDevice, lambda tensor: tensor.raw, args)
        return OnDevice(function(*raws, **{**kwargs, "device": "cpu"}))

    def _special(self, function: Any) -> Callable[..., Any] | None:
        """How a function is answered that no operation of tensors stands behind, or a move."""
        if function in (Tensor.to, Tensor.cpu, Tensor.cuda):
            return self._to
        if function is Tensor.pin_memory:
            return lambda _, args, kwargs: _pin(args[0].clone())
        if function is Tensor.is_pinned:
            return lambda _, args, kwargs: _is_pinned(args[0])
        if function is Tensor.tolist:
            return self._tolist
        return self._refused if function in (Tensor.numpy, Tensor.__array__) else None

    def _tolist(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(args[0], OnDevice):
            _wait("tolist")
            return args[0].raw.tolist()
        return function(*args)

    def _refused(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(args[0], OnDevice):
            raise TypeError("can't convert a tensor on cuda to numpy")
        return function(*args, **kwargs)

    def _to(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
        """A move, in two steps: to the device, then to the dtype; gradients flow through it."""
        tensor, *places = args
        device, dtype, non_blocking = tensor.device, kwargs.pop("dtype", None), kwargs.pop("non_blocking", False)
        if function is not Tensor.to:
            places.insert(0, "cpu" if function is Tensor.cpu else "cuda")
        places += [kwargs.pop(key) for key in ("device", "other") if kwargs.get(key) is not None]
        for place in places:
            if isinstance(place, Tensor):
                device, dtype = place.device, place.dtype
            elif isinstance(place, torch.dtype):
                dtype = place
            elif isinstance(place, bool):
                non_blocking = place
            elif place is not None:
                device = torch.device(place)
        if (device.type == "cuda") != isinstance(tensor, OnDevice):
            if not non_blocking or device.type == "cuda" and not _is_pinned(tensor):
                _wait(f"a blocking copy to {device.type}")
            tensor = _Move.apply(tensor, device.type == "cuda")
        return tensor if dtype is None and not kwargs else Tensor.to(tensor, dtype=dtype, **kwargs)


class _Move(torch.autograd.Function):
    """A copy from one device to the other."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, there: bool) -> Tensor:
        context.there = there
        return OnDevice(tensor.detach().clone()) if there else tensor.raw.detach().clone()  # type: ignore[attr-defined]

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return (gradient.raw if context.there else OnDevice(gradient)), None  # type: ignore[attr-defined]


@contextmanager
def emulated() -> Iterator[list[str]]:
    """Run with the emulated device; gives the list to which every wait is added, with the line that waits."""
    _waits.clear()
    _pinned.clear()
    future, as_before = torch.__future__, torch.__future__.get_overwrite_module_params_on_conversion()
    future.set_overwrite_module_params_on_conversion(True)  # so that a module's parameters become `OnDevice`
    try:
        # A view of a wrapped tensor cannot be made in inference mode, so that is `no_grad` here.
        with Emulated(), patch.object(torch.inference_mode, "__enter__", _enter), _exits():
            yield _waits
    finally:
        future.set_overwrite_module_params_on_conversion(as_before)


def _enter(mode: Any) -> None:
    mode.standing_in = torch.no_grad()
    mode.standing_in.__enter__()


def _exits() -> Any:
    return patch.object(torch.inference_mode, "__exit__", lambda mode, *error: mode.standing_in.__exit__(*error))
