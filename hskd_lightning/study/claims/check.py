"""A page beside its rows: what does not stand on them, line by line."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.claims.page import Block, Claim, blocks, counted, numbers
from hskd_lightning.study.claims.recomputed import SELECTING, recomputed

TINY = 1e-9
"""Of a unit: what rounding to even and the last bits of a sum may add to half of the last digit."""


def check(page: Path) -> list[str]:
    """What is wrong with a page, a sentence each with its line; nothing where every claim stands.

    `results` of a claim is a folder beside the page.
    """
    return [f"{page}:{line}: {wrong}" for block in blocks(page) for line, wrong in _of_block(block, page.parent)]


def _of_block(block: Block, root: Path) -> Iterator[tuple[int, str]]:
    try:
        claims = block.claims
    except ConfigError as error:
        yield block.line, str(error)
        return
    if block.listed and not claims and not block.given:
        yield block.line, "a list item or a row without a claim; say what it stands on, or what of it is given"
    seen, words = set(numbers(block.text)), counted(block.text)
    behind = {number for claim in claims for value in claim.words.values() for number in numbers(value)}
    for number in sorted(seen - behind - {number for text in block.given for number in numbers(text)}):
        yield block.line, f"{number} stands in no claim of its block, and is not given"
    for claim in claims:
        for key, value in _said(claim).items():
            if hidden := set(numbers(value)) - seen - words:
                yield claim.line, f"{key}={' '.join(hidden)} is claimed, but the text does not say it"
        yield from ((claim.line, wrong) for wrong in _of_claim(claim, root))


def _said(claim: Claim) -> dict[str, str]:
    """The words that are checked."""
    return {key: value for key, value in claim.words.items() if key not in SELECTING}


def _of_claim(claim: Claim, root: Path) -> Iterator[str]:
    said = _said(claim)
    if not said:
        yield "a claim that says nothing: `study claims` prints what it could say"
    try:
        found = recomputed(claim.words, root)
    except ConfigError as error:
        yield str(error)
        return
    for key, value in said.items():
        if key not in found:
            yield f"{key} is nothing that such a claim can say: {', '.join(found)}"
        elif not agrees(value, found[key]):
            yield f"{key} is claimed to be {value}, and is {written(found[key])}"


def agrees(said: str, found: float | str) -> bool:
    """Whether a number, rounded as it was written, is what was found; a word must be the same."""
    if isinstance(found, str):
        return said == found
    text = said.replace(",", "").replace("\N{MINUS SIGN}", "-")
    try:
        number = Decimal(text.removesuffix("%"))
    except InvalidOperation:
        return False
    unit = 10.0 ** int(number.as_tuple().exponent)
    value = POINTS * found if text.endswith("%") else found
    return math.isfinite(value) and abs(float(number) - value) <= (0.5 + TINY) * unit


POINTS = 100
"""Percent of one."""


def written(value: float | str) -> str:
    """A value with more digits than a text needs."""
    return value if isinstance(value, str) else f"{value:.6g}"


def could_say(page: Path) -> Iterator[str]:
    """Of each claim of a page: its line, and all that could be said of what it selects, ready to be copied."""
    for claim in (claim for block in blocks(page) for claim in block.claims):
        chosen = {key: value for key, value in claim.words.items() if key in SELECTING}
        try:
            found = recomputed(claim.words, page.parent)
        except ConfigError as error:
            found = {"wrong": str(error)}
        pairs = {**chosen, **{key: written(value) for key, value in found.items()}}
        yield f"{page}:{claim.line}: claim: {' '.join(f'{key}={shlex.quote(value)}' for key, value in pairs.items())}"
