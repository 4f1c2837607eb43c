"""The folders that GLUE_ROOT and HSKD_MINILM name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import BertConfig, BertModel
from transformers.utils import logging

from hskd_lightning.data.vocabulary import train_wordpiece
from hskd_lightning.doctor import sources
from hskd_lightning.doctor.finding import State
from tests.doctor.found import only

ROW = "gj04\t1\t\tthe cat sat\n"


@pytest.fixture
def glue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with CoLA in it."""
    (tmp_path / "CoLA").mkdir()
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / "CoLA" / name).write_text(ROW)
    monkeypatch.setenv("GLUE_ROOT", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("glue")
def test_the_tasks_that_are_there_are_named() -> None:
    found = only(sources.glue)
    assert found.state == State.OK and found.said == "GLUE_ROOT: cola"


def test_a_folder_without_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLUE_ROOT", str(tmp_path / "missing"))
    found = only(sources.glue)
    assert found.state == State.RED and "none of GLUE's folders" in found.said


def test_a_file_that_is_missing(glue: Path) -> None:
    (glue / "CoLA/dev.tsv").unlink()
    found = only(sources.glue)
    assert found.state == State.RED and "CoLA/dev.tsv: no such file" in found.said


@pytest.mark.parametrize(
    ("text", "words"), [("", "no rows of data"), ("gj04\t2\t\tthe cat\n", "the label '2'"), ("a\tb\n", "2 columns")]
)
def test_a_file_that_is_none_of_glues(text: str, words: str, glue: Path) -> None:
    (glue / "CoLA/train.tsv").write_text(text)
    found = only(sources.glue)
    assert found.state == State.RED and words in found.said


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """What transformers says goes on to be said after this."""
    before = logging.get_verbosity()
    yield
    logging.set_verbosity(before)
    logging.enable_progress_bar()


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_it_was: None) -> Path:
    """A small encoder's folder."""
    tokenizer = train_wordpiece(["the cat sat on the mat"], 40)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    monkeypatch.setenv("HSKD_MINILM", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("model")
def test_a_model_is_read() -> None:
    found = only(sources.minilm)
    assert found.state == State.OK and "parameters, a vocabulary of" in found.said


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_model_without_one_of_its_files(name: str, model: Path) -> None:
    (model / name).unlink()
    found = only(sources.minilm)
    assert found.state == State.RED and "HSKD_MINILM" in found.said


@pytest.mark.parametrize(("path", "state"), [("./missing", State.RED), ("someone/model", State.NOTE)])
def test_a_model_that_is_no_folder_here(path: str, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSKD_MINILM", path)
    assert only(sources.minilm).state == state


def test_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GLUE_ROOT", "HSKD_MINILM"):
        monkeypatch.delenv(name, raising=False)
    assert [only(check).state for check in (sources.glue, sources.minilm)] == [State.OK, State.OK]
