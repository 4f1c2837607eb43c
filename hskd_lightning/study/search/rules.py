"""The rules of a search, fixed before its first cell: what is shown is shown by these, whatever was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is looked for, how sure it must be, and how many cells it may take."""

    margin: float
    """The loss of score that does not matter."""
    alpha: float
    """Of each one-sided confirming test."""
    budget: float | None = None
    """Bytes an example: the best score within so many is looked for; None: the fewest bytes that serve."""
    cells: int
    """Of search and confirmation together."""
    full: int
    """Search seeds of full HSK, the first of them."""
    logits: int
    """Search seeds of the logits alone."""
    first: int
    """Settings of the space-filling handful, one search seed each."""
    batch: int
    """Settings of a round of the search, one search seed each."""
    confirming: int
    """Fresh seeds of each rung of the ladder."""
    reference: int
    """Fresh seeds of full HSK, which every rung is compared with."""
    powers: tuple[float, ...]
    """Predictive power that the rungs have at least, falling."""
    search_seed: int
    """The first of the search's seeds."""
    confirmation_seed: int
    """The first of the confirmation's, which the search never sees."""

    @property
    def rungs(self) -> int:
        """Settings that are confirmed at most."""
        return 1 if self.budget is not None else len(self.powers)

    @property
    def search_cells(self) -> int:
        """Cells that are left to the search."""
        return self.cells - self.reference - self.confirming * self.rungs

    def fresh(self, count: int) -> Sequence[int]:
        """The first seeds of the confirmation."""
        return range(self.confirmation_seed, self.confirmation_seed + count)

    def is_fresh(self, seed: int) -> bool:
        """Whether a seed is the confirmation's."""
        return seed in self.fresh(max(self.confirming, self.reference))
