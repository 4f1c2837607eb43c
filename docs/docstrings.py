"""How docstrings, which are written to be read in an editor, are told to Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

IN_COLUMNS = re.compile(r"^\S+(?: \S+)* {3,}\S|^ +\S|^ *[|+=]", re.MULTILINE)
"""Lines that hang on where their words stand: columns, what hangs below another line, drawings."""


class AsWritten(griffe.Extension):
    """Keeps what a docstring lays out."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of an object; a module's is the one that lays things out."""
        if obj.docstring is not None:
            text = literal_blocks(obj.docstring.value)
            obj.docstring.value = laid_out(text) if obj.is_module else text


def literal_blocks(text: str) -> str:
    """Take away reStructuredText's mark of an indented block, which Markdown needs none for."""
    return re.sub(r"^(.*\w)::$", r"\1:", re.sub(r"^::\n\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)


def laid_out(text: str) -> str:
    """Make an indented block of each paragraph that is one in its layout alone."""
    return "\n\n".join(map(_indented, text.split("\n\n")))


def _indented(paragraph: str) -> str:
    if not IN_COLUMNS.search(paragraph) or paragraph.startswith("    "):
        return paragraph
    return "\n".join(f"    {line}" for line in paragraph.splitlines())
