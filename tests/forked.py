"""Commands in processes of their own that are forked from one with the libraries in it: seconds less than a start each.

For tests of what a process does and leaves behind. How one starts is seen in those that start python itself (test_cli,
test_wheel, test_start_up, and whatever hangs on what runs when an interpreter ends).
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext

from tests.helpers import ROOT

LIBRARIES = ["hskd_lightning.pipeline", "hskd_lightning.train", "hskd_lightning.study.sweep.ending"]
PATIENCE = 300.0
"""Seconds: nothing in these tests takes a tenth of it."""


def server() -> ForkServerContext:
    """Whatever it starts is forked from one process for each process of pytest."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    return context


class Forked:
    """The part of subprocess.Popen that tests need, for `[sys.executable, ...]`; stdout has stderr in it."""

    def __init__(self, command: Sequence[str], alone: bool = False, environment: Mapping[str, str] | None = None):
        """`alone`: in a session, and so a process group, of its own."""
        context = server()
        reader, writer = context.Pipe(duplex=False)
        variables = dict(os.environ if environment is None else environment)
        self._process = context.Process(target=_run, args=(list(command[1:]), variables, writer, alone))
        self._process.start()
        writer.close()
        self.stdout = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
        reader.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, None]:
        """What it says until it ends, which it is made to after `timeout` seconds."""
        limit = threading.Timer(timeout, self._process.kill)
        limit.start()
        with self.stdout:
            said = self.stdout.read()
        self._process.join()
        limit.cancel()
        return said, None


def said_by(command: Sequence[str], code: int = 0) -> str:
    """What a command says until it ends, with this code."""
    process = Forked(command)
    said, _ = process.communicate()
    assert process.returncode == code, said
    return said


def _run(words: Sequence[str], environment: Mapping[str, str], out: Connection, alone: bool) -> None:
    if alone:
        os.setsid()
    os.dup2(out.fileno(), 1)
    os.dup2(out.fileno(), 2)
    out.close()
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    if words[0] == "-m":
        sys.argv = list(words[1:])
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")
