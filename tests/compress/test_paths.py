"""How an amount is shared out, by hand: full HSK has 5 layer pairs and 100 units."""

from __future__ import annotations

from typing import get_args

import pytest

from hskd_lightning.compress.amount import spread_amount
from hskd_lightning.compress.keep import Keep, Spelled, as_number
from hskd_lightning.compress.paths import PATHS, Room, settle
from hskd_lightning.settings.types import PathName
from tests.helpers import refusal

ALL: dict[str, Spelled] = {"depth": None, "length": None, "width": None}


def shares(amount: float, path: str, **given: Spelled) -> dict[str, float | None]:
    """The share that is kept of each axis; None is all of it."""
    keeps: dict[str, Keep] = spread_amount(amount, Room({**ALL, **given}, offered=5, pairs=5, units=100), path)
    return {axis: as_number(keep) for axis, keep in keeps.items()}


def test_every_path_of_the_settings_is_one_that_there_is() -> None:
    assert set(get_args(PathName)) == set(PATHS)


def test_equal_takes_the_cube_root_of_each() -> None:
    found = shares(0.1, "equal")
    assert found == {"depth": 2, "length": pytest.approx(0.5), "width": pytest.approx(0.5)}  # (0.1 * 5 / 2) ** 0.5


def test_a_fixed_depth_leaves_the_rest_to_the_others() -> None:
    found = shares(0.05, "depth_fixed", depth=1)
    assert found == {"depth": 1, "length": pytest.approx(0.5), "width": pytest.approx(0.5)}  # (0.05 * 5 / 1) ** 0.5


def test_on_the_equal_path_a_depth_by_hand_leaves_the_others_as_they_are() -> None:
    assert shares(0.05, "equal", depth=1)["length"] == shares(0.05, "equal")["length"]


def test_a_fixed_depth_is_a_share_of_the_layers_too() -> None:
    found = shares(0.1, "depth_fixed", depth=0.4)  # two pairs
    assert found == {"depth": 0.4, "length": pytest.approx(0.5), "width": pytest.approx(0.5)}


def test_no_depth_to_hold_fast_is_the_equal_path() -> None:
    assert shares(0.1, "depth_fixed") == shares(0.1, "equal")


def test_more_than_a_fixed_depth_holds_is_refused() -> None:
    with refusal("hsk.amount", "up to 0.2 with hsk.path=depth_fixed and 1 of 5 layer pairs"):
        shares(0.3, "depth_fixed", depth=1)


def test_all_that_a_fixed_depth_holds_is_all_tokens_and_units_of_it() -> None:
    assert shares(0.2, "depth_fixed", depth=1) == {"depth": 1, "length": None, "width": None}


def test_tokens_first_cuts_depth_and_units() -> None:
    found = shares(0.04, "tokens_first")
    assert found == {"depth": 1, "length": None, "width": pytest.approx(0.2)}  # 0.04 ** 0.5 * 5 = 1, then 0.04 * 5 / 1


def test_tokens_go_where_one_unit_is_left() -> None:
    found = shares(0.001, "tokens_first")
    assert found == {"depth": 1, "length": pytest.approx(0.5), "width": pytest.approx(0.01)}  # 0.005 = 0.5 * 1 / 100


def test_units_first_cuts_depth_and_tokens() -> None:
    found = shares(0.04, "units_first")
    assert found == {"depth": 1, "length": pytest.approx(0.2), "width": None}


def test_units_go_where_one_token_of_ten_is_left() -> None:
    found = shares(0.01, "units_first")
    assert found == {"depth": 1, "length": pytest.approx(0.1), "width": pytest.approx(0.5)}  # 0.05 = 0.1 * 0.5


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("amount", [0.003, 0.01, 0.03, 0.1, 0.19])
def test_every_path_keeps_what_is_asked_for(path: str, amount: float) -> None:
    found = shares(amount, path, **({"depth": 1} if path == "depth_fixed" else {}))
    parts = [1.0 if found[axis] is None else found[axis] for axis in ("length", "width")]
    assert found["depth"] / 5 * parts[0] * parts[1] == pytest.approx(amount)  # type: ignore[operator]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_ends_at_full_hsk(path: str) -> None:
    assert shares(1.0, path) == {"depth": 5, "length": None, "width": None}


@pytest.mark.parametrize(
    ("path", "amount", "given"),
    [
        pytest.param("tokens_first", None, ALL, id="no amount"),
        pytest.param("tokens_first", 1.0, ALL, id="all of it"),
        pytest.param("tokens_first", 0.1, {"length": None}, id="one axis"),
        pytest.param("tokens_first", 0.1, {"depth": None, "width": None}, id="all tokens by the strategy"),
        pytest.param("units_first", 0.1, {"depth": None, "length": None}, id="all units by the strategy"),
        pytest.param("depth_fixed", 0.1, ALL, id="no depth to hold fast"),
    ],
)
def test_a_path_that_changes_nothing_is_the_equal_one(
    path: str, amount: float | None, given: dict[str, Spelled]
) -> None:
    assert settle(path, amount, given) == "equal"


@pytest.mark.parametrize(
    ("path", "given"),
    [("tokens_first", ALL), ("units_first", ALL), ("depth_fixed", {**ALL, "depth": 2})],
)
def test_a_path_that_changes_something_keeps_its_name(path: str, given: dict[str, Spelled]) -> None:
    assert settle(path, 0.1, given) == path
