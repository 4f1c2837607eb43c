"""width=magnitude_mask"""

from typing import get_args

from hskd_lightning.compress.keep import Counts, Spelled, check_keep
from hskd_lightning.compress.width.base import Masked, Moments, Reach, check_counts, check_masked
from hskd_lightning.compress.width.codes import LargestMask, Ties
from hskd_lightning.errors import ConfigError


class MagnitudeMask:
    """The paper's "mag mask": the units with the largest |h|, another set for every token.

    The released code takes one threshold over the whole batch x tokens x units tensor, so what is kept of an example
    depends on its neighbours. Ours takes it per token, or per example; `scope=batch` is theirs, and no store can
    hold it. Theirs, too, is to keep int(n r) of n values, and with them whatever is as large as the last of these.

    Config::

        width:  # python train.py width=magnitude_mask width.keep=0.1
          name: magnitude_mask
          keep: 0.1
          masked: ignore  # or zero
          scope: token  # or example, batch
          counts: rounded  # or truncated
          ties: first  # or all

    Args:
        keep: units kept per token (on average, for the wider scopes): a count, a share of D, or null for all.
        masked: ignore leaves the other units out of the loss; zero pulls the student to 0 there (released code).
        scope: over what the largest are taken: token, example or batch.
        counts: how a share becomes a number of values: rounded, or truncated (released code).
        ties: first keeps exactly so many, of equals the first; all keeps every unit as large as the last one kept
            (released code). How many that is differs by batch, so it goes with scope=batch alone.
    """

    needs_moments = False

    def __init__(
        self,
        keep: Spelled = None,
        masked: Masked = "ignore",
        scope: Reach = "token",
        counts: Counts = "rounded",
        ties: Ties = "first",
    ) -> None:
        if scope not in get_args(Reach):
            raise ConfigError("width.scope", scope, ", ".join(get_args(Reach)), "leave width.scope out")
        self.keep = check_keep("width.keep", keep)
        self.masked = check_masked(masked)
        self.reach: Reach = scope
        self.counts = check_counts(counts)
        self.ties = _check_ties(ties, scope)
        self.ordered = scope == "token"

    def fit(self, units: int, moments: Moments | None) -> LargestMask:
        check_keep("width.keep", self.keep, units)
        return LargestMask(self.keep, units, self.reach, self.masked, self.counts, self.ties)


def _check_ties(ties: str, scope: Reach) -> Ties:
    if ties not in get_args(Ties):
        raise ConfigError("width.ties", ties, ", ".join(get_args(Ties)), "leave width.ties out")
    if ties == "all" and scope != "batch":
        allowed = f"first with width.scope={scope}: with all, how many units a token keeps hangs on its batch"
        raise ConfigError("width.ties", ties, allowed, "take width.scope=batch with it, and knowledge=online")
    return ties  # type: ignore[return-value]
