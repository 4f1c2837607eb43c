"""Whether a server can be reached from here, straight or by a proxy: found out in seconds, and nothing is sent."""

from __future__ import annotations

import socket
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

PATIENCE = 3.0
"""Seconds to find out."""
PORTS = {"http": 80, "https": 443}


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address (`https_proxy`, `all_proxy`, not `no_proxy`), if it does."""
    server, proxies = urlsplit(url), getproxies()
    return None if proxy_bypass(server.hostname or "") else proxies.get(server.scheme) or proxies.get("all")


def reachable(url: str) -> bool:
    """Whether an address, or the proxy before it, takes connections."""
    proxy = proxy_of(url)
    first = urlsplit(url if proxy is None else _with_scheme(proxy))
    return connects(first.hostname or "", _port(first))


def connects(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection((host, port), timeout=PATIENCE):
            return True
    except (OSError, UnicodeError):  # the latter of a name that no host can have
        return False


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _port(address: SplitResult) -> int:
    return address.port or PORTS.get(address.scheme, 80)
