"""What a person reads is what the data says, also where a console library would read instructions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.console import plan_rows, show_table
from hskd_lightning.experiment import Experiment

NAMES = ("[red]a[/red]", "[link=https://example.org]a[/link]", "[/]", "a:smile:b", "runs/[old]/x")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_prints_a_cell_letter_by_letter(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("", "value"), [("name", name)])
    assert name in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_a_table_prints_a_heading_letter_by_letter(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("", name), [("name", "value")])
    assert name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("keep", "words"),
    [("1", "1 token"), ("10", "10 tokens"), ("0.25", "25% of the tokens"), ("1.0", "all tokens")],
)
def test_a_plan_says_how_many_tokens_are_kept(configure: Callable[..., DictConfig], keep: str, words: str) -> None:
    rows = dict(plan_rows(Experiment.resolve(plain(configure("length=cls_first", f"length.keep={keep}")))))
    assert rows["length"] == f"cls_first: {words}"
