"""HTML that no name can break out of."""

from __future__ import annotations

import html
from collections.abc import Iterable


class Markup(str):
    """A string that is HTML already. Every other string is text, and is escaped where it meets one of these.

    What `str` makes of it (a slice, `+`, an f-string) is text again, so that a mistake shows and lets nothing in.
    """

    __slots__ = ()


BR = Markup("<br>")


def markup(text: str) -> Markup:
    """Text as markup. Quotes stay: they end nothing outside of a tag, and plotly knows no name for them."""
    return text if isinstance(text, Markup) else Markup(html.escape(text, quote=False))


def joined(parts: Iterable[str], by: str = "") -> Markup:
    """Text and markup one after another."""
    return Markup(markup(by).join(map(markup, parts)))


def element(tag: str, *inner: str, role: str = "", **attributes: str) -> Markup:
    """An element around text and markup; `role` is its class."""
    named = {"class": role, **attributes}
    marked = "".join(f' {name}="{html.escape(value)}"' for name, value in named.items() if value)
    return Markup(f"<{tag}{marked}>{joined(inner)}</{tag}>")
