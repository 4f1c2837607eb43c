"""What the reference says of conf/ is what stands there."""

from __future__ import annotations

import re
import textwrap

import pytest
import yaml

from docs.reference_pages import Key, conf_page, help_of, keys, packages, preamble
from tests.helpers import CONF, ROOT

PAGE = conf_page()


def of(text: str) -> list[Key]:
    return keys(textwrap.dedent(text).lstrip())


def test_a_comment_belongs_to_the_key_on_its_line() -> None:
    assert of("a: 1  # one\nb: 2\n") == [Key("a", "1", "one"), Key("b", "2", "")]


def test_a_comment_on_lines_of_its_own_belongs_to_the_key_below() -> None:
    assert of("a: 1\n# two,\n# or more\nb: 2  # at most three\n")[1] == Key("b", "2", "two, or more at most three")


def test_the_comment_that_a_file_begins_with_is_no_keys() -> None:
    assert of("# A file.\na: 1\n") == [Key("a", "1", "")]
    assert preamble("# @package _global_\n# A file\n# of two lines.\na: 1\n") == "A file of two lines."


def test_keys_inside_of_keys_have_dots() -> None:
    assert of("a:\n  b: [1, 2]\n  c: {d: 3}\n") == [Key("a.b", "[1, 2]", ""), Key("a.c", "{d: 3}", "")]


def test_a_group_of_keys_is_named_where_something_is_said_of_it() -> None:
    assert of("x: 0\n# The store.\na:\n  b: 1\n")[1:] == [Key("a", "", "The store."), Key("a.b", "1", "")]


def test_each_line_of_a_list_has_its_own_comment() -> None:
    assert of("a:\n  - x: 1  # one\n  - y  # two\n") == [Key("a", "x: 1", "one"), Key("a", "y", "two")]


def test_a_hash_inside_of_a_value_is_no_comment() -> None:
    assert of("a: 'b#c'\n") == [Key("a", "'b#c'", "")]


@pytest.mark.parametrize(
    "group", ["data", "student/init", "length", "preset", "hydra/sweeper", "paths", "stage", "shared"]
)
def test_every_key_of_a_group_is_on_the_page(group: str) -> None:
    section = re.split(r"^## ", PAGE.partition(f"\n## {group}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    for path in (CONF / group).glob("*.yaml"):
        top = [key for key in yaml.safe_load(path.read_text()) if key != "_target_"]
        assert [key for key in top if f"| `{key}" not in section] == []


def test_help_is_what_the_command_prints() -> None:
    assert help_of("hskd_lightning.store.__main__").startswith("usage: ")
    assert "--shard i/n" in help_of("hskd_lightning.store.__main__")


def test_every_package_has_a_place_in_the_sites_navigation() -> None:
    site = (ROOT / "mkdocs.yml").read_text()
    assert [name for name in packages() if f"reference/api/{name}.md" not in site] == []
