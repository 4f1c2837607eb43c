"""What a check finds, and one that fails itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hskd_lightning.doctor.finding import Finding, State, examined, ok, red
from hskd_lightning.errors import ConfigError


def failing_with(error: Exception) -> Iterator[Finding]:
    yield ok("so far")
    raise error


def test_red_has_a_remedy() -> None:
    with pytest.raises(AssertionError, match="no way out"):
        red("broken", "")


def test_a_check_that_fails_is_red_after_what_it_found() -> None:
    first, second = examined(lambda: failing_with(OSError("no such thing\nand more")))
    assert first == ok("so far")
    assert second.state == State.RED and second.said == "could not be found out: OSError no such thing"


def test_a_mistake_is_red_in_its_own_words() -> None:
    _, found = examined(lambda: failing_with(ConfigError("key", 3, "1 or 2", "write key=1")))
    assert found == red("key = 3; allowed: 1 or 2", "write key=1")
