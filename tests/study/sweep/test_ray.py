"""A sweep on a Ray cluster that runs already: two nodes in folders of their own, without the driver's environment."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import ROOT, SMALL, TINY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed"),
]
RAY = Path(sys.executable).parent / "ray"
PATIENCE = 300
SMALL_NODE = ("--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats", "--block")


def node(folder: Path, *how: str) -> subprocess.Popen[bytes]:
    """A node that was started in this folder."""
    folder.mkdir()
    ours = ("PATH", "HOME", "HF_HUB_OFFLINE", "OMP_NUM_THREADS")
    environment = {name: os.environ[name] for name in ours if name in os.environ}
    with (folder.with_suffix(".log")).open("wb") as log:
        return subprocess.Popen(
            [RAY, "start", *how, *SMALL_NODE], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of two nodes, one CPU each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    short = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets have names of at most 107 characters
    head = node(
        tmp_path / "head", "--head", f"--port={port}", f"--temp-dir={short}",
        "--include-dashboard=false", "--node-ip-address=127.0.0.1",
    )  # fmt: skip
    address = f"127.0.0.1:{port}"
    wait_for("Ray runtime started", tmp_path / "head.log")
    second = node(tmp_path / "second", f"--address={address}", "--node-ip-address=127.0.0.1")
    wait_for("Ray runtime started", tmp_path / "second.log")
    yield address
    for process in (second, head):
        process.terminate()
        process.wait(timeout=60)


def wait_for(phrase: str, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while phrase not in path.read_text():
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.2)


def test_a_running_cluster_writes_where_the_driver_would(cluster: str, tmp_path: Path) -> None:
    driver = tmp_path / "driver"
    driver.mkdir()
    axes = ("length=cls_first", "length.keep=1,2", "seed=0,1", "launch=ray_cluster")
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", "-m", *SMALL, *TINY, *axes],
        cwd=driver, env={**os.environ, "RAY_ADDRESS": cluster, "HSKD_ROOT": "all/of it"},
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(path.read_text()) for path in driver.glob("all/of it/runs/*/result.json")]
    assert len(found) == 4
    assert len({result["store"] for result in found}) == 1
    assert len(list(driver.glob("all/of it/studies/*/results.csv"))) == 1
    assert [path.name for path in driver.iterdir()] == ["all"]
    assert list((tmp_path / "head").iterdir()) == list((tmp_path / "second").iterdir()) == []
