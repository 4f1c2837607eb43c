"""What a person reads is what the data says, also where a console library would read instructions."""

from __future__ import annotations

import pytest

from hskd_lightning.console import show_table

NAMES = ("[red]a[/red]", "[link=https://example.org]a[/link]", "[/]", "a:smile:b", "runs/[old]/x")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_prints_a_cell_letter_by_letter(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("", "value"), [("name", name)])
    assert name in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_a_table_prints_a_heading_letter_by_letter(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("", name), [("name", "value")])
    assert name in capsys.readouterr().out
