"""verify.yaml: which settings of a committed study are run again, and what must hold of them.

::

    sweep: data=toy_study           # what stood behind `train.py -m` when the study was made
    needs: [GLUE_ROOT]              # variables without which it is skipped
    seeds: [0, 1, 2]
    level: 0.99                     # of all bands of scores together
    floor: 0.03                     # no band is narrower: other processors move the last bits
    settings:                       # name -> overrides
      full: experiment=full_hsk
      logits: knowledge=logits
    orders:                         # of means over seeds
      - {more: full, less: logits, by: 0.05}
    near:
      - {setting: logits, score: 0.5, within: 0.03}
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, StrictStr, TypeAdapter
from pydantic.dataclasses import dataclass

from hskd_lightning.errors import ConfigError
from hskd_lightning.settings.types import NODE, NotNegative, Positive, Seed, ShareBelowOne, Text, says
from hskd_lightning.settings.validation import checked

FILE = "verify.yaml"
_NAME = Annotated[StrictStr, Field(pattern=r"^[a-zA-Z]\w*$"), says("a letter, then letters, digits and underscores")]


@dataclass(frozen=True, config=NODE, kw_only=True)
class Order:
    """One mean lies above another."""

    more: Text
    less: Text
    by: NotNegative
    """At least so much, in units of score."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class Near:
    """A mean that is known beforehand: that of chance, say."""

    setting: Text
    score: float
    within: Positive


@dataclass(frozen=True, config=NODE, kw_only=True)
class Recipe:
    """What is run again, and by what it is judged."""

    settings: dict[_NAME, StrictStr]
    """Name -> overrides, beside those of the sweep."""
    seeds: Annotated[list[Seed], Field(min_length=1), says("one seed or more")]
    floor: Positive
    """Half of the narrowest band, in units of score."""
    sweep: StrictStr = ""
    """What stood behind `train.py -m` when the study was made; the plan is that of `settings`."""
    needs: list[Text] = Field(default_factory=list)
    """Variables of the environment without which it cannot be run."""
    level: ShareBelowOne = 0.99
    """How often all bands of scores together hold, if nothing has changed but the bits."""
    orders: list[Order] = Field(default_factory=list)
    near: list[Near] = Field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Which of the variables are not set."""
        return [name for name in self.needs if not os.environ.get(name)]

    def arguments(self, folder: Path) -> list[str]:
        """What stands behind `train.py` to run it below an empty folder; results.csv comes to `folder/results`."""
        return [
            "-m",
            *shlex.split(self.sweep),
            *(f"+hydra.sweeper.plans.{name}=[{_block(overrides)}]" for name, overrides in self.settings.items()),
            f"hydra.sweeper.seeds={self.seeds}",
            f"hydra.sweeper.curve_seeds={self.seeds}",
            f"paths.root='{folder}'",
            f"hydra.sweeper.to='{folder / 'results'}'",
        ]


def _block(overrides: str) -> str:
    """A plan's block, as Hydra's command line spells it; every value is text, and read when the cell is composed."""
    pairs = [word.partition("=") for word in shlex.split(overrides)]
    return "{" + ", ".join(f"{key}: '{value}'" for key, _, value in pairs) + "}"


_RECIPE = TypeAdapter(Recipe)


def read_recipe(folder: Path) -> Recipe:
    """The verify.yaml of a study.

    Raises:
        ConfigError: there is none, it is no YAML, a key is not one of `Recipe`, or names a setting that there is not.
    """
    path = folder / FILE
    if not path.is_file():
        remedy = f"write one: what is run again, and what must hold (see {FILE} of results/toy)"
        raise ConfigError("--to", str(folder), f"a folder with a {FILE}", remedy)
    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(FILE, str(path), f"YAML; {error}", "mend it") from None
    recipe = checked(_RECIPE, node, FILE)
    _check_names(recipe, [name for order in recipe.orders for name in (order.more, order.less)])
    _check_names(recipe, [near.setting for near in recipe.near])
    return recipe


def _check_names(recipe: Recipe, names: Sequence[str]) -> None:
    for name in names:
        if name not in recipe.settings:
            raise ConfigError(FILE, name, f"one of its settings: {', '.join(recipe.settings)}", "name one of these")
