"""From a sweep's blocks and the user's overrides to cells: each once, those that make no sense named with the reason.

blocks x seeds x overrides -> compose -> resolve -> PlannedCell
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from hskd_lightning.assets.siblings import note_cells
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.integrity import fingerprint
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.result import Result
from hskd_lightning.runs.state import State
from hskd_lightning.settings import Settings

Axis = list[str]
"""One axis as overrides: key=value for each of its values."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell of a sweep: what it is called, and what it takes to run it."""

    figure: str
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    id: str | None
    """The cell's id; None for a combination that makes no sense."""
    settings: Settings | None = None
    """The cell's settings, where it makes sense."""
    reason: str | None = None
    """Why the combination makes no sense; None for a cell that does."""

    @property
    def files(self) -> CellFolder:
        """Where the cell keeps its files; whether they are there says nothing."""
        assert self.settings is not None and self.id is not None
        return CellFolder(Path(self.settings.paths.runs) / self.id)

    @property
    def folder(self) -> Path:
        return self.files.folder

    @property
    def result(self) -> Result | None:
        """What it ended with; None while it has not.

        Raises:
            ConfigError: result.json is not what was written, or of another schema.
        """
        return self.files.result

    @property
    def state(self) -> State:
        return State.SKIPPED if self.id is None else self.files.state


@dataclass(frozen=True)
class Plan:
    """All cells of a sweep, in the order in which they run; a cell that several figures show is there for each."""

    cells: tuple[PlannedCell, ...]
    own_axes: bool = False
    """The user's axes rather than a plan of sweeps/: a combination that makes no sense is a mistake then."""
    repeated: int = 0
    """Combinations that are the cell, or the mistake, of an earlier one of their figure."""

    @cached_property
    def to_run(self) -> tuple[PlannedCell, ...]:
        """Each cell that makes sense once."""
        return tuple({cell.id: cell for cell in reversed(self.cells) if cell.id is not None}.values())[::-1]

    @property
    def name(self) -> str:
        """Eight digits for this set of cells: the same sweep gets the same name, however often it is started."""
        return fingerprint(sorted(str(cell.id) for cell in self.to_run))[:8]

    @cached_property
    def skipped(self) -> tuple[PlannedCell, ...]:
        return tuple(cell for cell in self.cells if cell.id is None)

    @cached_property
    def _common(self) -> set[str]:
        return set.intersection(*(set(cell.overrides) for cell in self.cells)) if len(self.cells) > 1 else set()

    def distinguishing(self, cell: PlannedCell) -> str:
        """The overrides that tell a cell from the others."""
        return " ".join(each for each in cell.overrides if each not in self._common)

    def in_state(self, *states: State) -> list[PlannedCell]:
        """The cells, each once, that are in one of these states now."""
        return [cell for cell in self.to_run if cell.state in states]

    def note(self, folder: Path) -> None:
        """Write down what the cells are: they share a store, and may be other processes."""
        note_cells(folder, (cell.config for cell in self.to_run))


def parse(arguments: Sequence[str]) -> dict[str, Axis]:
    """The user's overrides by key, each with all of its values."""
    axes: dict[str, Axis] = {}
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        axes[override.get_key_element().lstrip("+~")] = _values(override)
    return axes


def _values(override: Override) -> Axis:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        allowed = "values written out, such as 1,2,4 or range(1,5)"
        raise ConfigError(key, override.input_line, allowed, "write them out")
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def expand(blocks: Sequence[Mapping[str, Any]], given: Mapping[str, Axis]) -> list[tuple[str, ...]]:
    """Every combination of every block, in order; the seed is not one of its axes.

    What the user gave goes to every block, with two exceptions: it replaces a block's list of the same key, and then
    goes to the blocks with that key only; and it yields to a block's single value, which is what the block is about
    (`knowledge: logits` is the baseline whatever the others are).

    Args:
        blocks: axis -> value or list of values; under `zip`, axes that are walked in step.
        given: the user's overrides, see `parse`.
    """
    elsewhere = {key for block in blocks for key, values in _axes(block).items() if isinstance(values, list)}
    cells: list[tuple[str, ...]] = []
    for block in blocks:
        own = _axes(block)
        taken = [key for key in given if key != "seed" and (key in own or key not in elsewhere)]
        cells += _combinations(block, {key: given[key] for key in taken})
    return cells


def _axes(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**block, **block.get("zip", {})}.items() if key != "zip"}


def _combinations(block: Mapping[str, Any], given: Mapping[str, Axis]) -> list[tuple[str, ...]]:
    own = {key: values for key, values in block.items() if key != "zip"}
    fixed = {key for key, values in own.items() if not isinstance(values, list)}
    axes: list[list[tuple[str, ...]]] = [
        [(override,) for override in axis] for key, axis in given.items() if key not in fixed
    ]
    axes += [
        [(written(key, value),) for value in _listed(values)]
        for key, values in own.items()
        if key in fixed or key not in given
    ]
    if "zip" in block:
        axes.append(_zipped({key: values for key, values in block["zip"].items() if key not in given}))
    return [tuple(itertools.chain.from_iterable(parts)) for parts in itertools.product(*axes)]


def _zipped(block: Mapping[str, Any]) -> list[tuple[str, ...]]:
    lengths = {key: len(_listed(values)) for key, values in block.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigError("hydra.sweeper.cells.zip", lengths, "lists of one length", "walk them in step, or cross them")
    columns = [[written(key, value) for value in _listed(values)] for key, values in block.items()]
    return list(zip(*columns, strict=True))


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def written(key: str, value: Any) -> str:
    """A value as Hydra's command line spells it."""
    if isinstance(value, bool) or value is None:
        return f"{key}={json.dumps(value)}"
    return f"{key}={json.dumps(value) if isinstance(value, list) else value}"


def resolve(figure: str, overrides: tuple[str, ...], config: Mapping[str, Any]) -> PlannedCell:
    """Give a cell its name, or the reason why it makes no sense."""
    try:
        experiment = Experiment.resolve(config)
    except ConfigError as error:
        return PlannedCell(figure, overrides, config, None, reason=str(error))
    return PlannedCell(figure, overrides, config, experiment.cell_id, experiment.settings)
