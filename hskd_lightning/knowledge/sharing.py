"""A store's shards among the processes that make it: each takes the next free one, whoever and wherever they are.

A shard is taken under the lock that the store is finished under, and held by a lock of its own until it is whole. So no
shard is made twice at once, no store is finished under anybody's hands, and a shard whose process dies is free again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from filelock import Timeout

from hskd_lightning.artifacts import lock_file, lock_of
from hskd_lightning.knowledge.parts import Parts

log = logging.getLogger(__name__)
WAIT = 0.5
"""Seconds after which a process that found no free shard looks again."""


class SharedShards:
    """Those of a store's shards that this process wants to see whole, made by itself or by others.

    Args:
        parts: what is there of the store.
        numbers: of the shards.
    """

    def __init__(self, parts: Parts, numbers: Iterable[int]) -> None:
        self.parts = parts
        self.pending = deque(numbers)

    @contextmanager
    def take(self) -> Iterator[int | None]:
        """Hold the next free shard for a `with` block; None where none is free, so that all are whole or being made."""
        with ExitStack() as held:
            with lock_file(lock_of(self.parts.folder)):
                number = self._next(held)
            yield number

    def _next(self, held: ExitStack) -> int | None:
        if not self.parts.folder.is_dir():  # finished by another, and so renamed
            self.pending.clear()
        others = []
        number = None
        while number is None and self.pending:
            candidate = self.pending.popleft()
            if self._is_whole(candidate):
                continue
            if self._hold(candidate, held):
                number = candidate
            else:
                others.append(candidate)
        self.pending.extendleft(reversed(others))
        return number

    def _hold(self, number: int, held: ExitStack) -> bool:
        """Whether a shard is this process's to make; the next look tells who else is at it, or was a moment ago."""
        lock = lock_file(self.parts.shard_lock(number))
        try:
            held.enter_context(lock.acquire(timeout=0))
        except Timeout:
            return False
        if self._is_whole(number):
            held.close()
            return False
        return True

    def _is_whole(self, number: int) -> bool:
        return self.parts.read_shard_note(number) is not None


class Progress:
    """Says how a store grows under the hands of this process.

    Args:
        shards: of the store.
    """

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self.tokens, self.seconds, self.waited = 0, 0.0, False
        self.since = time.perf_counter()

    def made(self, number: int, tokens: int) -> None:
        """A shard of so many tokens is there."""
        now = time.perf_counter()
        self.tokens, self.seconds, self.since = self.tokens + tokens, self.seconds + now - self.since, now
        log.info("store: shard %d of %d, %.0f tokens/s", number + 1, self.shards, self.tokens / self.seconds)

    def wait(self) -> None:
        """No shard is free: look again in a while."""
        if not self.waited:
            log.info("store: others make the last shards, waiting")
        time.sleep(WAIT)
        self.waited, self.since = True, time.perf_counter()
