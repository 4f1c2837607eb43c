"""What a check finds: how this machine is in one respect, and the way out where it is not well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hskd_lightning.errors import ConfigError


class State(StrEnum):
    """How well."""

    OK = "ok"
    NOTE = "note"
    """It works, but slower or less than it could."""
    RED = "red"
    """Something will fail."""


@dataclass(frozen=True)
class Finding:
    """One line, and a remedy where there is something to do."""

    state: State
    said: str
    remedy: str = ""

    def __post_init__(self) -> None:
        assert self.remedy or self.state != State.RED, f"no way out of: {self.said}"


Check = Callable[[], Iterator[Finding]]
Group = Mapping[str, Check]
"""Checks by what they are of."""


def ok(said: str) -> Finding:
    """As it should be."""
    return Finding(State.OK, said)


def note(said: str, remedy: str = "") -> Finding:
    """It works, but slower or less than it could."""
    return Finding(State.NOTE, said, remedy)


def red(said: str, remedy: str) -> Finding:
    """Something will fail."""
    return Finding(State.RED, said, remedy)


def examined(check: Check) -> Iterator[Finding]:
    """What a check finds. A machine that is not well makes checks fail: that is found, and the others go on."""
    try:
        yield from check()
    except ConfigError as error:
        yield red(f"{error.key} = {error.value!r}; allowed: {error.allowed}", error.remedy)
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        yield red(f"could not be found out: {type(error).__name__} {first}", "see to this first, then ask again")
