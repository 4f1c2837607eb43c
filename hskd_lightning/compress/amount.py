"""How much knowledge a plan keeps, and how one number, `hsk.amount`, becomes three `keep`s."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.compress.keep import Keep, check_keep
from hskd_lightning.compress.paths import EQUAL, PATHS, Room
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import KnowledgeAmount, TokenBatch
from hskd_lightning.settings.types import PathName

POSITION_BYTES = 2
"""A token's position fits 16 bits: no encoder here reads more than 65,536 tokens."""


def measure(plan: HskPlan, batches: Iterable[TokenBatch]) -> KnowledgeAmount:
    """Count what `plan` keeps of these examples.

    Positions cost two bytes each, as they do in a store, which has the tokens by rank even where it has all of them;
    masks that differ by token cost a bit per unit. What all examples share (a mean, components, a static mask,
    codebooks) is a figure of its own: it does not grow with the data. Where units are kept with all that equal the
    last one (`width.ties=all`), the number asked for is counted, not the ties.
    """
    compression = plan.unfitted
    examples = kept = real = 0
    for batch in batches:
        kept += int(compression.kept(batch).sum())
        real += int(batch.real.sum())
        examples += len(batch.ids)
    pairs, units = len(plan.layer_map), plan.shape.teacher_width
    scalars_per_token = compression.code.scalars(units)
    return KnowledgeAmount(
        scalars=pairs * kept * scalars_per_token / examples,
        bytes=pairs * kept * (plan.token_bits / 8 + POSITION_BYTES) / examples,
        full_scalars=plan.shape.all_pairs * real * units / examples,
        token_bits=plan.token_bits,
        shared_bytes=shared_bytes(plan) / examples,
    )


def shared_bytes(plan: HskPlan) -> int:
    """What the fits of width and bits weigh, each kept layer's once: whoever reads the values needs them."""
    width = plan.unfitted.code.fitted.values()
    bits = plan.bits.layout(len(plan.layer_map), plan.coded_width).values()
    return sum(tensor.nbytes for tensor in width) + sum(dtype.itemsize * math.prod(shape) for dtype, shape in bits)


def spread_amount(amount: float, room: Room, path: PathName = EQUAL) -> dict[str, Keep]:
    """Turn `hsk.amount` into the `keep` of each axis whose strategy has one, as `hsk.path` shares it out.

    A `keep` that the user gave, 1.0 among them, replaces its axis's share and leaves the others as they are, so a
    sweep along one axis moves that axis alone; of a depth that is fixed, `depth_fixed` knows.

    Args:
        amount: share of full HSK, 0 < amount <= 1.
        room: what it can be spent on.
        path: one of `PATHS`.

    Raises:
        ConfigError: amount, or a `keep`, is out of its range.
    """
    if isinstance(amount, bool) or not 0 < amount <= 1:
        remedy = "use knowledge=logits for none of it, or leave hsk.amount out"
        raise ConfigError("hsk.amount", amount, "a share above 0 and up to 1", remedy)
    shares = PATHS[path](float(amount), room)
    spelled = {axis: share if room.given[axis] is None else room.given[axis] for axis, share in shares.items()}
    return {axis: check_keep(f"{axis}.keep", keep) for axis, keep in spelled.items()}
