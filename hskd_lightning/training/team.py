"""Several processes train one cell: rank 0 leads, the others do what it asks of them.

Rank 0 runs the pipeline as if it were alone: locks, artifacts, trackers and files are its own. What all ranks do
together, Lightning's DDP above all, it asks of them as a task: a function and its arguments, over a connection to each.
A connection that ends is a rank that died, whatever the others are waiting for: so they end too, within seconds.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from multiprocessing.connection import Connection
from typing import Any

from hskd_lightning import ranks
from hskd_lightning.errors import TrainingError
from hskd_lightning.settings.groups import TrainerSettings

log = logging.getLogger(__name__)
GRACE = 4.0
"""Seconds in which a process may end by itself once another is gone."""
DONE, STOP = b"", b"stop"
"""What followers are told in the place of a task: end well, or at once."""


class Team:
    """The ranks of one cell, which this process leads. The others are started, or met, when they are first needed.

    Args:
        trainer: how many there are, and on what; None: this process is all.
        threads: of each; None: its share of the machine's cores.
    """

    def __init__(self, trainer: TrainerSettings | None = None, threads: int | None = None) -> None:
        self.trainer = trainer
        self.threads = threads
        self._news: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # None: a follower has done its task
        self._ending = threading.Event()
        self._started: Sequence[subprocess.Popen[bytes]] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """On another rank there is nobody to ask."""
        return Team, ()

    def everywhere(self, task: Callable[..., Any], *arguments: Any, **ours: Any) -> Any:
        """Have every rank call a function; returns what it returns here, once all have done.

        Args:
            task: a function, or a method with the object that it is of as its first argument.
            arguments: sent to every rank.
            ours: more of them, for this rank alone: loggers.

        Raises:
            TrainingError: another rank ended.
        """
        message = pickle.dumps((task, arguments)) if self.followers else b""
        try:
            for follower in self.followers:
                follower.send_bytes(message)
            done = task(*arguments, **ours)
            for _ in self.followers:
                self._hear(None)
        except BaseException as error:
            self._ending.set()
            if isinstance(error, RuntimeError | OSError) and not isinstance(error, TrainingError) and self.followers:
                self._hear(GRACE)  # torch.distributed's error, maybe, where somebody is gone
            raise
        return done

    @cached_property
    def followers(self) -> Sequence[Connection]:
        """A connection to each of the other ranks."""
        if self.trainer is None or self.trainer.ranks == 1:
            return ()
        from hskd_lightning.training import rendezvous  # here: a cell by itself needs none of it

        self._started = rendezvous.start_others(self.trainer, self.threads)
        for process in self._started:
            threading.Thread(target=self._await, args=(process,), daemon=True).start()
        followers = rendezvous.meet(self.trainer, self.threads)
        for number, follower in enumerate(followers, start=1):
            threading.Thread(target=self._watch, args=(number, follower), daemon=True).start()
        log.info("%d processes train together", self.trainer.ranks)
        return followers

    def end(self, well: bool) -> None:
        """Let the others go, and what was started here with them."""
        self._ending.set()
        for follower in vars(self).get("followers", ()):
            try:
                follower.send_bytes(DONE if well else STOP)
            except OSError:
                log.debug("a rank is gone already")
        deadline = time.monotonic() + GRACE
        for process in self._started:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        if ranks.size() > 1:
            from hskd_lightning.training import rendezvous

            rendezvous.leave(well)

    def _hear(self, timeout: float | None) -> None:
        """Take what a follower says: that it has done or, as an error, that it is gone. Nothing, if that takes long."""
        while True:
            try:
                words = self._news.get(timeout=timeout)
            except queue.Empty:
                return
            if words is not None:
                raise TrainingError(f"{words}, and all end with it: the same command goes on where they stopped")
            if timeout is None:
                return

    def _watch(self, number: int, follower: Connection) -> None:
        """Pass on what a follower says, until it ends."""
        try:
            while (words := follower.recv()) is None:
                self._news.put(None)
            self._lose(f"rank {number} failed: {words}")
        except (EOFError, OSError):
            self._lose(f"rank {number} ended")

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        """Notice a process that ends before there is a connection to it."""
        if process.wait() != 0 and "followers" not in vars(self):
            self._lose(f"a process that was started for another rank ended with exit code {process.returncode}")

    def _lose(self, words: str) -> None:
        """End this process without a rank that is gone, whatever it does: waiting in a kernel it hears no signal."""
        self._news.put(words)
        if self._ending.wait(GRACE):
            return
        log.error("%s, and all end with it", words)
        os.kill(os.getpid(), signal.SIGTERM)
        if not self._ending.wait(GRACE):
            os._exit(1)


ALONE = Team()
"""A cell in one process."""


@contextmanager
def assembled(trainer: TrainerSettings, threads: int | None) -> Iterator[Team]:
    """The team of a cell, for as long as it runs. Those that a launcher started are met at once: they wait."""
    team = Team(trainer, threads)
    well = False
    try:
        if ranks.launched() is not None:
            team.followers  # noqa: B018
        yield team
        well = True
    finally:
        team.end(well)
