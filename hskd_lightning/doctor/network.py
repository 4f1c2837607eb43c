"""The hub and W&B: whether they answer, found out in seconds; and what works where they do not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from hskd_lightning.doctor.finding import Finding, note, ok
from hskd_lightning.runs import routes
from hskd_lightning.settings.groups import LoggerSettings

Answer = TypeVar("Answer")
WITHOUT_HUB = "data=toy, data.root=FOLDER and teacher.init.path=FOLDER need no hub; HF_HUB_OFFLINE=1 waits for none"
WITHOUT_ROUTE = "logger=wandb goes on offline by itself; make wandb-sync uploads from where there is a route"
WITHOUT_KEY = "wandb login, or set WANDB_API_KEY; until then logger=wandb is offline, and make wandb-sync uploads later"
OFFLINE = ("offline", "dryrun", "disabled")


def hub() -> Iterator[Finding]:
    """Whether the hub at HF_ENDPOINT answers, by the client that fetches models and data."""
    from huggingface_hub import constants, get_session

    url = constants.ENDPOINT
    if constants.HF_HUB_OFFLINE:
        yield note("HF_HUB_OFFLINE is set: models and data from the cache and from folders", "unset it to fetch others")
        return
    try:
        status = within(routes.PATIENCE, lambda: get_session().head(url, timeout=routes.PATIENCE).status_code)
        fault = f"HTTP {status}" if status >= 400 else ""
    except Exception as error:  # the client's own, which changed its make between versions
        fault = _first_line(error)
    if fault:
        yield note(f"{url}{_by_proxy(url)} does not answer ({fault})", WITHOUT_HUB)
    else:
        yield ok(f"{url}{_by_proxy(url)} answers")


def wandb(settings: LoggerSettings) -> Iterator[Finding]:
    """Whether cells with logger=wandb would be told to the server at WANDB_BASE_URL as they run."""
    mode = os.environ.get("WANDB_MODE", settings.mode) if settings.mode == "auto" else settings.mode
    if mode in OFFLINE:
        yield ok(f"{mode}, as was asked for: nothing is sent")
        return
    import wandb

    silent = wandb.Settings(silent=True)  # else it asks the server whose key that is, and waits for it
    url = wandb.setup(settings=silent).settings.base_url
    has_key = wandb.login(prompt=False, verify=False)
    key = "a key" if has_key else "no key"
    try:
        there = within(routes.PATIENCE, lambda: routes.reachable(url))
    except TimeoutError:
        there = False
    if not there:
        yield note(f"{url}{_by_proxy(url)} cannot be reached; {key}", WITHOUT_ROUTE)
    elif not has_key:
        yield note(f"{url}{_by_proxy(url)} can be reached; no key", WITHOUT_KEY)
    else:
        yield ok(f"{url}{_by_proxy(url)} can be reached; a key")


def within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """What a question is answered with. Connecting has a time limit of its own, but the look-up of a name heeds none.

    Raises:
        TimeoutError: nothing in so many seconds.
    """
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    return answer.result(timeout=seconds)


def _by_proxy(url: str) -> str:
    proxy = routes.proxy_of(url)
    return "" if proxy is None else f" by the proxy {proxy}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
