"""A stage's step as a CUDA graph: recorded once for each shape of a batch, and replayed.

Students are small. Forward and backward are some 500 to 900 kernels of a few microseconds each, and to launch them one
by one from Python takes several times as long as they do. A graph is one launch of the same kernels. Random numbers are
the eager step's too: a graph asks for the seed and the offset of its device's generator whenever it is replayed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from hskd_lightning.devices import cloned, leaves
from hskd_lightning.hsk import TokenBatch

log = logging.getLogger(__name__)
EAGER = 3
"""Steps of a shape that are made before it is recorded: recording costs some five, and the last batch of an epoch may
have a shape of its own."""
MOST = 64
"""Shapes that are recorded; a graph of this size takes some megabytes."""


class Recorder(Protocol):
    """Makes something repeatable."""

    def __call__(self, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """What does the work again, and the tensor into which it puts its result each time."""
        ...


class CudaRecorder:
    """Records CUDA graphs. They share their memory: of what one makes, only its result is still there after the next.

    What the work reads must stay where it is; it may neither wait for the device nor read memory of the CPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        generator = torch.cuda.default_generators[self._device.index]
        before = generator.clone_state()
        try:
            return self._recorded(work)
        except RuntimeError:
            generator.graphsafe_set_state(before)  # what a recording broke off would wait for its end for ever
            raise

    def _recorded(self, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        graph, main = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        self._stream.wait_stream(main)
        # This stream is entered here too: torch.cuda.graph does not leave it where a recording fails.
        with torch.cuda.stream(self._stream), torch.random.fork_rng([self._device]):
            work()  # libraries prepare what they need once a stream
            # Other threads may go on: one that pins memory meanwhile is none of the graph's business.
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                result = work()
        main.wait_stream(self._stream)
        return graph.replay, result


@dataclass(frozen=True)
class Recording:
    """A step that was recorded."""

    batch: TokenBatch
    """What it reads: the next batch is copied there."""
    replay: Callable[[], object]
    loss: Tensor
    """() written by each replay."""
    gradients: list[Tensor | None]
    """Of each parameter, written by each replay; None where the loss does not read it."""


class StepGraphs:
    """The recorded steps of one stage.

    Args:
        loss: the stage's, a function of what a batch has on its device.
        parameters: those that are trained. Neither they nor anything else that the loss reads may move.
        record: how a step is recorded.
    """

    def __init__(
        self, loss: Callable[[TokenBatch], Tensor], parameters: Sequence[nn.Parameter], record: Recorder
    ) -> None:
        self._loss = loss
        self._parameters = parameters
        self._record = record
        self._seen: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, Recording] = {}
        self._places: list[Tensor] = []
        self._failed = False

    def __call__(self, batch: TokenBatch) -> Tensor | None:
        """The () loss of a batch, its gradients left with the parameters; None: the step is to be made as ever."""
        batch = batch._replace(host=None)
        recording = self._recording(batch)
        if recording is None:
            return None
        torch._foreach_copy_(list(leaves(recording.batch)), list(leaves(batch)))
        recording.replay()
        for parameter, gradient in zip(self._parameters, recording.gradients, strict=True):
            parameter.grad = gradient
        return recording.loss.clone()  # the next replay writes over it

    def _recording(self, batch: TokenBatch) -> Recording | None:
        """That of the batch's shape; it is made now if it is time."""
        key = form(batch)
        self._seen[key] += 1
        ready = self._seen[key] > EAGER and len(self._recordings) < MOST and not self._failed
        if key not in self._recordings and ready:
            try:
                self._recordings[key] = self._recorded(cloned(batch))
            except RuntimeError as error:
                self._give_up(error)
        return self._recordings.get(key)

    def _recorded(self, batch: TokenBatch) -> Recording:
        """The batch is without `host`: a loss that looks there would repeat for ever what it sees now. It has to wait
        for the device instead, which a graph cannot, and is refused.
        """
        self._places = self._places or [torch.empty_like(parameter) for parameter in self._parameters]
        replay, loss = self._record(lambda: self._work(batch))
        gradients = [
            None if parameter.grad is None else place
            for parameter, place in zip(self._parameters, self._places, strict=True)
        ]
        return Recording(batch, replay, loss, gradients)

    def _work(self, batch: TokenBatch) -> Tensor:
        """Forward and backward; gradients end in the same places for all shapes, a third of the memory otherwise."""
        for parameter in self._parameters:
            parameter.grad = None
        loss = self._loss(batch)
        with torch.autocast(batch.ids.device.type, enabled=False):  # Lightning's backward pass is outside of it too
            loss.backward()
        made = [pair for pair in zip(self._places, self._parameters, strict=True) if pair[1].grad is not None]
        torch._foreach_copy_([place for place, _ in made], [parameter.grad for _, parameter in made])
        return loss.detach()

    def _give_up(self, error: RuntimeError) -> None:
        """What was recorded goes too: it may be memory that was missing."""
        self._failed = True
        self._recordings.clear()
        self._places.clear()
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        log.warning("A step could not be recorded as a CUDA graph, and is launched kernel by kernel: %s", reason)


class Replays(Callback):
    """Lets a stage on one CUDA device replay its steps. Afterwards the graphs go: by the loss they hold a store."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if pl_module.device.type == "cuda" and trainer.world_size == 1:
            trained = [parameter for parameter in pl_module.parameters() if parameter.requires_grad]
            record = CudaRecorder(pl_module.device)
            pl_module.graphs = StepGraphs(pl_module.loss, trained, record)  # type: ignore[assignment, arg-type]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.graphs = None  # type: ignore[assignment]


def form(parts: Any) -> Hashable:
    """What decides which kernels run on a batch: the dtype and shape of each tensor, and which are there."""
    if isinstance(parts, Tensor):
        return parts.dtype, parts.shape
    return None if parts is None else (type(parts), *(form(part) for part in parts))
