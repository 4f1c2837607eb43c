"""The processes that train one cell together, as torch.distributed knows them: who this one is, and sums over all.

A process by itself is the whole of them: nothing is reduced. torch is not imported here, for what needs none of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")
SHELLS = ("bash", "interactive")
"""Names of SLURM's jobs in which a person types: one process, whatever was allocated."""


def size() -> int:
    """How many processes there are."""
    distributed = _distributed()
    return 1 if distributed is None else int(distributed.get_world_size())


def rank() -> int:
    """The number of this one, from 0: the one that leads."""
    distributed = _distributed()
    return 0 if distributed is None else int(distributed.get_rank())


def local_rank() -> int:
    """The number of this one on its machine."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", 0)))


def mean(tensor: Tensor) -> Tensor:
    """The mean of a tensor over all ranks, each of which has to ask for it; without gradients."""
    distributed = _distributed()
    if distributed is None or size() == 1:
        return tensor
    reduced = tensor.detach().clone()
    distributed.all_reduce(reduced)
    return reduced / size()  # type: ignore[no-any-return]


def part_of_mean(own: Tensor, examples: int, over: Callable[[Tensor], Tensor] = mean) -> Tensor:
    """A mean over this rank's examples, weighted so that the mean of all ranks' is the mean over all their examples.

    DDP takes the mean of the ranks' gradients: what it steps by is then the gradient of one process with all examples.

    Args:
        over: examples a rank, in the mean, given how many this one has.
    """
    if over is mean and size() == 1:
        return own
    return own * (examples / over(own.detach().new_full((), examples)))


def from_first(make: Callable[[], Value]) -> Value:
    """What rank 0 makes, on every rank; it is not called on the others."""
    distributed = _distributed()
    if distributed is None:
        return make()
    made = [make() if rank() == 0 else None]
    distributed.broadcast_object_list(made)
    return made[0]  # type: ignore[return-value]


def share(batch: Tensor, part: tuple[int, int]) -> Tensor:
    """What rank r of n takes of a batch of rows, (B,): each n-th, or all of one that has not a row for every rank.

    Who takes means over all ranks' rows, see `mean`, need not know which: what all have counts n times over.
    """
    number, of = part
    return batch[number::of] if len(batch) >= of else batch


@dataclass(frozen=True)
class Launched:
    """A process that a launcher started beside others, as its environment says."""

    by: str
    """torchrun, or srun."""
    rank: int
    size: int
    nodes: int | None = None
    """Machines, where the launcher says how many."""


def launched(environment: Mapping[str, str] = os.environ) -> Launched | None:
    """Who this process is among those that a launcher started; None where there is none, or SLURM started no others."""
    if "TORCHELASTIC_RUN_ID" in environment:
        return Launched("torchrun", int(environment["RANK"]), int(environment["WORLD_SIZE"]))
    if "SLURM_PROCID" not in environment or environment.get("SLURM_JOB_NAME") in SHELLS:
        return None
    size = int(environment.get("SLURM_NTASKS", 1))
    nodes = int(environment["SLURM_NNODES"]) if "SLURM_NNODES" in environment else None
    return Launched("srun", int(environment["SLURM_PROCID"]), size, nodes) if size > 1 else None


def _distributed() -> Any | None:
    """torch.distributed, if this process has joined others."""
    module = sys.modules.get("torch.distributed")
    return module if module is not None and module.is_available() and module.is_initialized() else None
