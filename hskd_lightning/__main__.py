"""hskd: the commands of this package, each of which can also be started by `python -m`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from hskd_lightning.errors import ConfigError, did_you_mean

COMMANDS = {
    "train": ("hskd_lightning.train", "one cell, or a sweep with -m: teach, distil, score"),
    "store": ("hskd_lightning.store.__main__", "look after knowledge stores"),
    "study": ("hskd_lightning.study.__main__", "plan a sweep, watch it, collect its results, draw its figures"),
    "export": ("hskd_lightning.export.__main__", "a finished cell's student for transformers and onnxruntime"),
    "dashboard": ("hskd_lightning.dashboard.__main__", "a W&B workspace and a report of all cells"),
    "doctor": ("hskd_lightning.doctor.__main__", "is this machine fit to run?"),
}
"""A command: the module whose `main` it is, and what it is for."""
USAGE = "\n".join(
    ["usage: hskd COMMAND ...", "", *(f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()), ""]
    + ["hskd COMMAND --help says more of each."]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that is named first with what stands behind it; without one, list them."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(USAGE)
    elif name in COMMANDS:
        importlib.import_module(COMMANDS[name][0]).main(rest)  # not before it is asked for: torch takes seconds
    else:
        near = did_you_mean(name, COMMANDS, "write hskd train")
        sys.exit(f"\n{ConfigError('hskd', name, ', '.join(COMMANDS), near)}\n")


if __name__ == "__main__":
    main()
