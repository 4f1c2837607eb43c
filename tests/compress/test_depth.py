"""Depth: the paper's table, PKD's two maps, pairs written out, and every wrong `keep`."""

from __future__ import annotations

import pytest

from hskd_lightning.compress.depth.all import AllLayers
from hskd_lightning.compress.depth.bottom import BottomLayers
from hskd_lightning.compress.depth.explicit import ExplicitLayers
from hskd_lightning.compress.depth.last import LastLayers
from hskd_lightning.compress.depth.skip import SkipLayers
from hskd_lightning.compress.depth.uniform import UniformLayers
from hskd_lightning.errors import ConfigError
from tests.helpers import refusal

PAPER = [
    # S, top, all pairs' teacher states, keep = 1, keep = 2, keep = 3
    (4, 8, (0, 2, 4, 6, 8), (8,), (6, 8), (4, 6, 8)),
    (4, 10, (0, 2, 5, 8, 10), (10,), (8, 10), (5, 8, 10)),
    (4, 12, (0, 3, 6, 9, 12), (12,), (9, 12), (6, 9, 12)),
    (6, 8, (0, 1, 3, 4, 5, 7, 8), (8,), (7, 8), (5, 7, 8)),
    (6, 10, (0, 2, 3, 5, 7, 8, 10), (10,), (8, 10), (7, 8, 10)),
    (6, 12, (0, 2, 4, 6, 8, 10, 12), (12,), (10, 12), (8, 10, 12)),
]
ROWS = [
    pytest.param(student, top, keep, states, id=f"S{student}-top{top}-keep{keep}")
    for student, top, every, one, two, three in PAPER
    for keep, states in [(None, every), (student + 1, every), (1, one), (2, two), (3, three)]
]


@pytest.mark.parametrize(("student", "top", "keep", "states"), ROWS)
def test_uniform_gives_the_papers_table(student: int, top: int, keep: int | None, states: tuple) -> None:
    layer_map = UniformLayers(top=top, keep=keep).layer_map(12, student)
    assert layer_map.teacher_states == states
    assert layer_map.student_states == tuple(range(student + 1 - len(states), student + 1))


def test_uniform_without_top_reaches_the_last_state() -> None:
    assert UniformLayers().layer_map(12, 4).teacher_states == (0, 3, 6, 9, 12)


def test_uniform_top_as_a_share_of_the_blocks() -> None:
    assert UniformLayers(top=0.6667).layer_map(12, 4).teacher_states == (0, 2, 4, 6, 8)  # 8.0004


def test_uniform_keep_as_a_share_of_the_pairs() -> None:
    assert UniformLayers(keep=0.4).layer_map(12, 4).pairs == ((3, 9), (4, 12))  # 0.4 * 5 = 2


def test_uniform_smallest_share_keeps_one_pair() -> None:
    assert UniformLayers(keep=0.01).layer_map(12, 4).pairs == ((4, 12),)


def test_uniform_share_one_keeps_all_pairs() -> None:
    assert len(UniformLayers(keep=1.0).layer_map(12, 4)) == 5


def test_student_as_deep_as_its_teacher_learns_state_by_state() -> None:
    assert AllLayers().layer_map(3, 3).pairs == ((0, 0), (1, 1), (2, 2), (3, 3))


def test_student_deeper_than_its_teacher_shares_states() -> None:
    assert AllLayers().layer_map(2, 4).pairs == ((0, 0), (1, 0), (2, 1), (3, 2), (4, 2))  # 0.5 -> 0, 1.5 -> 2


def test_student_of_one_block() -> None:
    assert AllLayers().layer_map(12, 1).pairs == ((0, 0), (1, 12))


def test_all_is_uniform_without_options() -> None:
    assert AllLayers().layer_map(12, 6) == UniformLayers().layer_map(12, 6)


def test_skip_12_to_6_as_in_pkd() -> None:
    assert SkipLayers().layer_map(12, 6).pairs == ((1, 2), (2, 4), (3, 6), (4, 8), (5, 10))


def test_last_12_to_6_as_in_pkd() -> None:
    assert LastLayers().layer_map(12, 6).pairs == ((1, 7), (2, 8), (3, 9), (4, 10), (5, 11))


def test_skip_rounds_half_to_even_where_blocks_do_not_divide() -> None:
    assert SkipLayers().layer_map(10, 4).pairs == ((1, 2), (2, 5), (3, 8))  # 2.5 -> 2, 7.5 -> 8


@pytest.mark.parametrize(("strategy", "pairs"), [(SkipLayers, ((4, 8), (5, 10))), (LastLayers, ((4, 10), (5, 11)))])
def test_pkd_keeps_the_top(strategy: type, pairs: tuple) -> None:
    assert strategy(keep=2).layer_map(12, 6).pairs == pairs


@pytest.mark.parametrize(("strategy", "name"), [(SkipLayers, "skip"), (LastLayers, "last")])
def test_pkd_has_nothing_for_a_student_of_one_block(strategy: type, name: str) -> None:
    with refusal("depth", f"'{name}' cannot be used.\n  allowed: a student of 2 to 12 blocks"):
        strategy().layer_map(12, 1)


def test_last_needs_a_teacher_as_deep_as_the_student() -> None:
    with refusal("depth", "a student of 2 to 4 blocks, the teacher's (this one has 6)"):
        LastLayers().layer_map(4, 6)


def test_last_of_equal_depth() -> None:
    assert LastLayers().layer_map(3, 3).pairs == ((1, 1), (2, 2))


def test_bottom_keeps_the_lowest_pairs() -> None:
    assert BottomLayers(keep=2).layer_map(12, 6).pairs == ((0, 0), (1, 2))


def test_bottom_keep_as_a_share() -> None:
    assert BottomLayers(keep=0.6).layer_map(12, 4).pairs == ((0, 0), (1, 3), (2, 6))


def test_bottom_without_keep_is_all() -> None:
    assert BottomLayers().layer_map(12, 6) == AllLayers().layer_map(12, 6)


def test_explicit_pairs_are_sorted() -> None:
    assert ExplicitLayers([[4, 12], [2, 8]]).layer_map(12, 4).pairs == ((2, 8), (4, 12))


def test_explicit_two_teachers_for_one_student_state() -> None:
    assert ExplicitLayers([[2, 8], [2, 4]]).layer_map(12, 4).pairs == ((2, 4), (2, 8))


def test_explicit_teacher_state_that_does_not_exist() -> None:
    with refusal("depth.pairs", "student states 0 to 4, teacher states 0 to 12"):
        ExplicitLayers([[4, 13]]).layer_map(12, 4)


def test_explicit_student_state_that_does_not_exist() -> None:
    with refusal("depth.pairs", "[5, 12] cannot be used"):
        ExplicitLayers([[1, 2], [5, 12]]).layer_map(12, 4)


def test_explicit_negative_state() -> None:
    with refusal("depth.pairs", "name states that both models have"):
        ExplicitLayers([[1, -1]]).layer_map(12, 4)


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([], id="none"),
        pytest.param([[1, 2], [1, 2]], id="twice the same"),
        pytest.param([1, 2], id="numbers for pairs"),
        pytest.param([[1, 2, 3]], id="three numbers"),
        pytest.param([[1]], id="one number"),
        # Each of these five shows a bug: 1.5 becomes state 1, the others end in a TypeError or ValueError.
        pytest.param([[1.5, 2]], id="half a state"),
        pytest.param([["one", "two"]], id="words"),
        pytest.param([None], id="null for a pair"),
        pytest.param([1.5], id="a fraction for a pair"),
        pytest.param([[1, None]], id="null for a state"),
    ],
)
def test_explicit_malformed(pairs: list) -> None:
    with refusal("depth.pairs", "a list of different pairs [student state, teacher state]"):
        ExplicitLayers(pairs)


@pytest.mark.parametrize("strategy", [UniformLayers, BottomLayers])
def test_keep_above_the_number_of_pairs(strategy: type) -> None:
    with refusal("depth.keep", "a whole number from 1 up to 5"):
        strategy(keep=6).layer_map(12, 4)


@pytest.mark.parametrize("strategy", [SkipLayers, LastLayers])
def test_pkd_keep_above_its_number_of_pairs(strategy: type) -> None:
    with refusal("depth.keep", "a whole number from 1 up to 3"):
        strategy(keep=4).layer_map(12, 4)


# nan shows a bug: `keep <= 0` and `keep > 1` are both false for it.
@pytest.mark.parametrize("keep", [0, -1, 0.0, 1.5, True, "2", float("nan")])
@pytest.mark.parametrize("strategy", [UniformLayers, BottomLayers, SkipLayers, LastLayers])
def test_keep_that_never_makes_sense(strategy: type, keep: object) -> None:
    with refusal("depth.keep", "a share like 0.25 (above 0, at most 1.0)"):
        strategy(keep=keep)


def test_top_above_the_teacher() -> None:
    with refusal("depth.top", "a whole number from 1 up to 12"):
        UniformLayers(top=13).layer_map(12, 4)


def test_top_zero() -> None:
    with refusal("depth.top", "left out, it is everything"):
        UniformLayers(top=0)


def test_a_map_prints_as_student_from_teacher() -> None:
    assert str(UniformLayers(keep=2).layer_map(12, 4)) == "3<-9, 4<-12"


@pytest.mark.parametrize("strategy", [SkipLayers, LastLayers])
def test_patient_kd_refuses_a_student_deeper_than_its_teacher(strategy: type) -> None:
    with pytest.raises(ConfigError, match=r"`depth` = (.|\n)*2 to 2 blocks, the teacher's"):
        strategy().layer_map(2, 6)
