"""Whether a server can be reached: straight, or by the proxy that the environment names."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from hskd_lightning.runs import routes

SERVER = "https://api.example.test"


@pytest.fixture(autouse=True)
def straight(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def test_somebody_listens(port: int) -> None:
    assert routes.reachable(f"http://127.0.0.1:{port}/path")


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert not routes.reachable(f"http://127.0.0.1:{bound.getsockname()[1]}")


@pytest.mark.parametrize("url", ["https://", f"https://{'a' * 70}.test", "no address"])
def test_what_no_server_can_be_called(url: str) -> None:
    assert not routes.reachable(url)


@pytest.mark.parametrize("form", ["http://me:word@127.0.0.1:{}", "127.0.0.1:{}"])
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_a_proxy_is_asked_in_the_place_of_the_server(
    variable: str, form: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, form.format(port))
    assert routes.reachable(SERVER)


def test_a_proxy_that_is_not_for_this_server(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "example.test")
    assert routes.proxy_of(SERVER) is None
    assert routes.proxy_of("https://other.test") == f"http://127.0.0.1:{port}"
