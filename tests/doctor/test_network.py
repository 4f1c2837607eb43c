"""The hub and W&B: servers of this machine that answer, refuse, or are not there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import wandb
from huggingface_hub import constants

from hskd_lightning.doctor import network
from hskd_lightning.doctor.finding import State
from hskd_lightning.settings.groups import LoggerSettings
from tests.doctor.found import only

LOGGER = LoggerSettings(kind="csv")
KEY = "0123456789abcdef0123456789abcdef01234567"


class Answer(BaseHTTPRequestHandler):
    """200 to whoever asks for /, and 503 to others."""

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path == "/" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as listening:
        Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens, nor will: its port is bound."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture(autouse=True)
def straight(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, whatever this machine has."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.usefixtures("online")
def test_a_hub_that_answers(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", f"{server}/")
    assert only(network.hub).state == State.OK


@pytest.mark.usefixtures("online")
def test_a_hub_that_is_not_well(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", f"{server}/broken")
    found = only(network.hub)
    assert found.state == State.NOTE and "HTTP 503" in found.said


@pytest.mark.usefixtures("online")
def test_a_hub_that_is_not_there(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    found = only(network.hub)
    assert found.state == State.NOTE and f"{nobody} does not answer" in found.said
    assert "data=toy" in found.remedy and "HF_HUB_OFFLINE=1" in found.remedy


def test_a_hub_that_is_not_to_be_asked(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    found = only(network.hub)
    assert found.state == State.NOTE and "HF_HUB_OFFLINE is set" in found.said


def test_nobody_waits_longer_than_asked() -> None:
    with pytest.raises(TimeoutError):
        network.within(0.01, partial(time.sleep, 0.2))


def test_what_a_question_ends_in_is_passed_on() -> None:
    assert network.within(5, lambda: 1) == 1
    with pytest.raises(OSError, match="broken"):
        network.within(5, partial(_raise, OSError("broken")))


def _raise(error: Exception) -> None:
    raise error


@pytest.fixture
def tracker(no_account: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """W&B as a process finds it that asks for the first time."""
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


@pytest.mark.parametrize(
    ("there", "key", "state", "words"),
    [
        (True, KEY, State.OK, "can be reached; a key"),
        (True, "", State.NOTE, "can be reached; no key"),
        (False, KEY, State.NOTE, "cannot be reached; a key"),
    ],
)
def test_the_server_of_wandb(
    there: bool, key: str, state: State, words: str, server: str, nobody: str, tracker: pytest.MonkeyPatch
) -> None:
    tracker.setenv("WANDB_BASE_URL", server if there else nobody)
    if key:
        tracker.setenv("WANDB_API_KEY", key)
    found = only(partial(network.wandb, LOGGER))
    assert found.state == state and words in found.said
    assert bool(found.remedy) == (state != State.OK)
    assert KEY not in found.said


@pytest.mark.parametrize(("mode", "said"), [("auto", "disabled"), ("offline", "offline")])
def test_a_mode_that_sends_nothing_is_as_was_asked_for(mode: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")  # which the key logger.mode outdoes
    found = only(partial(network.wandb, LoggerSettings(kind="wandb", mode=mode)))  # type: ignore[arg-type]
    assert found.state == State.OK and found.said.startswith(f"{said}, as was asked for")
