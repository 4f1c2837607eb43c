"""What a result was made with."""

from __future__ import annotations

import platform
import re
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

CODE = (":(top)", ":(top,exclude)results")
PACKAGES = ("torch", "pytorch-lightning", "transformers", "hydra-core", "hskd-lightning")


def versions() -> dict[str, str]:
    """Python and the packages that decide numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def peak_memory_mb() -> float:
    """The most memory that this process has had resident so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def git_sha(folder: Path = Path(__file__).parent) -> str | None:
    """The commit of the code that runs, with `-dirty` if it was changed since; None outside a checkout.

    What studies leave in results/ is no code: the second one of a checkout would be dirty by the first.
    """
    command = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", *CODE]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    sha = re.search(r"^# branch\.oid (\w+)", done.stdout, re.MULTILINE)
    dirty = re.search(r"^[^#]", done.stdout, re.MULTILINE)
    return f"{sha[1]}{'-dirty' if dirty else ''}" if sha else None
