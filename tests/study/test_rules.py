"""What a study fixes before its first cell, and what it says when that is not kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from hskd_lightning.study.rules import FILE, Rules, broken, fixed, read, said
from tests.helpers import ROOT, refusal

PLANNED = Rules(seeds=(0, 1, 2), margin=0.01)


def test_the_first_run_writes_the_rules(tmp_path: Path) -> None:
    assert fixed(tmp_path / "study", PLANNED) == PLANNED == read(tmp_path / "study")


def test_a_later_run_keeps_those_of_the_first(tmp_path: Path) -> None:
    fixed(tmp_path, PLANNED)
    assert fixed(tmp_path, Rules(seeds=(0, 1, 2, 3), margin=0.02)) == PLANNED


def test_a_study_of_before_has_none(tmp_path: Path) -> None:
    assert read(tmp_path) is None


def test_rules_that_were_edited_are_refused(tmp_path: Path) -> None:
    fixed(tmp_path, PLANNED)
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace("0.01", "0.05"))
    with refusal("study", "it was changed"):
        read(tmp_path)


def test_the_folder_of_a_search_is_no_sweeps() -> None:
    with refusal("study", "a search's results"):
        fixed(ROOT / "results/toy/minimum", PLANNED)


def test_what_was_planned_breaks_nothing() -> None:
    assert list(broken(PLANNED, [2, 0, 1], 0.01)) == []


def test_fewer_seeds_than_planned_break_nothing() -> None:
    assert list(broken(PLANNED, [0], 0.01)) == []


def test_seeds_that_came_later_are_named() -> None:
    (said,) = broken(PLANNED, [0, 1, 2, 4, 3], 0.01)
    assert said.startswith("Planned were seeds 0, 1, 2; seeds 3, 4 came later.")


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([3], "seed 3"),
        ([0, 1, 2, 3, 4], "seeds 0, 1, 2, 3, 4"),
        ([*range(100), *range(1000, 1015)], "seeds 0 to 99, 1000 to 1014"),
        ([7, *range(10, 16)], "seeds 7, 10 to 15"),
    ],
)
def test_many_seeds_on_end_are_said_by_their_ends(seeds: list[int], words: str) -> None:
    assert said(seeds) == words


def test_another_margin_is_named() -> None:
    (said,) = broken(PLANNED, [0], 0.02)
    assert said == "The margin was fixed at 0.01 before the first cell; what is tested here is 0.02."
