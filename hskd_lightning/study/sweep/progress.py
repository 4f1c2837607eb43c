"""How far a sweep is, read off the disk while other processes run it: one bar on a terminal, lines elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.plugins.launcher import Launcher
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hskd_lightning.runs.state import State
from hskd_lightning.study.sweep.plan import Plan

log = logging.getLogger(__name__)
POLL_EVERY, SAY_EVERY = 1.0, 20.0
"""Seconds between two looks at the cells, and between two lines about them."""


@contextmanager
def watching(plan: Plan, launcher: Launcher) -> Iterator[None]:
    """Show a sweep's progress while the block runs; nothing where cells run in this process and speak themselves."""
    if isinstance(launcher, BasicLauncher):
        yield
        return
    stop = threading.Event()
    show = _bar if sys.stdout.isatty() else _lines
    thread = threading.Thread(target=show, args=(plan, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _bar(plan: Plan, stop: threading.Event) -> None:
    columns = (
        TextColumn("cells"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns) as progress:
        done = len(plan.in_state(State.DONE))
        task = progress.add_task("cells", total=len(plan.to_run), completed=done, said="")
        while not stop.wait(POLL_EVERY):
            progress.update(task, completed=len(plan.in_state(State.DONE)), said=_failed(plan))
        progress.update(task, completed=len(plan.in_state(State.DONE)), said=_failed(plan))


def _lines(plan: Plan, stop: threading.Event) -> None:
    began, before = time.monotonic(), len(plan.in_state(State.DONE))
    while not stop.wait(SAY_EVERY):
        done = len(plan.in_state(State.DONE))
        pace = (time.monotonic() - began) / (done - before) if done > before else None
        left = "" if pace is None else f", about {pace * (len(plan.to_run) - done) / 60:.0f} min left"
        log.info("sweep: %d of %d cells done%s%s", done, len(plan.to_run), left, _failed(plan))


def _failed(plan: Plan) -> str:
    failed = len(plan.in_state(State.FAILED))
    return f", {failed} failed" if failed else ""
