"""Is this machine fit to run? Each line is ok, a note, or red with a remedy.

note     it works, but slower or less than it could
red      something will fail; the exit code is 1

Overrides are those of the run that you mean, as for train.py: of its
trainer, threads, logger and paths. Nothing is trained or downloaded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hskd_lightning.errors import ConfigError, command
from hskd_lightning.interrupt import interruptible

if TYPE_CHECKING:
    from hskd_lightning.doctor.finding import Group
    from hskd_lightning.doctor.printed import Report
    from hskd_lightning.settings import Settings


@interruptible(speaks=False)
def main(arguments: Sequence[str] | None = None) -> None:
    """Examine the machine; exit code 1 where anything is red, or for a user's mistake, after its message."""
    parser = argparse.ArgumentParser(  # not usage.parser: what that imports may be what is missing
        command("doctor"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="as for train.py")
    given = parser.parse_args(arguments)
    from hskd_lightning.doctor.printed import Report  # here: nor need --help wait for any of this

    report = Report()
    try:
        _examine(report, given.overrides)
    except ConfigError as error:
        sys.exit(f"\n{error}\n")
    if not report.end():
        sys.exit(1)


def _examine(report: Report, overrides: Sequence[str]) -> None:
    from hskd_lightning.doctor.libraries import CHECKS

    _show(report, "libraries", CHECKS)
    from hskd_lightning.doctor.examination import groups  # here: it imports libraries, and their lines stand above

    for title, group in groups(_settings(overrides)).items():
        _show(report, title, group)


def _show(report: Report, title: str, group: Group) -> None:
    from hskd_lightning.doctor.finding import examined

    report.title(title)
    for name, check in group.items():
        for finding in examined(check):
            report.show(name, finding)


def _settings(overrides: Sequence[str]) -> Settings:
    """What a cell with these overrides is told.

    Raises:
        ConfigError: what train.py would refuse before it looks at data and models.
    """
    from hydra import compose, initialize_config_module

    from hskd_lightning import mistakes
    from hskd_lightning.config import plain
    from hskd_lightning.settings import read_settings

    with mistakes.explained(overrides), initialize_config_module("hskd_lightning.conf", version_base="1.3"):
        config = compose("train", overrides=list(overrides))
    return read_settings(plain(config))


if __name__ == "__main__":
    main()
