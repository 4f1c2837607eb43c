"""A card is read as Markdown: whatever the names in it, they are text."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from hskd_lightning.export.card import model_card
from hskd_lightning.runs.result import Result
from tests.runs.example import a_result

NUMBERS = dict.fromkeys(("score", "teacher_score", "parameters_student", "parameters_teacher", "knowledge_scalars"), 1)
NAMES = (
    *("student", "teacher", "task", "metric", "cell_id", "student_init", "layer_map", "store", "data_digest"),
    *("git_sha", "depth", "length", "width"),
)
HEADINGS = ["Use", "Scores and costs", "Where it comes from"]
HOSTILE = {
    "a pipe": "a | b",
    "backticks": "`a ``b",
    "lines": "a\n\n# b\n- c\n---\nd: e",
    "other line ends": "a\r# b\u2028c\x85d",
    "a script": "<script>alert(1)</script>",
    "an image": "<img src=x onerror='alert(1)'>",
    "a comment": "<!-- a",
    "a link": "[a](https://example.org)",
    "a picture": "![a](b)",
    "a reference": "[a]: b",
    "an address": "<https://example.org>",
    "emphasis": "*a* __b__ _c_ ~~d~~ a__b",
    "an entity": "&lt;b&gt; &amp;",
    "backslashes": "a\\|b \\",
    "yaml": "a: {b: [c, 'd\"e']} # f",
    "closing hashes": "a ##",
}


def result(name: str) -> Result:
    named = {**NUMBERS, **dict.fromkeys(NAMES, name), "control": name}
    return a_result(**named, dev={name: {name: 0.5}}, versions={name: name})


def card(name: str) -> tuple[dict[str, Any], list[Token]]:
    """The front matter, and the rest as a reader of Markdown takes it."""
    text = model_card(result(name), [{"form": name, "score": 1, "bytes": 1}], 32, rosita=False)
    before, front, body = text.split("---\n", 2)
    assert before == ""
    return yaml.safe_load(front), MarkdownIt("commonmark").enable("table").parse(body)


def said(name: str) -> str:
    return " ".join(name.split())


def kinds(tokens: list[Token]) -> list[str]:
    """Everything but the breaks of lines within a paragraph."""
    return [each.type for token in tokens for each in (token, *(token.children or ()))]


def texts(tokens: list[Token]) -> list[str]:
    inline = [token.children or [] for token in tokens if token.type == "inline"]
    return ["".join(each.content or " " for each in children) for children in inline]


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_card_is_built_as_it_is_with_plain_names(name: str) -> None:
    assert kinds(card(name)[1]) == kinds(card("plain")[1])


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_card_shows_names_letter_by_letter(name: str) -> None:
    shown, one = texts(card(name)[1]), said(name)
    assert shown[0] == f"{one}-{one}-{one}"
    assert f"A {one} student of 1 parameters for the task {one}, distilled" in shown[1]
    assert shown.count(one) == 2  # a column and a row of the table
    assert f"Code: {one}" in shown and f"Made with: {one} {one}" in shown


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_front_matter_has_the_names_on_one_line(name: str) -> None:
    (index,) = card(name)[0]["model-index"]
    assert index["name"] == said(f"{name}-{name}-{name}")
    assert index["results"][0]["dataset"] == {"name": said(name), "type": said(name), "split": said(name)}


def test_a_bare_address_is_no_link() -> None:
    text = model_card(result("https://example.org www.example.org a@b.c"), [], 32, rosita=False)
    body = text.split("---\n", 2)[2]
    assert "https\\://example.org www\\.example.org a\\@b.c" in body and "https:" not in body


def test_an_ordinary_name_is_written_as_it_is() -> None:
    assert "for the task layer_drop-2.0 (a/b), distilled" in model_card(result("layer_drop-2.0 (a/b)"), [], 32, False)
