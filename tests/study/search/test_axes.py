"""The space of a configuration has the bytes that a cell counts; what makes no sense is named by its axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from omegaconf import DictConfig

from hskd_lightning.assets import Assets
from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from hskd_lightning.explain import measure_amount
from hskd_lightning.settings.sweeper import Axes
from hskd_lightning.study.search.axes import Builder
from tests.helpers import refusal

AXES = Axes(
    depth={"uniform": [1, 1.0]},
    length={"cls_first": [2, 0.5, 1.0], "attention_no_sep": [0.5]},
    width={"pca": [4, 1.0]},
    bits={"planes": [8, 32], "fp16": None},
)
Made = Callable[..., Builder]


@pytest.fixture
def built(small: Callable[..., DictConfig]) -> Made:
    def made(axes: Axes = AXES, *given: str) -> Builder:
        def compose(overrides: Sequence[str]) -> Mapping[str, Any]:
            return plain(small(*overrides))

        return Builder(axes, compose, given)

    return made


def test_every_combination_is_there_by_rising_bytes(built: Made) -> None:
    space = built().space()
    assert len(space.candidates) == 2 * 4 * (2 + 2)
    weights = [each.bytes for each in space.candidates]
    assert weights == sorted(weights)
    assert space.logits.bytes == 0 and space.full.bytes >= weights[-1]


def test_bytes_are_those_that_a_cell_counts(built: Made) -> None:
    builder = built()
    space = builder.space()
    for candidate in (*space.candidates[::9], space.full):
        experiment = Experiment.resolve(builder.compose(list(candidate.overrides)))
        counted = measure_amount(experiment, Assets(experiment).corpus)
        assert (candidate.bytes, candidate.shared) == pytest.approx((counted.bytes, counted.shared_bytes))


def test_two_spellings_of_one_setting_are_one(built: Made) -> None:
    """The tiny student has two blocks, so three layers: 3 is all of them."""
    again = replace(AXES, depth={"uniform": [1, 3, 1.0]})
    assert len(built(again).space().candidates) == len(built().space().candidates)


def test_bits_with_a_budget_take_all_units(built: Made) -> None:
    planes = [each for each in built().space().candidates if "bits=planes" in each.overrides]
    assert all("width.keep=1.0" in each.overrides for each in planes)
    assert "a token by planes" in planes[0].name


def test_a_corner_for_each_nested_family(built: Made) -> None:
    corners = built().corners()
    assert corners[0] == ("experiment=full_hsk",)
    assert len(corners) == 1 + 2 * 2
    assert ("bits=planes", "bits.keep=32") == corners[1][6:8]
    assert all("depth.keep=1.0" in corner for corner in corners[1:])


def test_an_empty_list_leaves_a_strategy_out(built: Made) -> None:
    axes = replace(AXES, length={**AXES.length, "attention_no_sep": []})
    assert {each.families[1] for each in built(axes).space().candidates} == {"cls_first"}


def axis(name: str) -> str:
    return f"hydra.sweeper.minimum.axes.{name}"


@pytest.mark.parametrize(
    ("name", "grid", "phrase"),
    [
        ("depth", {"uniform": [1, 2]}, "full HSK must be in the space"),
        ("length", {}, "full HSK must be in the space"),
        ("bits", {"planes": [8]}, "full HSK must be in the space"),
        ("width", {"pcs": [4, 1.0]}, "pca"),
        ("bits", {"fp16": [4]}, "null for fp16, which has no keep"),
        ("bits", {"planes": None, "fp16": None}, "a list of budgets for planes"),
        ("depth", {"uniform": [9, 1.0]}, "up to 3"),
        ("length", {"cls_first": [0, 1.0]}, "a whole number from 1"),
        ("width", {"pca": [999, 1.0]}, "up to 16"),
        ("bits", {"planes": [9999], "fp16": None}, "up to 96"),
    ],
)
def test_an_axis_without_sense_is_named(built: Made, name: str, grid: dict[str, Any], phrase: str) -> None:
    with refusal(axis(name), phrase):
        built(replace(AXES, **{name: grid})).space()


def test_a_space_without_hidden_states_has_no_minimum(built: Made) -> None:
    with refusal("knowledge", "a space without full HSK has no minimum"):
        built(AXES, "knowledge=logits")
