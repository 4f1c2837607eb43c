"""Tables of docs/ that stand on rows in results/readme/."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from hskd_lightning.study.sweep.collect import read
from tests.helpers import ROOT


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def rows_of(study: str) -> pd.DataFrame:
    return read(ROOT / f"results/readme/{study}/results.csv")


def spread(scores: pd.Series) -> str:
    return f"{scores.mean():.3f} ± {scores.std():.3f}"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("knowledge == 'offline' and depth == 'all'", "| all hidden states, then logits | 100% |"),
        ("knowledge == 'offline' and depth == 'uniform' and bits == 'fp16'", "then logits (the default) |"),
        ("knowledge == 'logits'", "| logits alone | 0 | 0 |"),
    ],
)
def test_the_first_table_is_that_of_its_rows(rows: str, words: str) -> None:
    found = rows_of("first_result").query(rows)
    assert sorted(found.seed) == [0, 1, 2]
    (line,) = (line for line in page("tutorial.md").splitlines() if words in line)
    assert spread(found.score) in line.replace("*", "")


@pytest.mark.parametrize("source", ["fp32", "fp16", "bf16", "int8", "online"])
def test_what_a_dtype_costs_is_that_of_its_rows(source: str) -> None:
    found = rows_of("first_result").query("depth == 'uniform' and hsk_amount == 0.1 and knowledge != 'logits'")
    found = found[found.knowledge == ("online" if source == "online" else "offline")]
    found = found[(found.bits == source) | (source == "online")]
    assert sorted(found.seed) == [0, 1, 2]
    words = " ".join(page("ideas/teacher_once.md").split())
    assert re.search(rf"\b{re.escape(spread(found.score))} \({source}\)", words)


@pytest.mark.parametrize("importance", ["taylor", "random", "magnitude"])
def test_the_table_of_importances_is_that_of_its_rows(importance: str) -> None:
    found = rows_of("importance").query(f"student_init_importance == '{importance}'").sort_values("seed")
    assert list(found.seed) == [0, 1, 2]
    each = ", ".join(f"{score:.3f}" for score in found.score)
    lines = page("howto/students.md").splitlines()
    (line,) = (line for line in lines if line.lower().startswith(f"| {importance} | "))
    assert line.replace("*", "").split(" | ")[1:] == [each, f"{spread(found.score)} |"]
