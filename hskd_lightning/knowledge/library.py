"""A store for whoever trains a model of their own: no configuration, no Trainer, see docs/library.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from hskd_lightning.compress.compression import Compression
from hskd_lightning.compress.length.all import AllTokens
from hskd_lightning.compress.width.base import Moments, UnitCode
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import HiddenTarget, LayerMap
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.store import Store, Wanted
from hskd_lightning.losses import hidden_losses


@dataclass(frozen=True)
class StoredKnowledge:
    """What a store has of a teacher: targets by example id, and how a student's states are compared with them."""

    store: Store
    wanted: Wanted
    compression: Compression

    @property
    def ids(self) -> Tensor:
        """(N,) int64 the ids of all examples, ascending."""
        return self.store.index.ids

    @property
    def states(self) -> tuple[int, ...]:
        """The teacher's hidden state that each of the P layers is, 0 being the embedding output."""
        return tuple(state for state, _ in self.wanted.layers)

    @property
    def width(self) -> int:
        """D, the width of the teacher's hidden states."""
        return int(self.store.facts["width"])

    def logits(self, ids: Tensor) -> Tensor:
        """(B, C) float32 of (B,) example ids.

        Raises:
            ConfigError: the store has no such example.
        """
        return self.store.logits(ids)

    def hidden(self, ids: Tensor) -> HiddenTarget:
        """The values that are kept of (B,) example ids, and where in the examples they are.

        Raises:
            ConfigError: the store has no such example.
        """
        return self.store.hidden(ids, self.wanted)

    def loss(self, states: Sequence[Tensor], target: HiddenTarget, widen: Callable[[Tensor], Tensor]) -> Tensor:
        """The hidden stage's loss.

        Args:
            states: the student's, each (B, T, d), one for each of the store's layers.
            target: of the same examples, on the same device.
            widen: the learned map d -> D.
        """
        seen = self.compression.view(target.tokens.gather(states), widen)
        return hidden_losses(seen, target).sum()


def open_store(folder: str | Path, states: Sequence[int] | None = None, budget: int | None = None) -> StoredKnowledge:
    """Open a store, and compare it with its checksums.

    Args:
        folder: of the store.
        states: the teacher's hidden states that are wanted; None: all that are kept.
        budget: bits or bytes a token, where the store's bits have a budget; None: all that are kept.

    Raises:
        ConfigError: it is damaged, keeps no hidden states, or not these.
    """
    store = Store(Path(folder))
    request = _asked(store, states, budget)
    tensors = store.fit(request.layers)
    layer_map = LayerMap(tuple((state, state) for state, _ in request.layers))
    width = store.facts["width"]
    bits = request.coder.code(tensors, width if request.masks else request.units)
    compression = Compression(layer_map, AllTokens(), _unit_code(store, request, tensors), bits=bits)
    return StoredKnowledge(store, Wanted.of(request.layers, request, compression, width), compression)


def _asked(store: Store, states: Sequence[int] | None, budget: int | None) -> Request:
    request = store.request
    if not request.layers:
        remedy = "use Store(folder).logits(ids), or another store"
        raise ConfigError("store", str(store.folder), "a store of hidden states: this one has logits alone", remedy)
    if states is not None:
        there = {state: (state, block) for state, block in request.layers}
        if missing := [state for state in states if state not in there]:
            raise ConfigError(
                "states", missing, f"states that the store has: {', '.join(map(str, there))}", "name these"
            )
        request = replace(request, layers=tuple(there[state] for state in states))
    asked = request if budget is None else replace(request, budget=budget)
    if (difference := asked.missing_from(store.request)) is not None:
        field, actual, wanted = difference
        remedy = "ask for no more, or leave it out for all"
        raise ConfigError(f"store {store.folder}: {field}", wanted, f"what the store has: {actual}", remedy)
    return asked


def _unit_code(store: Store, request: Request, tensors: dict[str, Tensor]) -> UnitCode:
    """How the width strategy that the store was made by looks at states."""
    width = store.facts["width"]
    code = request.chooser.fit(width, Moments.of_nothing(len(request.layers), width))
    return code.refitted(tensors) if code.fitted else code
