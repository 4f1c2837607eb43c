"""The cells of a sweep: what each is called, where it stands on disk, and which combinations make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hskd_lightning.integrity import fingerprint
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.result import Result
from hskd_lightning.runs.state import State
from hskd_lightning.settings import Settings
from hskd_lightning.settings.sweeper import SweeperSettings


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
    for_now: bool = False
    """Whether that is only so while a hub is out of reach."""

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


def folder_of(paths: Mapping[str, Any], settings: SweeperSettings, plan: Plan) -> Path:
    """Where a sweep's rules, table, figures and page go: where it says, or a folder named after its cells."""
    name = f"{'-'.join(settings.plans) or 'curve'}"[:40] + f"-{plan.name}"
    return Path(settings.to or Path(paths["root"]) / "studies" / name)


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
