"""`study minimum`: the rounds of a search, run as cells by any launcher.

The search itself is a function of the scores alone (`study.search`), and a cell is known by its content. So study.json,
with the rules, and the finished cells are all the state there is: what was killed asks for the same cells again, finds
most of them finished, and goes on.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from hskd_lightning import console
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import fingerprint
from hskd_lightning.runs.state import State
from hskd_lightning.settings import read_settings
from hskd_lightning.settings.sweeper import KEY, SweeperSettings
from hskd_lightning.settled import cell_id
from hskd_lightning.study.figures.charts.minimum import FRESH, TRIED
from hskd_lightning.study.search.axes import Builder
from hskd_lightning.study.search.search import Outcome, Round, Search, Told
from hskd_lightning.study.search.space import Trial
from hskd_lightning.study.stats.contributions import contributions
from hskd_lightning.study.sweep import collect
from hskd_lightning.study.sweep.at_once import several_at_once
from hskd_lightning.study.sweep.compose import Compose, composer
from hskd_lightning.study.sweep.expand import resolve
from hskd_lightning.study.sweep.launching import launch, prepare
from hskd_lightning.study.sweep.plan import Plan, PlannedCell
from hskd_lightning.study.sweep.rates import Rates
from hskd_lightning.study.sweep.search_rules import as_study, check_size, check_whole, chosen, rules_of, write_rules

log = logging.getLogger(__name__)


def run_search(config: DictConfig, launcher: Launcher, settings: SweeperSettings, arguments: Sequence[str]) -> None:
    """Search, confirm, answer; exit with 1 where cells were lost, with the same command going on.

    Raises:
        ConfigError: rules, axes or overrides that make no search, or rules that are not those of before.
        TrainingError: full HSK, or the logits alone, ended in no score.
    """
    given, rules = chosen(arguments), rules_of(settings)
    check_whole(settings, config.force)
    compose = composer(launcher.hydra_context.config_loader, config)  # type: ignore[attr-defined]
    console.quiet()
    builder = Builder(settings.minimum.axes, compose, given)
    search = Search(builder.space(), rules)
    check_size(search)
    rates = None if settings.tuned is None else Rates.read(Path(settings.tuned))
    rounds = Rounds(config, launcher, compose, given, builder.corners(), settings.max_batch_size, rates)
    rounds.say_plan(search)
    if config.explain:
        return
    written = {**as_study(rules), "axes": asdict(settings.minimum.axes), "families": rounds.families}
    folder = Path(settings.to or Path(config.paths.root) / "studies" / f"minimum-{fingerprint(written)[:8]}")
    write_rules(folder, written)
    rounds.play(search)
    from hskd_lightning.study.sweep.found import finish  # here: what draws takes seconds

    finish(search, rounds.plan, folder)


@dataclass
class Rounds:
    """Runs the rounds of a search as cells.

    Args:
        config: of the sweep.
        launcher: of the sweep.
        compose: makes a cell's configuration.
        given: the user's own overrides.
        corners: the largest settings of the nested families, for which stores are built.
        at_once: cells that the launcher is handed at a time; None: as many as it likes.
        rates: what each arm trains at; None: what the configuration says.
    """

    config: DictConfig
    launcher: Launcher
    compose: Compose
    given: tuple[str, ...]
    corners: Sequence[tuple[str, ...]]
    at_once: int | None
    rates: Rates | None = None
    cells: dict[Trial, PlannedCell] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._said = functools.cache(self._with_rates)
        self._composed = functools.cache(lambda overrides: self.compose(self._said(overrides)))

    def _with_rates(self, overrides: tuple[str, ...]) -> tuple[str, ...]:
        """The overrides that make a cell of what the search chose."""
        said = *self.given, *overrides
        return said if self.rates is None else (*said, *self.rates.of(read_settings(self.compose(said)), said))

    @property
    def plan(self) -> Plan:
        """All cells so far."""
        return Plan(tuple(self.cells.values()))

    @property
    def families(self) -> dict[str, str]:
        """The id of each corner's cell: all that decides a score, whatever machine or folder."""
        return {" ".join(corner): cell_id(self._composed(corner)) for corner in self.corners}

    def play(self, search: Search) -> None:
        """Run a search to its end."""
        asked = search.run()
        with suppress(StopIteration):
            round_ = next(asked)
            while True:
                round_ = asked.send(self.outcomes(round_, search))

    def outcomes(self, asked: Round, search: Search) -> Told:
        """Run what is missing of a round; the outcomes of all of it that did not fail.

        Raises:
            SystemExit: cells were lost, or every one failed.
        """
        ours = self._planned(asked)
        self.cells |= ours
        for _ in range(2):  # a launcher may lose a job: it is asked again, once
            self._run([cell for cell in ours.values() if cell.state not in (State.DONE, State.FAILED)])
        _stop_if_lost(asked, list(ours.values()))
        told = {trial: _outcome(cell) for trial, cell in ours.items() if cell.state == State.DONE}
        so_far = search.asked + len(ours)
        log.info("%s: %d of at most %d cells are done; %s", asked.name, so_far, search.rules.cells, _best(told))
        return told

    def say_plan(self, search: Search) -> None:
        """The space, the cells and the hours, before anything runs."""
        space, rules = search.space, search.rules
        smallest, largest = space.candidates[0], space.candidates[-1]
        log.info(
            "space: %d settings, from %.1f bytes an example (%s) to %.0f (%s); full HSK has %.0f",
            len(space.candidates), smallest.bytes, smallest.name, largest.bytes, largest.name, space.full.bytes,
        )  # fmt: skip
        log.info("rules: %s", ", ".join(f"{name} {value}" for name, value in asdict(rules).items()))
        log.info(
            "to run: at most %d cells and %d passes of the teacher; %s",
            rules.cells, len(self.corners), self._hours(Search(space, rules)),
        )  # fmt: skip

    def _hours(self, search: Search) -> str:
        """What all cells take at the pace of the first round's."""
        from hskd_lightning.study.sweep.estimate import estimate  # here: it needs models

        cost = estimate(Plan(tuple(self._planned(next(search.run())).values())))
        if not cost.cells:
            return "the first of them are done"
        return f"about {cost.seconds / cost.cells * search.rules.cells / 3600:.1f} hours one after another"

    def _planned(self, asked: Round) -> dict[Trial, PlannedCell]:
        return dict(self._cells(asked))

    def _cells(self, asked: Round) -> Iterator[tuple[Trial, PlannedCell]]:
        figure = FRESH if asked.confirms else TRIED
        for trial in asked.trials:
            config = {**self._composed(trial.candidate.overrides), "seed": trial.seed}
            cell = resolve(figure, (*self._said(trial.candidate.overrides), f"seed={trial.seed}"), config)
            if cell.id is None:
                raise ConfigError(
                    f"{KEY}.minimum.axes", trial.candidate.name, "settings that make sense", f"{cell.reason}"
                )
            yield trial, cell

    def _run(self, cells: Sequence[PlannedCell]) -> None:
        if not cells:
            return
        config, launcher, cells = several_at_once(self.config, self.launcher, cells, of=len(self.plan.to_run))
        place = Path(config.hydra.sweep.dir).absolute()
        prepare(config, cells, map(self._composed, self.corners), place)
        launch(cells, launcher, Plan(tuple(cells)), place, self.at_once)


def _outcome(cell: PlannedCell) -> Outcome:
    result = cell.result
    assert result is not None
    said = collect.said_by(cell.files)
    if said is None:
        return Outcome(result.score, None, result.selection_score)
    order = said.ids.argsort()
    added = contributions(result.metric, said.predicted[order].astype(float), said.labels[order].astype(float))
    return Outcome(result.score, added, result.selection_score)


def _best(told: Told) -> str:
    if not told:
        return "none ended in a score"
    best = max(told, key=lambda trial: told[trial].score)
    return f"best {told[best].score:.4f}: {best.candidate.name}"


def _stop_if_lost(asked: Round, cells: Sequence[PlannedCell]) -> None:
    """A failed cell is told and missing; what was lost, or fails everywhere, is no property of a setting."""
    lost = [cell for cell in cells if cell.state not in (State.DONE, State.FAILED)]
    failed = [cell for cell in cells if cell.state == State.FAILED]
    for cell in failed:
        log.warning("cell %s failed, and is left out: %s", cell.id, cell.files.last_words)
    if lost:
        names = "\n".join(f"  {cell.id} {cell.state.lower()} {cell.files.last_words}" for cell in lost)
        sys.exit(f"\n{asked.name}: cells were lost:\n{names}\nThe same command goes on.")
    if failed and len(failed) == len(cells):
        folders = " ".join(str(cell.folder) for cell in failed)
        sys.exit(
            f"\n{asked.name}: every cell failed. Mend what they say; rm -r {folders}, and the same command goes on."
        )
