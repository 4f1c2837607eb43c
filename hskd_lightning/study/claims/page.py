"""A Markdown page as blocks: what a reader sees, and the claims in comments behind it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hskd_lightning.data.source_file import SourceFile
from hskd_lightning.data.source_file import lines as text_lines
from hskd_lightning.errors import ConfigError

COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
UNSEEN = re.compile(r"`[^`]*`|\]\([^)]*\)")
"""Code, and where links lead."""
MARKER = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
NUMBER = re.compile(r"(?<![\w.\-])[+\-\N{MINUS SIGN}]?(\d+(?:,\d{3})*(?:\.\d+)?)%?(?!\w)")
"""A number by itself: not the 2 of SST-2, nor the 8 of int8."""
WORDS = dict(enumerate("one two three four five six seven eight nine ten eleven twelve".split(), start=1))


@dataclass(frozen=True)
class Claim:
    """The words of a claim: those that select, and those that are checked."""

    line: int
    words: Mapping[str, str]


@dataclass(frozen=True)
class Block:
    """A paragraph, a list item or a row of a table under a `##` heading; `line`: its first, from 1."""

    line: int
    source: str

    @property
    def listed(self) -> bool:
        """One of several that stand alike, each of which says something."""
        return self.source.startswith("|") or MARKER.match(self.source) is not None

    @property
    def text(self) -> str:
        """What a reader sees of it, without code and addresses."""
        return MARKER.sub("", UNSEEN.sub(" ", COMMENT.sub(" ", self.source)))

    @property
    def claims(self) -> list[Claim]:
        """Its claims.

        Raises:
            ConfigError: one is no list of key=value.
        """
        return [_claim(self.line + line, text) for line, text in self._comments("claim")]

    @property
    def given(self) -> list[str]:
        """What it has that is no result."""
        return [text for _, text in self._comments("given")]

    def _comments(self, kind: str) -> list[tuple[int, str]]:
        found = [(self.source[: each.start()].count("\n"), each[1].strip()) for each in COMMENT.finditer(self.source)]
        return [(line, text.removeprefix(f"{kind}:").strip()) for line, text in found if text.startswith(f"{kind}:")]


def _claim(line: int, text: str) -> Claim:
    try:
        pairs = [word.partition("=") for word in shlex.split(text)]
    except ValueError as error:
        raise ConfigError("claim", text, f"key=value, with quotes in pairs ({error})", "close the quotes") from None
    for key, equals, value in pairs:
        if not (key and equals and value):
            raise ConfigError(
                "claim", f"{key}{equals}{value}", "key=value", 'quote what has spaces: setting="full HSK"'
            )
    return Claim(line, {key: value for key, _, value in pairs})


def blocks(page: Path) -> list[Block]:
    """The blocks under the `##` headings of a page; code and the heads of tables are none.

    Raises:
        ConfigError: the page is no file, or no text in UTF-8.
    """
    found: list[Block] = []
    below, fenced, open_block = False, False, False
    lines = [line.rstrip("\r\n") for _, line in text_lines(SourceFile(page, "claims"))]
    for at, line in enumerate(lines):
        if line.lstrip().startswith("```"):
            fenced, open_block = not fenced, False
        elif line.startswith("#") or fenced or not line.strip() or _is_head(lines, at):
            below = line.startswith("##") if line.startswith("#") and not fenced else below
            open_block = False
        elif below and (not open_block or line.startswith("|") or MARKER.match(line)):
            found.append(Block(at + 1, line))
            open_block = True
        elif below:
            found[-1] = Block(found[-1].line, f"{found[-1].source}\n{line}")
    return found


def _is_head(lines: list[str], at: int) -> bool:
    """The first two lines of a table: names, and the rule below them."""
    return any(re.fullmatch(r"\|[\s|:-]+\|", each.strip()) for each in lines[at : at + 2]) and lines[at].startswith("|")


def numbers(text: str) -> Iterator[str]:
    """The numbers of a text as they are written, without sign, thousands' commas and %."""
    return (each[1].replace(",", "") for each in NUMBER.finditer(text))


def counted(text: str) -> set[str]:
    """The counts that a text has as words: three is 3."""
    said = set(re.findall(r"[a-z]+", text.lower()))
    return {str(count) for count, word in WORDS.items() if word in said}
