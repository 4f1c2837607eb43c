"""Findings on the console: a line each, coloured where there is a terminal, and nothing in it that is secret."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from hskd_lightning.doctor.finding import Finding, State

COLOURS = {State.OK: "green", State.NOTE: "yellow", State.RED: "bold red"}
WIDTH = 79
"""Of a line where there is no terminal, and at least."""
BESIDE = 23
"""Columns before what is said: state, name."""
SECRET = re.compile("KEY|TOKEN|SECRET|PASS|CREDENTIAL", re.IGNORECASE)
"""In the names of variables whose values nobody is shown."""
SHORTEST = 6
"""Letters of what can be a secret: `true` is none, and hiding it would riddle the rest."""
BEFORE_AT = re.compile(r"[^\s/]+@")
"""A user and a password in an address."""


class Report:
    """Prints as findings come: some wait for a network."""

    def __init__(self) -> None:
        self.console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
        self.width = max(WIDTH, self.console.width - 1) if self.console.is_terminal else WIDTH
        self.seen = dict.fromkeys(State, 0)

    def title(self, group: str) -> None:
        """The name of a group of checks."""
        self.console.print(Text(group, "bold"))

    def show(self, name: str, finding: Finding) -> None:
        """One finding."""
        self.seen[finding.state] += 1
        first, *rest = self._lines(name, finding)
        coloured = Text(first)
        coloured.stylize(COLOURS[finding.state], 2, 2 + len(finding.state))
        for line in (coloured, *rest):
            self.console.print(line)

    def end(self) -> bool:
        """Say how the machine is; whether it is fit."""
        fit = not self.seen[State.RED]
        well, notes, bad = self.seen.values()
        counts = f"{well} ok, {notes} {'note' if notes == 1 else 'notes'}, {bad} red"
        self.console.print(Text(f"{'fit to run' if fit else 'not fit to run'}: {counts}", "bold"))
        return fit

    def _lines(self, name: str, finding: Finding) -> Iterator[str]:
        before = f"  {finding.state:<4}  {name:<{BESIDE - 9}} "
        yield from self._wrapped(finding.said, before)
        if finding.remedy:
            yield from self._wrapped(f"remedy: {finding.remedy}", " " * BESIDE)

    def _wrapped(self, text: str, before: str) -> list[str]:
        text = " ".join(redacted(text).split())
        return textwrap.wrap(
            text, self.width, initial_indent=before, subsequent_indent=" " * BESIDE, break_on_hyphens=False
        )


def redacted(text: str) -> str:
    """The text without what the environment keeps secret, and without the users and passwords of addresses."""
    hidden = [value for name, value in os.environ.items() if SECRET.search(name) and len(value) >= SHORTEST]
    for value in sorted(hidden, key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(value, "***")
    return BEFORE_AT.sub("***@", text)
