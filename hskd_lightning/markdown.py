"""Text of a user's own in Markdown: shown as it is."""

from __future__ import annotations

import re

TELLING = re.compile(r"[\\`*\[\]<>|#~&$@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)
"""What Markdown reads as more than text in the middle of a line: also a bare address, but no underscore in a word."""


def line(text: object) -> str:
    """On one line: the next could begin a heading, a list, or the end of the front matter."""
    return " ".join(str(text).split())


def text(value: object) -> str:
    """A value as Markdown that shows it as it is, anywhere but at the beginning of a line."""
    return TELLING.sub(r"\\\g<0>", line(value))
