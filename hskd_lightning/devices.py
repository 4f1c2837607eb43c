"""What a device asks of whoever feeds it: few copies, that nobody waits for; and what it does not have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

ALIGNED = 16
"""Each tensor of a packed copy begins at a multiple of so many bytes, which is one of every dtype's size."""


def moved(parts: Any, device: torch.device) -> Any:
    """A tensor, None, or (named) tuples of these, on another device: all by one packed copy, see `packed`."""
    tensors = list(leaves(parts))
    return _rebuilt(parts, iter(packed(tensors, device)))


def cloned(parts: Any) -> Any:
    """What `moved` takes, in memory of its own."""
    return _rebuilt(parts, iter([tensor.clone() for tensor in leaves(parts)]))


def packed(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Tensors of the CPU on a device. To CUDA they go in one buffer of pinned memory, and the program goes on at once.

    A blocking copy each would stop a step as often as its batch has parts, each time until all work before it is done.
    """
    if device.type != "cuda" or not tensors or any(tensor.device.type != "cpu" for tensor in tensors):
        return [tensor.to(device) for tensor in tensors]
    sizes = [-(-tensor.nbytes // ALIGNED) * ALIGNED for tensor in tensors]
    buffer = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=True)
    for tensor, place in zip(tensors, buffer.split(sizes), strict=True):
        _as(place, tensor).copy_(tensor)
    there = buffer.to(device, non_blocking=True)  # its memory is used again only after the copy
    return [_as(place, tensor) for tensor, place in zip(tensors, there.split(sizes), strict=True)]


def true_places(mask: Tensor, device: torch.device) -> tuple[Tensor, ...]:
    """Where a mask on the CPU is true, as an index on a device. By the mask itself, the device would be waited for."""
    places: tuple[Tensor, ...] = moved(mask.nonzero(as_tuple=True), device)
    return places


def sent_back(values: Tensor) -> Tensor:
    """The same on the CPU. From a device it is there once the device has been waited for: by any blocking copy."""
    return values.to("cpu", non_blocking=values.device.type == "cuda")


def float64(values: Tensor) -> Tensor:
    """The same in float64; on the CPU, where their device has none (MPS)."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def free_bytes(device: torch.device) -> int:
    """The memory that a CUDA device has left, for whoever asks first."""
    return torch.cuda.mem_get_info(device)[0]


def _as(place: Tensor, like: Tensor) -> Tensor:
    """Bytes, read as a tensor of another one's dtype and shape."""
    return place[: like.nbytes].view(like.dtype).view(like.shape)


def leaves(parts: Any) -> Iterator[Tensor]:
    """The tensors of what `moved` takes, in order."""
    if isinstance(parts, Tensor):
        yield parts
    elif parts is not None:
        for part in parts:
            yield from leaves(part)


def _rebuilt(parts: Any, tensors: Iterator[Tensor]) -> Any:
    if parts is None or isinstance(parts, Tensor):
        return None if parts is None else next(tensors)
    made = [_rebuilt(part, tensors) for part in parts]
    return type(parts)(*made) if hasattr(parts, "_fields") else type(parts)(made)
