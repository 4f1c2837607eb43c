"""Is a store what its teacher says? A sample is computed again and compared."""

from __future__ import annotations

import torch
from torch import Tensor

from hskd_lightning.devices import moved
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import HiddenTarget
from hskd_lightning.knowledge.manifest import REBUILD
from hskd_lightning.knowledge.shards import layer_key
from hskd_lightning.knowledge.store import Store, Wanted
from hskd_lightning.knowledge.writer import BATCH, Kept, Writer

SHARDS = 4
"""As many batches are computed again, each the first of a shard."""
AGREE = 0.99
"""Share of kept positions that must be the same: two nearly equal scores may change places on another machine."""
SLACK = 1e-3
"""Relative error granted on top of what bits cost when the teacher's values are coded anew: another machine sums in
another order, and a value between two codes falls to the other.
"""
SAMPLED = 2.0
"""How much more of its values a sample may lose than the whole store says it does."""


def recompute(store: Store, writer: Writer) -> dict[str, float]:
    """Run the live teacher on a sample and compare.

    Returns:
        how far each layer's values are from the teacher's, as a share of what these vary by, and the logits.

    Raises:
        ConfigError: the teacher is another one, or says something else; the field is named.
    """
    teacher = writer.contents.teacher()
    if (weights := teacher.digest()) != store.facts["weights"]:
        raise _differs(store, "weights", store.facts["weights"], repr(weights))
    request = store.request
    here = writer.compression
    errors: dict[str, float] = {}
    step = max(1, len(writer.shards) // SHARDS)
    for shard in writer.shards[::step][:SHARDS]:
        rows = writer.in_order(shard)[:BATCH]
        said = writer.run_teacher(rows)
        ids, logits = writer.contents.split.ids[rows], said.logits.cpu().float()
        _note(errors, "logits", _relative(store.logits(ids), logits, centred=False), store, allowed=SLACK)
        if said.hidden is not None and here is not None:
            wanted = Wanted.of(request.layers, request, here, store.facts["width"])
            _compare(errors, store, store.hidden(ids, wanted), moved(said.hidden, torch.device("cpu")))
    return errors


def _compare(errors: dict[str, float], store: Store, stored: HiddenTarget, live: Kept) -> None:
    valid, tokens = stored.tokens.valid, live.target.tokens
    if not torch.equal(valid, tokens.valid):
        raise _differs(store, "kept tokens", "other counts", "the teacher's")
    exact = live.exact if live.target.units is None else live.exact.masked_fill(~live.target.units, 0.0)
    for pair, layer in enumerate(store.request.layers):
        key = layer_key(layer)
        same = (stored.tokens.positions == tokens.positions)[:, pair] & valid[:, pair]  # (B, K)
        share = float(same.sum() / valid[:, pair].sum())
        if share < AGREE:
            raise _differs(store, f"positions.{key}", f"{share:.1%} the same", f"at least {AGREE:.0%}")
        read, anew, true = (values[:, pair][same] for values in (stored.values, live.target.values, exact))
        centred = not store.request.masks
        error, least = (_relative(values, true, centred) for values in (read, anew))
        stated = store.facts["reconstruction"][key]["relative"]  # else a worse fit would excuse what it made
        _note(errors, f"values.{key}", error, store, SLACK + min(1.01 * least, SAMPLED * stated))


def _note(errors: dict[str, float], name: str, error: float, store: Store, allowed: float) -> None:
    errors[name] = max(errors.get(name, 0.0), error)
    if not error <= allowed:
        raise _differs(store, name, f"a relative error of {error:.3g}", f"at most {allowed:.3g}")


def _relative(stored: Tensor, live: Tensor, centred: bool) -> float:
    """Root of squared error over what the live values vary by."""
    middle = live.mean(dim=0) if centred else torch.zeros(())
    return float((stored - live).square().sum().sqrt() / (live - middle).square().sum().sqrt().clamp(min=1e-12))


def _differs(store: Store, what: str, value: str, allowed: str) -> ConfigError:
    return ConfigError(f"store {store.folder}: {what}", value, f"{allowed}, by the live teacher", REBUILD)
