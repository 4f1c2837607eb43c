"""The command line of `study`: its flags, and which commands have a use for each."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hskd_lightning import usage
from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.intervals import check_share

USES: Mapping[str, tuple[str, ...]] = {
    "to": ("collect", "retry", "tune", "figures", "minimum", "verify"),
    "margin": ("plan", "retry", "figures", "minimum"),
    "variance": ("figures",),
    "budget": ("minimum",),
    "dry": ("minimum",),
    "yes": ("clean",),
}
"""The commands that read a flag. Nobody else takes it: `retry --dry` would train."""
WITHOUT = ("figures", "verify")
"""The commands that read a folder, and no configuration."""


def read(doc: str, commands: Iterable[str], arguments: Sequence[str] | None) -> argparse.Namespace:
    """What a user typed."""
    parser = usage.parser("study", doc)
    names = list(commands)
    parser.add_argument("command", choices=names, metavar="command", help=", ".join(names))
    parser.add_argument("--config-dir", help="as for train.py: a folder with sweeps of your own")
    parser.add_argument("--config-name", default="train", help="as for train.py: a file of sweeps/, say depth")
    parser.add_argument("--to", type=Path, help="the folder to fill; figures, verify: the folder to read")
    parser.add_argument("--margin", type=float, help=_only("margin", "the loss of score that does not matter"))
    choices = ("welch", "moderated")
    parser.add_argument("--variance", choices=choices, help=_only("variance", "of scores over seeds"))
    parser.add_argument("--budget", help=_only("budget", "bytes an example, as 300B"))
    parser.add_argument("--dry", action="store_true", help=_only("dry", "say what would run, and end"))
    parser.add_argument("--yes", action="store_true", help=_only("yes", "remove"))
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="as for train.py -m; claims: pages")
    return parser.parse_intermixed_args(arguments)


def _only(flag: str, what: str) -> str:
    return f"{', '.join(USES[flag])}: {what}"


def check(given: argparse.Namespace) -> None:
    """Refuse what the command would pass over in silence, and a margin that is none.

    Raises:
        ConfigError: names the flag or the word.
    """
    for flag, commands in USES.items():
        value = getattr(given, flag)
        if value not in (None, False) and given.command not in commands:
            allowed = f"left out: it is for study {' | '.join(commands)}"
            raise ConfigError(f"--{flag}", value, allowed, f"leave --{flag} out")
    if given.overrides and given.command in WITHOUT:
        remedy = f"write study {given.command} --to FOLDER"
        raise ConfigError("overrides", given.overrides[0], f"none: study {given.command} reads a folder", remedy)
    if given.margin is not None:
        check_share("--margin", given.margin, below=math.inf)


def folder_with(name: str, given: argparse.Namespace) -> Path:
    """The folder that is to be read.

    Raises:
        ConfigError: none was named, or it has no such file.
    """
    if given.to is None or not (given.to / name).exists():
        remedy = "name it, say --to results/toy; study collect makes a results.csv, also of a half-done sweep"
        raise ConfigError("--to", None if given.to is None else str(given.to), f"a folder with a {name}", remedy)
    return Path(given.to)
