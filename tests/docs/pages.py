"""What people read: README and docs/, and the commands that stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from tests.helpers import ROOT

PAGES = sorted([*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SAID_FIRST = re.compile(r"^#( (?:python|wandb) .*)$", re.MULTILINE)
"""A command in the comments that a yaml of sweeps/ begins with."""


class Command(NamedTuple):
    """A line of a shell, without its comment and the variables that it exports."""

    line: str
    words: tuple[str, ...]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [text for told, text in FENCE.findall(page.read_text()) if told == language]


def commands(text: str) -> list[Command]:
    """The commands of a block, continued lines as one; `...` stands for more words and is left out."""
    lines = [re.sub(r"\s+#.*", "", line) for line in text.replace("\\\n", " ").splitlines()]
    return [Command(line.strip(), tuple(_after_variables(_words(line)))) for line in lines if _words(line)]


def _words(line: str) -> list[str]:
    return [word for word in shlex.split(line, comments=True) if word != "..."]


def _after_variables(words: list[str]) -> list[str]:
    return words[1:] if re.fullmatch(r"[A-Z_]+=\S*", words[0]) and len(words) > 1 else words


def every_command() -> dict[str, tuple[str, ...]]:
    """All commands, each once, of all pages and of the yamls of sweeps/."""
    texts = [text for page in PAGES for text in blocks(page, "bash")]
    texts += ["\n".join(SAID_FIRST.findall(path.read_text())) for path in (ROOT / "sweeps").rglob("*.yaml")]
    return {command.line: command.words for text in texts for command in commands(text)}
