"""How `-m` sweeps: conf/hydra/sweeper/study.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StrictFloat, StrictInt, TypeAdapter
from pydantic.dataclasses import dataclass

from hskd_lightning.settings.types import (
    NODE,
    Positive,
    PositiveOrNull,
    Seed,
    Text,
    TextOrNull,
    WholeOrNull,
    says,
)
from hskd_lightning.settings.validation import checked

KEY = "hydra.sweeper"
Block = dict[str, Any]
"""Axis -> a value, or a list of them; under `zip`, axes that are walked in step."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class SweeperSettings:
    """What cells a sweep has, and what comes at its end."""

    plans: dict[str, list[Block]]
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


_SETTINGS = TypeAdapter(SweeperSettings)


def read_sweeper(node: Mapping[str, Any]) -> SweeperSettings:
    """The settings of a sweep.

    Raises:
        ConfigError: a value of another type or out of its range, or a key that there is not.
    """
    return checked(_SETTINGS, {key: value for key, value in node.items() if key != "_target_"}, KEY)
