"""What a person reads is what the data says, also where a console library would read instructions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.console import show_result, show_table
from hskd_lightning.experiment import Experiment
from hskd_lightning.explain import explain, plan_rows
from tests.runs.example import a_result

Small = Callable[..., DictConfig]
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


@pytest.mark.parametrize("override", ["length=attention_no_sep", "control=shuffled", "experiment=full_hsk"])
def test_the_plan_fits_80_columns(override: str, small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    explain(small(override))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_the_table_of_a_result_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    long = {"task": "a_task_with_a_rather_long_name", "metric": "pearson_spearman"}
    show_result(a_result(**long, parameters_teacher=109_483_778, knowledge_bytes=123_456_789.0), Path("runs/1"))
    table = capsys.readouterr().out.splitlines()
    assert len(table) > 6 and max(map(len, table)) <= 80


def test_a_row_that_is_too_long_is_broken_and_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = " ".join(f"student.shape.hidden_size={size}" for size in range(9))
    show_table(("cell", "overrides"), [("0123456789", overrides)])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert all(override in out for override in overrides.split())
