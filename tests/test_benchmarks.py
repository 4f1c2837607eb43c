"""The benchmarks run, and count what they say they count. How fast anything is stands in no test."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import BertConfig

from benchmarks import anatomy, measure, plain_loop
from benchmarks.gpu.__main__ import PARTS, main
from benchmarks.limit import forward_work, linear_shapes
from benchmarks.models import sentences
from benchmarks.steps import PARTS as STEP_PARTS

ONE_BLOCK = BertConfig(
    vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2
)


@pytest.fixture(autouse=True)
def heard_again() -> Iterator[None]:
    """Benchmarks silence the log, in a process that is theirs."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tables go."""
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    return tmp_path


def test_a_forwards_work_is_that_of_its_products() -> None:
    """Three tokens: four 8x8 maps, 8x16 and back, scores and their use; pooler and head on one."""
    blocks = 3 * (4 * 64 + 2 * 128) + 2 * 3 * 3 * 8
    assert forward_work(ONE_BLOCK, examples=2, tokens=3) == 2 * (blocks + 64 + 16)


def test_shapes_of_products_are_those_of_the_linear_layers() -> None:
    """Two examples of three tokens: six rows in the block, two in pooler and head."""
    assert linear_shapes(ONE_BLOCK, 2, 3) == {(6, 8, 8): 4, (6, 8, 16): 1, (6, 16, 8): 1, (2, 8, 8): 1, (2, 8, 2): 1}


def test_made_up_sentences_have_colas_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLUE_ROOT", raising=False)
    split, _ = plain_loop.cola(2000)
    assert float(split.lengths.float().mean()) == pytest.approx(11.3, abs=0.3)
    assert int(split.lengths.min()) >= 4 and int(split.lengths.max()) <= 47


def test_sentences_of_a_small_vocabulary_stay_within_it() -> None:
    split = sentences(10, 4, vocabulary=290)
    assert int(split.input_ids.max()) < 290
    assert split.special.view(10, 4)[0].tolist() == [True, False, False, True]


@pytest.mark.slow
def test_anatomy_of_a_step_has_all_of_its_parts(results: Path) -> None:
    """Every row is run where nothing is skipped; fewer multiply-adds than that are made only where some are."""
    anatomy.main("--models tiny --tokens 6 --batch 4 --rounds 1 --seconds 0.1".split())
    rows = json.loads((results / "anatomy.json").read_text())["rows"]
    assert [row["stage"] for row in rows] == ["hidden", "prediction"]
    for row in rows:
        assert all(row[part] > 0 for part in STEP_PARTS)
        assert row["trainer"] == pytest.approx(sum(row[part] for part in STEP_PARTS) + row["Lightning"])
        assert row["whole, %"] == pytest.approx(100 * row["whole"] / row["trainer"])


@pytest.mark.slow
def test_plain_loop_and_ours_are_told_in_examples_a_second(results: Path) -> None:
    plain_loop.main(["--smoke", "--students", "TinyBERT4"])
    (row,) = json.loads((results / "plain_loop.json").read_text())["rows"]
    assert row["times"] == pytest.approx(row["ours, examples/s"] / row["plain, examples/s"])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the profiler and the compiler
def test_every_part_for_a_gpu_runs_on_any_machine(tmp_path: Path) -> None:
    """But for its sweeps: they take a minute, and sweeps have tests of their own."""
    parts = [part for part in PARTS if part != "cells"]
    main(["--smoke", "--out", str(tmp_path / "gpu.json"), "--parts", *parts])
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert not [row for part in parts for row in found[part] if "failed" in row]
    assert found["machine"]["torch"] == torch.__version__
