"""Cores, threads and products."""

from __future__ import annotations

from functools import partial

import pytest

from hskd_lightning.doctor import processor
from hskd_lightning.doctor.finding import State, examined
from tests.doctor.found import only


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of one core, as a batch system or a container may give."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")


@pytest.mark.usefixtures("one_core")
def test_as_many_threads_as_cores() -> None:
    assert only(partial(processor.threads, 1)).state == State.OK


@pytest.mark.usefixtures("one_core")
def test_more_threads_than_cores() -> None:
    found = only(partial(processor.threads, 2))
    assert found.state == State.NOTE and "more than the 1 cores" in found.said and found.remedy == "write threads=1"


@pytest.mark.skipif(processor.own_cores(physical=True) < 2, reason="one core cannot stay idle")
def test_cores_that_stay_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = only(partial(processor.threads, None))  # torch has one thread in these tests
    assert found.state == State.NOTE and "OMP_NUM_THREADS=1" in found.said and "stay idle" in found.said


@pytest.mark.parametrize(
    ("jobs", "state", "words"),
    [
        (None, State.OK, "1 at a time"),
        ("1", State.OK, "one by one"),
        ("2", State.NOTE, "2 cells of 3 threads are 6 threads on 1 cores"),
        ("two", State.RED, "HSKD_JOBS = 'two'"),
        ("0", State.RED, "a whole number from 1"),
    ],
)
@pytest.mark.usefixtures("one_core")
def test_cells_of_a_sweep_at_a_time(
    jobs: str | None, state: State, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSKD_JOBS", jobs) if jobs else monkeypatch.delenv("HSKD_JOBS")
    found = only(partial(processor.jobs, 3))
    assert found.state == state and words in found.said


@pytest.mark.parametrize(("slow", "state"), [(0.0, State.OK), (1e9, State.NOTE)])
def test_products_are_measured_against_what_a_core_can(
    slow: float, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "SLOW", slow)
    monkeypatch.setattr(processor, "SECONDS", 0.0)
    found = only(processor.products)
    assert found.state == state and "GFLOP/s" in found.said


def test_the_library_that_multiplies_and_the_units_for_bfloat16_are_named() -> None:
    library, units = examined(processor.units)
    assert State.RED not in (library.state, units.state)
    assert "bfloat16" in units.said
