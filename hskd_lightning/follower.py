"""A rank that follows: it does what rank 0 asks, task by task, and ends with it."""

from __future__ import annotations

import json
import logging
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from types import FrameType

from hskd_lightning import console, ranks
from hskd_lightning.errors import ConfigError, TrainingError
from hskd_lightning.settings.groups import TrainerSettings
from hskd_lightning.training import rendezvous
from hskd_lightning.training.team import DONE, GRACE, STOP


def follows(trainer: TrainerSettings) -> bool:
    """Whether this process is a rank that a launcher, or the user on another machine, started to follow."""
    if trainer.ranks == 1:
        return False
    launched = ranks.launched()
    return launched.rank > 0 if launched is not None else int(os.environ.get("NODE_RANK", 0)) > 0


def follow(trainer: TrainerSettings, threads: int | None) -> None:
    """Join the others, and do what rank 0 asks until it asks no more. Rank 0 speaks for all: this one is silent."""
    console.quiet()
    logging.getLogger("hskd_lightning").setLevel(logging.ERROR)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave_it_to_rank_0)
    rendezvous.start_others(trainer, threads)  # on another machine, where this is the first process
    leader = rendezvous.greet(trainer, threads)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(leader, tasks), daemon=True).start()
    while (message := tasks.get()) != DONE:
        _do(message, leader)
    rendezvous.leave(well=True)


def _do(message: bytes, leader: Connection) -> None:
    try:
        task, arguments = pickle.loads(message)
        task(*arguments)
        leader.send(None)
    except TrainingError:
        sys.exit(1)  # rank 0 says the same
    except BaseException as error:
        leader.send(str(error) if isinstance(error, ConfigError) else traceback.format_exc())
        sys.exit(1)


def _listen(leader: Connection, tasks: queue.SimpleQueue[bytes]) -> None:
    """Hand on what rank 0 asks, and end this process with it: it may be waiting where no exception reaches it."""
    try:
        while (message := leader.recv_bytes()) != STOP:
            tasks.put(message)
            if message == DONE:
                return
    except (EOFError, OSError):
        print("rank 0 is gone, and all end with it", file=sys.stderr)
    os._exit(1)


def _leave_it_to_rank_0(number: int, frame: FrameType | None) -> None:
    """A signal that stops a cell comes to all its ranks: rank 0 says what there is to say, and ends this one."""
    end = threading.Timer(GRACE, os._exit, (128 + number,))
    end.daemon = True
    end.start()


def _end_without(parent: int) -> None:
    """End with the process that started this one, which may be gone before there is a connection to it."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_without, args=(os.getppid(),), daemon=True).start()
    settings, threads_of_each = json.loads(sys.argv[1])
    follow(TrainerSettings(**settings), threads_of_each)
