"""Ctrl-C and SIGTERM: a process cleans up as it does on an error, and ends in one line and an exit code of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ANEW = {"verify", "pull"}
"""Commands of `study` and `store` that keep nothing of what they began."""
REPEATED = 1.0
"""Seconds within which a signal is the same one again: `timeout` sends each twice."""
DEFAULTS: dict[signal.Signals, Callable[..., Any] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


class Interrupted(SystemExit):
    """This process was asked to stop. Its exit code is 128 and the number of the signal, as in a shell."""


@contextmanager
def interruptible(speaks: bool = True) -> Iterator[None]:
    """Raise `Interrupted` in this block when the process is asked to stop, and say how to go on.

    Lightning, Hydra and every `except Exception` let it pass, while they would swallow a KeyboardInterrupt or lose a
    SIGTERM. Where somebody else handles a signal already, as an outer block of this kind, a launcher that puts
    preempted jobs back into the queue, or `nohup`, it stays theirs.

    Args:
        speaks: print the one line that says what to type; not for the children of a process that does.
    """
    handled = [number for number, default in DEFAULTS.items() if signal.getsignal(number) is default]
    if threading.current_thread() is not threading.main_thread():
        handled = []  # the main thread alone may handle signals
    stop = _Stop()
    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    except Interrupted:
        if handled and speaks:
            print(f"\nInterrupted: {_remedy()}", file=sys.stderr)
        raise  # still handled: the signal may come again while the process ends
    except BaseException:
        _restore(handled)
        raise
    _restore(handled)


class _Stop:
    """The handler of one process's signals."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.since: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:
            raise KeyboardInterrupt  # a data loading process inherited the handler, and knows this alone
        now = time.monotonic()
        if self.since is None or now - self.since > REPEATED:
            self.since = now
            raise Interrupted(128 + number)


def _restore(handled: list[signal.Signals]) -> None:
    for number in handled:
        signal.signal(number, DEFAULTS[number])


def _remedy() -> str:
    if set(sys.argv[1:3]) & ANEW:  # study verify, or hskd study verify
        return "nothing is kept; the same command begins again."
    if "force=true" not in sys.argv:
        return "the same command goes on where it stopped."
    if {"-m", "--multirun"} & set(sys.argv):
        return "cells that it did not reach have the results of before; without force=true they keep these."
    return "the same command without force=true goes on where it stopped."
