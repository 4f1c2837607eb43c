"""width=magnitude_mask"""

from functools import partial
from typing import get_args

from hskd_lightning.compress.keep import Count, Spelled, check_keep, count_kept
from hskd_lightning.compress.width.base import Masked, Moments, Reach, check_masked
from hskd_lightning.compress.width.codes import LargestMask
from hskd_lightning.errors import ConfigError


class MagnitudeMask:
    """The paper's "mag mask": the units with the largest |h|, another set for every token.

    The released code takes one threshold over the whole batch x tokens x units tensor, so what is kept of an example
    depends on its neighbours. Ours takes it per token, or per example; `scope=batch` is theirs, and no store can
    hold it.

    Args:
        keep: units kept per token (on average, for the wider scopes): a count, a share of D, or null for all.
        masked: ignore leaves the other units out of the loss; zero pulls the student to 0 there (released code).
        scope: over what the largest are taken: token, example or batch.
    """

    needs_moments = False

    def __init__(self, keep: Spelled = None, masked: Masked = "ignore", scope: Reach = "token") -> None:
        if scope not in get_args(Reach):
            raise ConfigError("width.scope", scope, ", ".join(get_args(Reach)), "leave width.scope out")
        self.keep = check_keep("width.keep", keep)
        self.masked = check_masked(masked)
        self.reach: Reach = scope
        self.ordered = scope == "token"

    def fit(self, units: int, moments: Moments | None) -> LargestMask:
        check_keep("width.keep", self.keep, units)
        # A count is per token; over a wider scope it becomes the same share of all that is there.
        if self.reach != "token" and isinstance(self.keep, Count):
            return LargestMask(partial(_as_many_each, self.keep, units), self.reach, self.masked)
        return LargestMask(partial(count_kept, self.keep), self.reach, self.masked)


def _as_many_each(each: Count, units: int, total: int) -> int:
    """A count per token, of the `total` values of some tokens of D units: exact, whatever D is."""
    return each.number * total // units
