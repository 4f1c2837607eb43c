"""The model of the response: its slopes, its shape, and what it makes of a surface that is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.minimum import MARGIN, made_up_space, surface
from hskd_lightning.study.search.space import spread
from hskd_lightning.study.search.surface import MEMBERS, Layout, Observed, _respond, fit

SPACE = made_up_space()
FAMILIES = tuple(map(len, SPACE.families))


def observed(count: int, sd: float, seed: int = 0) -> tuple[Observed, dict[str, float]]:
    truth = surface("multiplied", SPACE, np.random.default_rng(seed))
    handful = spread(SPACE.candidates, SPACE.places(SPACE.candidates), count)
    candidates = [*[SPACE.full] * 5, *[SPACE.logits] * 2, *handful]
    noise = sd * np.random.default_rng(seed).standard_normal(len(candidates))
    scores = np.array([truth[each] for each in candidates]) + noise
    return Observed(SPACE.places(candidates), SPACE.codes(candidates), scores), {e.name: v for e, v in truth.items()}


@pytest.mark.parametrize("hill", [False, True])
def test_slopes_are_those_of_small_steps(hill: bool) -> None:
    seen, _ = observed(10, 0.0)
    layout = Layout.of(FAMILIES)
    at = np.random.default_rng(0).normal(-1, 0.5, (1, layout.size))
    _, slopes = _respond(at, np.array([hill]), seen, layout)
    for parameter in range(layout.size):
        step = np.zeros_like(at)
        step[0, parameter] = 1e-6
        up, down = (_respond(at + sign * step, np.array([hill]), seen, layout)[0] for sign in (1, -1))
        np.testing.assert_allclose(slopes[..., parameter], (up - down) / 2e-6, atol=1e-6)


def test_nothing_kept_is_at_the_floor_and_more_never_hurts() -> None:
    ensemble = fit(observed(12, 0.007)[0], FAMILIES, MARGIN, seed=0)
    shares = np.array([0.0, 0.1, 0.5, 1.0])
    with np.errstate(divide="ignore"):
        places = np.log(np.repeat(shares[:, None], 3, axis=1))
    scores = ensemble.scores(places, np.zeros((4, 3), dtype=int))
    assert scores.shape == (MEMBERS, 4)
    np.testing.assert_allclose(scores[:, 0], ensemble.parameters[:, 0])
    assert (np.diff(scores[ensemble.parameters[:, 1] > 0], axis=1) >= 0).all()


def test_it_learns_a_surface_from_many_cells() -> None:
    seen, truth = observed(150, 0.002)
    ensemble = fit(seen, FAMILIES, MARGIN, seed=0)
    scores = ensemble.scores(SPACE.places(SPACE.candidates), SPACE.codes(SPACE.candidates)).mean(axis=0)
    wrong = scores - np.array([truth[each.name] for each in SPACE.candidates])
    assert np.sqrt(np.mean(wrong**2)) < 0.5 * MARGIN
    assert ensemble.sd < MARGIN


def test_members_agree_more_the_more_they_have_seen() -> None:
    few, many = (fit(observed(count, 0.007)[0], FAMILIES, MARGIN, seed=0) for count in (8, 120))
    places, codes = SPACE.places(SPACE.candidates), SPACE.codes(SPACE.candidates)
    assert many.scores(places, codes).std(axis=0).mean() < 0.6 * few.scores(places, codes).std(axis=0).mean()


def test_the_same_seed_gives_the_same_members() -> None:
    seen, _ = observed(12, 0.007)
    one, other = (fit(seen, FAMILIES, MARGIN, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.parameters, other.parameters)
