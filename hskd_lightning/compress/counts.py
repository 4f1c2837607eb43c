"""`count_kept` of many totals at once, on whichever device they are."""

from __future__ import annotations

from torch import Tensor

from hskd_lightning.compress.keep import Count, Counts, Keep
from hskd_lightning.devices import float64


def counts_kept(keep: Keep, totals: Tensor, counts: Counts = "rounded") -> Tensor:
    """int64 totals -> as many of each as `count_kept` keeps, to the last bit of a float64 product."""
    if keep is None:
        return totals
    if isinstance(keep, Count):
        return totals.clamp(max=keep.number)
    share = keep.part * float64(totals)
    whole = share.round() if counts == "rounded" else share.trunc()
    return whole.long().clamp(min=1).to(totals.device)
