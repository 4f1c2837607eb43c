"""One token is not all tokens: how a `keep` is read, told apart and printed."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

import pytest

from hskd_lightning.compress.depth.uniform import UniformLayers
from hskd_lightning.compress.keep import (
    Count,
    Keep,
    Share,
    Spelled,
    as_number,
    check_keep,
    count_kept,
    includes,
    least_including,
    said,
)
from hskd_lightning.errors import ConfigError


@pytest.mark.parametrize(
    ("spelled", "keep"),
    [
        (1, Count(1)),
        (10, Count(10)),
        (0.25, Share(0.25)),
        (1.0, None),
        (None, None),
        (Count(3), Count(3)),
        (Share(0.5), Share(0.5)),
    ],
)
def test_what_is_spelled_is_read(spelled: Spelled, keep: Keep) -> None:
    assert check_keep("length.keep", spelled) == keep


def test_a_count_is_no_share_and_has_no_order_with_one() -> None:
    assert Count(1) != Share(0.5)
    assert len({Count(1), Share(0.5), Count(1)}) == 2
    with pytest.raises(TypeError):
        operator.lt(Share(0.5), Count(1))


@pytest.mark.parametrize("part", [0.0, 1.0, 1.5, float("nan")])
def test_no_share_is_all_or_nothing(part: float) -> None:
    with pytest.raises(AssertionError):
        Share(part)


@pytest.mark.parametrize("keep", [1, 12, 0.25, 0.1 + 0.2, None])
def test_a_keep_is_spelled_as_it_was(keep: int | float | None) -> None:
    spelled = as_number(check_keep("length.keep", keep))
    assert (type(spelled), spelled) == (type(keep), keep)


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        (Count(1), "1 token"),
        (Count(10), "10 tokens"),
        (Share(0.25), "25% of the tokens"),
        (Share(1 / 3), "33.3% of the tokens"),
        (None, "all tokens"),
    ],
)
def test_it_is_printed_as_one_would_say_it(keep: Keep, words: str) -> None:
    assert said(keep, "token") == words


@pytest.mark.parametrize(
    ("keep", "kept"), [(None, 8), (Count(1), 1), (Count(9), 8), (Share(0.25), 2), (Share(0.01), 1), (Share(0.99), 8)]
)
def test_how_many_of_eight_are_kept(keep: Keep, kept: int) -> None:
    assert count_kept(keep, 8) == kept


EVERYTHING, ONE, MANY, FEW_OF, MOST_OF = None, Count(1), Count(9), Share(0.2), Share(0.9)


@pytest.mark.parametrize(
    ("kept", "asked"),
    [(EVERYTHING, EVERYTHING), (EVERYTHING, ONE), (EVERYTHING, MOST_OF), (MANY, ONE), (MOST_OF, FEW_OF)],
)
def test_more_includes_less(kept: Keep, asked: Keep) -> None:
    assert includes(kept, asked)
    assert least_including(kept, asked) == least_including(asked, kept) == kept


@pytest.mark.parametrize(
    ("kept", "asked"), [(ONE, EVERYTHING), (MOST_OF, EVERYTHING), (ONE, MANY), (MANY, FEW_OF), (MOST_OF, ONE)]
)
def test_less_includes_no_more_and_a_count_no_share(kept: Keep, asked: Keep) -> None:
    assert not includes(kept, asked)


def test_a_count_and_a_share_are_both_in_nothing_but_everything() -> None:
    assert least_including(MANY, FEW_OF) is None


@pytest.mark.parametrize("make", [lambda keep: UniformLayers(top=keep), lambda keep: UniformLayers(keep=keep)])
def test_on_depth_too_the_share_of_one_is_all_and_the_count_of_one_is_not(
    make: Callable[[Spelled], UniformLayers],
) -> None:
    all_of_it, everything, one = (make(keep).layer_map(12, 4) for keep in (1.0, None, 1))
    assert all_of_it == everything != one


def test_a_refusal_shows_the_number_that_was_typed() -> None:
    with pytest.raises(ConfigError, match=re.escape("`width.keep` = 9 cannot be used")):
        check_keep("width.keep", Count(9), total=8)
