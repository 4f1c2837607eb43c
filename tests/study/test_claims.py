"""Every number of both READMEs is computed again from the rows; and the checker finds what it must."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from hskd_lightning.study.claims.check import agrees, check, could_say
from hskd_lightning.study.claims.page import blocks, numbers
from hskd_lightning.study.sweep.collect import write
from tests.helpers import ROOT, refusal

PAGES = [ROOT / "README.md", ROOT / "results/README.md"]
TENTH = 'results=mine setting="10% of HSK"'
SCORES = {0.0: (0.80, 0.81, 0.82), 0.01: (0.88, 0.87, 0.89), 0.1: (0.89, 0.90, 0.91), 1.0: (0.90, 0.91, 0.92)}
Problems = Callable[[str], list[str]]


def study() -> pd.DataFrame:
    """Four amounts of a student's hidden states, each seed a hundredth from the next; two bytes a scalar."""
    everything = {"depth": "all", "length": "all", "width": "all"}
    rows = []
    for amount, scores in SCORES.items():
        axes = everything if amount == 1 else {"depth": "uniform", "length": "cls_first", "width": "pca"}
        asked = {"knowledge": "offline", **axes, "hsk_amount": amount if amount < 1 else None}
        cell = {"knowledge": "logits"} if amount == 0 else asked
        counted = {"knowledge_scalars": 1000 * amount, "knowledge_bytes": 2000 * amount, "knowledge_fraction": amount}
        common = {
            "figure": "marginal_utility",
            "task": "toy",
            "student": "tiny",
            "metric": "accuracy",
            **cell,
            **counted,
        }
        for seed, score in enumerate(scores):
            rows.append(
                {**common, "cell_id": f"{amount:g}-{seed}", "seed": seed, "score": score, "teacher_score": 0.977}
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write(study(), folder / "mine")
    return folder


@pytest.fixture
def problems(folder: Path) -> Problems:
    """What is wrong with a section of a page, without the place of it."""

    def of(text: str) -> list[str]:
        page = folder / "README.md"
        page.write_text(f"# Results of 12 studies\n\n## What is it worth?\n\n{text}\n")
        return [wrong.removeprefix(f"{page}:") for wrong in check(page)]

    return of


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_claim_of_the_results_stands_on_its_rows(page: Path) -> None:
    assert check(page) == []


@pytest.mark.parametrize(
    "text",
    [
        f"- A tenth: 0.900 ± 0.010, three seeds. <!-- claim: {TENTH} mean=0.900 sd=0.010 n=3 -->",
        f"It is 10.0%, 100 values. <!-- claim: {TENTH} share=10.0% scalars=100 -->",
        f"- 1.0 less (-3.3 to 1.3).\n  <!-- claim: {TENTH} vs='full HSK'\n  difference=-1.0 low=-3.3 high=1.3 -->",
        f"| it | \N{MINUS SIGN}1.0 | <!-- claim: {TENTH} vs='full HSK' difference=-1.0 verdict=undecided --> |",
        f"- Within 10 points. <!-- claim: {TENTH} vs='full HSK' margin=10 verdict=equivalent -->",
        f"10 times fewer bytes. <!-- claim: {TENTH} vs='full HSK' fewer_bytes=10 -->",
        f"The teacher: 0.977. <!-- claim: {TENTH} teacher_score=0.977 -->",
        "- 4.3 above; 1,000 keep it. <!-- claim: results=mine path=tiny height=4.3 keeps_to=1,000 serving=none -->",
        "4,200 sentences of SST-2, `0.5`, [int8](page-7.md). <!-- given: 4,200 sentences -->",
        "```\n0.123\n```",
        "No number at all.",
    ],
)
def test_what_stands_on_rows_is_let_through(problems: Problems, text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"It is 0.901. <!-- claim: {TENTH} mean=0.901 -->", "5: mean is claimed to be 0.901, and is 0.9"),
        (f"It is 0.90. <!-- claim: {TENTH} mean=0.91 -->", "5: 0.90 stands in no claim of its block, and is not given"),
        (f"It is so. <!-- claim: {TENTH} mean=0.90 -->", "5: mean=0.90 is claimed, but the text does not say it"),
        ("It is 0.90.", "5: 0.90 stands in no claim of its block, and is not given"),
        ("- It is good.", "5: a list item or a row without a claim"),
        (f"It is.\n<!-- claim: {TENTH} -->", "6: a claim that says nothing"),
        (f"It is 3. <!-- claim: {TENTH} seeds=3 -->", "5: seeds is nothing that such a claim can say: "),
        (
            f"- It is. <!-- claim: {TENTH} vs='full HSK' verdict=equivalent -->",
            "5: verdict is claimed to be equivalent,",
        ),
        ("- It. <!-- claim: results=mine setting='5% of HSK' n=3 -->", "`setting` = '5% of HSK' cannot be used"),
        ("- It. <!-- claim: results=mine setting='full HSK' figure=bits n=3 -->", "`figure` = 'bits' cannot be used"),
        (
            f"- It. <!-- claim: {TENTH} vs='full HSK' reading=sentences n=3 -->",
            "`reading` = 'sentences' cannot be used",
        ),
        ("- It. <!-- claim: setting='full HSK' n=3 -->", "a claim with results="),
        ("- It. <!-- claim: results=none setting='full HSK' n=3 -->", "`results` = "),
        ("- It. <!-- claim: results=mine setting='full HSK n=3 -->", "key=value, with quotes in pairs"),
        ("- It. <!-- claim: results=mine full HSK -->", "`claim` = 'full' cannot be used"),
    ],
)
def test_what_does_not_is_named_with_its_line(problems: Problems, text: str, wrong: str) -> None:
    assert any(wrong in each for each in problems(text)), problems(text)


def test_a_row_that_is_gone_is_missed(folder: Path, tmp_path: Path) -> None:
    write(study().query("hsk_amount != 0.1 or seed != 2"), tmp_path / "mine")
    text = f"## What?\n- It is 0.900, of three. <!-- claim: {TENTH} mean=0.900 n=3 -->\n"
    (tmp_path / "README.md").write_text(text)
    assert [wrong.split(": ", 1)[1] for wrong in check(tmp_path / "README.md")] == [
        "mean is claimed to be 0.900, and is 0.895",
        "n is claimed to be 3, and is 2",
    ]


def test_blocks_are_paragraphs_items_and_rows(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "One.\n## A\nTwo\ngoes on.\n- three\n  on\n- four\n\n| a | b |\n|---|---|\n| 5 | 6 |\n| 7 | 8 |\n# B\nNine.\n"
    )
    assert [(block.line, block.source) for block in blocks(page)] == [
        (3, "Two\ngoes on."),
        (5, "- three\n  on"),
        (7, "- four"),
        (11, "| 5 | 6 |"),
        (12, "| 7 | 8 |"),
    ]


@pytest.mark.parametrize(("content", "fault"), [(None, "no such file"), (b"PAR1\n", "Parquet")])
def test_what_is_no_page_is_named(tmp_path: Path, content: bytes | None, fault: str) -> None:
    if content is not None:
        (tmp_path / "page.md").write_bytes(content)
    with refusal("claims", fault):
        check(tmp_path / "page.md")


def test_numbers_are_those_that_stand_by_themselves() -> None:
    text = "SST-2, ROSITA6, int8: +0.52 (\N{MINUS SIGN}0.6 to 1.6), 20,283 of 9.9%, 3x, v1.2.3."
    assert list(numbers(text)) == ["0.52", "0.6", "1.6", "20283", "9.9"]


@pytest.mark.parametrize(
    ("said", "found", "so"),
    [
        ("0.78", 0.7835, True),
        ("0.784", 0.7835, True),
        ("0.783", 0.7836, False),
        ("+1.4", 1.44, True),
        ("-1.4", 1.4, False),
        ("9.93%", 0.0993, True),
        ("1,098", 1097.57, True),
        ("none", "none", True),
        ("none", 0.0, False),
    ],
)
def test_a_number_agrees_as_far_as_it_was_written(said: str, found: float | str, so: bool) -> None:
    assert agrees(said, found) == so


def test_an_answer_is_claimed_by_the_place_of_its_fields(tmp_path: Path) -> None:
    (tmp_path / "toy").symlink_to(ROOT / "results/toy")
    text = "All of it is 10,977 bytes. <!-- claim: results=toy/minimum answer.full.bytes=10,977 answer.full.share=1 -->"
    (tmp_path / "README.md").write_text(f"## What?\n{text}\n")
    (wrong,) = check(tmp_path / "README.md")
    assert wrong.endswith("answer.full.share=1 is claimed, but the text does not say it")


def test_what_it_prints_is_a_claim_that_stands(tmp_path: Path) -> None:
    (tmp_path / "toy").symlink_to(ROOT / "results/toy")
    page = tmp_path / "README.md"
    asked = 'results=toy student=tiny setting="10% of HSK" vs="full HSK" reading=sentences'
    page.write_text(f"## What?\n- It. <!-- claim: {asked} -->\n")
    (line,) = could_say(page)
    printed = line.partition("claim: ")[2]
    page.write_text(f"## What?\n- It: {printed}. <!-- claim: {printed} -->\n")
    assert "difference=" in printed and check(page) == []
