"""The search: what to run next, from what was found so far, and nothing else. So a search that was killed is the same
search again: told the same scores, in whatever order, it asks for the same cells.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hskd_lightning.errors import TrainingError
from hskd_lightning.study.search.confirmation import Confirmed, confirm
from hskd_lightning.study.search.ladder import Rung, ladder, powers
from hskd_lightning.study.search.rules import Rules
from hskd_lightning.study.search.space import Candidate, Space, Trial, spread
from hskd_lightning.study.search.surface import Ensemble, Observed, fit
from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.intervals import Array
from hskd_lightning.study.stats.scores import Scores


@dataclass(frozen=True)
class Outcome:
    """The score of a finished cell, and what each dev example contributes to it, where that is known.

    `held_out`: its score on held-out training examples; None where it is not known, as where dev chose the checkpoint.
    """

    score: float
    contributions: Array | None = None
    held_out: float | None = None


@dataclass(frozen=True)
class Round:
    """Cells that can run at the same time."""

    name: str
    trials: tuple[Trial, ...]
    confirms: bool = False
    """Whether these are of fresh seeds."""


Told = Mapping[Trial, Outcome]
"""What the cells of a round ended with; one that failed is not in it."""


@dataclass
class Search:
    """A search as far as it is: every cell that was asked for, by its outcome; None for one that failed."""

    space: Space
    rules: Rules
    found: dict[Trial, Outcome | None] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    ladder: tuple[Rung, ...] = ()
    confirmed: tuple[Confirmed, ...] = ()

    def run(self) -> Generator[Round, Told, Search]:
        """Yield a round, be sent its outcomes, to the end.

        Raises:
            TrainingError: full HSK, or the logits alone, have not one score: there is nothing to compare with.
        """
        yield from self._ask("the ends and a handful", self._first())
        number = 0
        while (left := self.rules.search_cells - len(self.found)) > 0:
            number += 1
            trials = self._next(min(left, self.rules.batch), number)
            if not trials:
                break
            yield from self._ask(f"search {number}", trials)
        self.ladder = self._ladder(number + 1)
        for rung in self.ladder:
            name = f"confirm {len(self.confirmed) + 1} of {len(self.ladder)}"
            yield from self._ask(name, self._fresh(rung), confirms=True)
            scores, full = (self.scores(each, fresh=True) for each in (rung.candidate, self.space.full))
            self.confirmed += (confirm(rung, scores, full, self.rules),)
            if not self.confirmed[-1].shown:
                break
        return self

    @property
    def asked(self) -> int:
        """Cells so far."""
        return len(self.found)

    @property
    def failed(self) -> list[Trial]:
        return [trial for trial, outcome in self.found.items() if outcome is None]

    @property
    def steers_by_dev(self) -> bool:
        """Whether the examples that chose a setting are those on which it is tested: where no others are scored."""
        return any(outcome.held_out is None for _, outcome in self._finished)

    @property
    def _finished(self) -> list[tuple[Candidate, Outcome]]:
        """The search's own cells that ended in a score."""
        own = ((trial, outcome) for trial, outcome in self.found.items() if not self.rules.is_fresh(trial.seed))
        return [(trial.candidate, outcome) for trial, outcome in own if outcome is not None]

    def scores(self, candidate: Candidate, fresh: bool) -> Scores:
        """A setting's scores by seed: those of the confirmation, or those of the search."""
        finished = {
            trial.seed: outcome
            for trial, outcome in self.found.items()
            if trial.candidate == candidate and outcome is not None and self.rules.is_fresh(trial.seed) == fresh
        }
        return gathered(finished)

    def _ask(self, name: str, trials: Iterable[Trial], confirms: bool = False) -> Generator[Round, Told, None]:
        asked = Round(name, tuple(trials), confirms)
        self.rounds.append(asked)
        told = yield asked
        self.found.update({trial: told.get(trial) for trial in asked.trials})

    def _first(self) -> list[Trial]:
        space, rules, start = self.space, self.rules, self.rules.search_seed
        candidates = space.within(rules.budget)
        handful = spread(candidates, space.places(candidates), rules.first)
        counts = [(space.full, rules.full), (space.logits, rules.logits), *((each, 1) for each in handful)]
        return [Trial(each, start + at) for each, count in counts for at in range(count)]

    def _next(self, count: int, number: int) -> list[Trial]:
        """The settings that most members of the ensemble name, each with the next seed that it has not had; with
        several, where fewer are named than there is room for.

        A vote counts the less the more often a setting has been run. None where all name one that was run often enough
        to be judged: there is nothing left to find.
        """
        candidates = self.space.within(self.rules.budget)
        runs = np.array([self._runs(each) for each in candidates])
        votes = self._votes(candidates, number)
        if np.count_nonzero(votes) == 1 and runs[votes.argmax()] >= self.rules.full:
            return []
        order = np.lexsort((np.arange(len(candidates)), -votes / (1 + runs)))
        named = order[: np.count_nonzero(votes)]
        again = [(int(at), int(runs[at]) + turn) for turn in range(count) for at in named]
        return [Trial(candidates[at], self.rules.search_seed + seed) for at, seed in again[:count]]

    def _fresh(self, rung: Rung) -> list[Trial]:
        """The confirming cells of a rung; the first is confirmed together with full HSK."""
        counts = {rung.candidate: self.rules.confirming}
        if not self.confirmed:
            counts = {self.space.full: self.rules.reference, **counts}
        return [Trial(each, seed) for each, count in counts.items() for seed in self.rules.fresh(count)]

    def _runs(self, candidate: Candidate) -> int:
        return sum(trial.candidate == candidate for trial in self.found)

    def _votes(self, candidates: Sequence[Candidate], number: int) -> Array:
        """(N,) by how many members each is named: as the cheapest of some power, or as the best within the budget."""
        ensemble, gains = self._gains(candidates, number)
        named = gains.argmax(axis=1)
        if self.rules.budget is None:
            power = powers(gains, ensemble.sd, self.rules, self._of_examples)
            bounds = np.array(self.rules.powers)[np.arange(len(gains)) // 2 % len(self.rules.powers)]
            able = power >= bounds[:, None]
            named = np.where(able.any(axis=1), able.argmax(axis=1), named)  # the first is the cheapest
        return np.bincount(named, minlength=len(candidates)).astype(float)

    def _ladder(self, number: int) -> tuple[Rung, ...]:
        candidates = self.space.within(self.rules.budget)
        ensemble, gains = self._gains(candidates, number)
        power = powers(gains, ensemble.sd, self.rules, self._of_examples).mean(axis=0)
        if self.rules.budget is None:
            return ladder(candidates, power, self.rules.powers)
        best = int(gains.mean(axis=0).argmax())
        return (Rung(candidates[best], float(power[best])),)

    @property
    def _of_examples(self) -> float:
        """The examples' part of the variance of a difference from full HSK: the mean over settings with several seeds.

        0 where no predictions are known, or no setting has several seeds yet.
        """
        full = self.scores(self.space.full, fresh=False)
        runs = {each.candidate: self.scores(each.candidate, fresh=False) for each in self.found}
        found = [difference(scores, full) for one, scores in runs.items() if one.keeps and one != self.space.full]
        parts = [each.sentences.se**2 - each.seeds.se**2 for each in found if each.n > 1 and each.sentences is not None]
        return max(float(np.mean(parts)), 0.0) if parts else 0.0

    def _gains(self, candidates: Sequence[Candidate], number: int) -> tuple[Ensemble, Array]:
        """The ensemble, and (M, N) what its members think each setting gains over full HSK."""
        space = self.space
        ensemble = fit(self._observed(), tuple(map(len, space.families)), self.rules.margin, seed=number)
        everything = [*candidates, space.full]
        scores = ensemble.scores(space.places(everything), space.codes(everything))
        return ensemble, scores[:, :-1] - scores[:, -1:]

    def _observed(self) -> Observed:
        """What the search steers by, in the order in which it was asked for."""
        by_dev, finished = self.steers_by_dev, self._finished
        seen = [(one, outcome.score if by_dev else outcome.held_out) for one, outcome in finished]
        candidates = [candidate for candidate, _ in seen]
        for end in (self.space.full, self.space.logits):
            if end not in candidates:
                raise TrainingError(f"not one cell of {end.name} ended in a score, so nothing can be compared with it")
        scores = np.array([score for _, score in seen])
        return Observed(self.space.places(candidates), self.space.codes(candidates), scores)


def gathered(outcomes: Mapping[int, Outcome]) -> Scores:
    """Outcomes by seed as scores; with contributions where every one has them."""
    parts = {seed: outcome.contributions for seed, outcome in outcomes.items() if outcome.contributions is not None}
    by_seed = {seed: outcome.score for seed, outcome in outcomes.items()}
    return Scores(by_seed, parts if len(parts) == len(by_seed) else None)
