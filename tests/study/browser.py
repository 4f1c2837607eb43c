"""Chromium without a window, driven through a pipe: what a reader's browser makes of a page."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ALONE = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *(
        "--disable-background-networking",
        "--disable-sync",
        "--remote-debugging-pipe",
    ),
)


class Browser:
    """Chrome's DevTools protocol: one JSON message a zero byte, numbered, answered in any order among events."""

    def __init__(self, to: int, back: int) -> None:
        self.to, self.back, self.rest, self.number, self.session = to, back, b"", 0, ""
        self.complaints: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        session = {"sessionId": self.session} if self.session else {}
        os.write(
            self.to, json.dumps({"id": self.number, "method": method, "params": params, **session}).encode() + b"\0"
        )
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            piece = os.read(self.back, 1 << 20)
            assert piece, "chromium ended"
            self.rest += piece
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        """What a page must not do: complain, throw, or ask the network for anything."""
        params = event.get("params", {})
        asked = params.get("request", {}).get("url", "")
        loud = event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert")
        if loud or event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded") or asked.startswith("http"):
            self.complaints.append(json.dumps(params)[:500])

    def open(self, page: Path, width: int, dark: bool = False) -> None:
        """Show a page at a width, and wait until it says how many figures it has drawn."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.run("delete document.documentElement.dataset.drawn")  # of the page that is shown until this one comes
        self.ask("Page.navigate", url=page.as_uri())
        self.wait("document.documentElement.dataset.drawn")

    def wait(self, script: str) -> None:
        """Until it gives something true."""
        deadline = time.monotonic() + 60
        while not self.run(script):
            assert time.monotonic() < deadline, (script, self.complaints)
            time.sleep(0.1)

    def run(self, script: str) -> Any:
        """What a script of one expression gives."""
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser of its own, with a new profile in `folder`, that cannot reach any host."""
    assert CHROMIUM is not None
    (read, to), (back, write) = os.pipe(), os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read, write)]  # out of the way of 3 and 4, which it expects
    quiet = [(os.POSIX_SPAWN_OPEN, end, os.devnull, os.O_RDWR, 0) for end in (1, 2)]
    pipes = [(os.POSIX_SPAWN_DUP2, end, at) for end, at in zip(ends, (3, 4), strict=True)]
    command = [CHROMIUM, *ALONE, f"--user-data-dir={folder}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    process = os.posix_spawn(CHROMIUM, command, os.environ, file_actions=[*quiet, *pipes])
    for end in (read, write, *ends):
        os.close(end)
    try:
        yield Browser(to, back)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(to)
        os.close(back)
