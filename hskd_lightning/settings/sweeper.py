"""How `-m` sweeps: conf/hydra/sweeper/study.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StrictFloat, StrictInt, TypeAdapter
from pydantic.dataclasses import dataclass

from hskd_lightning.settings.types import (
    NODE,
    Flag,
    Positive,
    PositiveOrNull,
    Seed,
    Text,
    TextOrNull,
    Whole,
    WholeOrNull,
    says,
)
from hskd_lightning.settings.validation import checked

KEY = "hydra.sweeper"
Block = dict[str, Any]
"""Axis -> a value, or a list of them; under `zip`, axes that are walked in step."""


Grid = dict[str, list[StrictInt | StrictFloat] | None]
"""Strategy -> the keeps to try; None: everything; an empty list: it is left out."""
FromThree = Annotated[Annotated[StrictInt, Field(ge=3)], says("a whole number from 3: fewer seeds show nothing")]
_Figure = Annotated[str, Field(pattern="^[A-Za-z0-9_]+$"), says("the name of a figure: letters, digits and _")]
_SHARE = Annotated[StrictFloat, Field(gt=0, lt=1)]


@dataclass(frozen=True, config=NODE, kw_only=True)
class Axes:
    """What a search chooses from."""

    depth: Grid
    length: Grid
    width: Grid
    """Crossed with bits that have no `keep`; the others are of all units."""
    bits: Grid


@dataclass(frozen=True, config=NODE, kw_only=True)
class MinimumSettings:
    """How `study minimum` searches; all of it is fixed before its first cell."""

    run: Flag
    """Search, rather than run plans or axes."""
    budget: PositiveOrNull
    """Bytes an example within which the best score is looked for; None: the fewest bytes that serve."""
    axes: Axes
    cells: Whole
    """Of search and confirmation together."""
    full: Annotated[Annotated[StrictInt, Field(ge=2)], says("a whole number from 2: one seed has no spread")]
    """Search seeds of full HSK."""
    logits: Whole
    """Search seeds of the logits alone."""
    first: Whole
    """Settings of the space-filling handful."""
    batch: Whole
    """Settings of a round."""
    powers: Annotated[list[_SHARE], Field(min_length=1), says("shares between 0 and 1, the largest first")]
    """Predicted power of each rung's test."""
    confirming: FromThree
    """Fresh seeds of a rung."""
    reference: FromThree
    """Fresh seeds of full HSK."""
    alpha: Annotated[_SHARE, Field(lt=0.5), says("a number between 0 and 0.5")]
    """Of each one-sided test."""
    search_seed: Seed
    """The search's first."""
    confirmation_seed: Seed
    """The confirmation's first."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class SweeperSettings:
    """What cells a sweep has, and what comes at its end."""

    plans: dict[_Figure, list[Block]]
    """Figure -> its blocks; none: the user's own axes, or the curve over `hsk.amount`."""
    seeds: list[Seed]
    """Of each cell of a plan."""
    curve_seeds: list[Seed]
    """The same of those plans whose curves are to say how little is enough."""
    amounts: list[Annotated[StrictInt | StrictFloat, Field(ge=0, le=1), says("a share from 0 to 1")]]
    """Shares of full HSK of the curve; 0 is the logits alone."""
    least: Annotated[StrictFloat, Field(gt=0, le=1), says("a share above 0 and up to 1")]
    """The smallest share of full HSK of the plans."""
    students: list[Text]
    """Of the plans that compare students."""
    tops: list[PositiveOrNull]
    """`depth.top` of the depth plan."""
    planes: list[StrictInt]
    """`bits.keep` of bits=planes in the bits plan: bits a token."""
    residual: list[StrictInt]
    """The same of bits=residual: bytes a token; empty: it is left out, and no faiss is needed."""
    hidden_lr: list[Positive]
    """Learning rates of the hidden stage in the plan that tunes them."""
    prediction_lr: list[Positive]
    """And of the prediction stage."""
    tuned: TextOrNull
    """The tuned.json of `study tune`: each cell trains at the learning rates of its arm."""
    online: list[Text]
    """How the quirks are run that need the teacher beside the student; empty: not at all."""
    only: TextOrNull
    """Run the cells in this state alone."""
    max_cells: WholeOrNull
    """Run at most so many now."""
    max_batch_size: WholeOrNull
    """Hand the launcher at most so many at a time."""
    margin: Positive
    """The loss of score that does not matter."""
    to: TextOrNull
    """The folder for results.csv, figures and report."""
    minimum: MinimumSettings
    """Of `study minimum`."""


_SETTINGS = TypeAdapter(SweeperSettings)


def read_sweeper(node: Mapping[str, Any]) -> SweeperSettings:
    """The settings of a sweep.

    Raises:
        ConfigError: a value of another type or out of its range, or a key that there is not.
    """
    return checked(_SETTINGS, {key: value for key, value in node.items() if key != "_target_"}, KEY)
