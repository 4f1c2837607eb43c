"""Mistakes that a user can type, each with what the answer must say: exit code 1, no traceback, the user's own words.

A new one is a new row.
"""

from __future__ import annotations

import errno
import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from hskd_lightning.__main__ import main
from hskd_lightning.mistakes import explained
from tests.helpers import ROOT

TEXT = "data=text data.train={files}/train.csv data.dev={files}/dev.csv data.text=text data.label=label"
LONGEST = 2000
"""Characters that an answer has: nobody reads a file, or 300 classes."""


class Mistake(NamedTuple):
    """A command as it is typed, `{files}` for the folder of `files`; words of the answer; what the shell exports."""

    command: str
    words: tuple[str, ...]
    exported: dict[str, str] = {}


MISTAKES = [
    # Keys, groups and options that there are not.
    Mistake("train lenght.keep=3", ("`lenght.keep` = '3'", "did you mean length.keep?")),
    Mistake("train -m lenght.keep=1,2", ("`lenght.keep`", "did you mean length.keep?")),
    Mistake("store plan lenght.keep=3", ("`lenght.keep` = '3'", "did you mean length.keep?")),
    Mistake("study plan lenght.keep=3", ("`lenght.keep` = '3'", "did you mean length.keep?")),
    Mistake("train data=text data.trian=a.csv", ("`data.trian`", "did you mean data.train?")),
    Mistake("train width.foo=3", ("`width.foo` = '3'", "a key of width: ", "keep")),
    Mistake("train length.keep.x=3", ("`length.keep.x`", "a key of length: ", "attention_from")),
    Mistake("train lr=1e-4", ("`lr` = '1e-4'", "student.lr")),
    Mistake("train stage=hidden", ("`stage` = 'hidden'", "a key of stage: hidden, prediction")),
    Mistake("train hydra.sweper.to=x", ("`hydra.sweper.to`", "did you mean hydra.sweeper.to?")),
    Mistake("study plan hydra.sweeper.students=tiny", ("a list", "in brackets: hydra.sweeper.students=[tiny]")),
    Mistake("train +recipe=sst2", ("`recipe`", "write recipe=VALUE once, without a +")),
    Mistake("train recipe=sst3", ("`recipe` = 'sst3'", "cola, rte, sst2, stsb")),
    Mistake("train widht=pca", ("`widht` = 'pca'", "did you mean width?")),
    Mistake("train -m widht=pca,all", ("`widht`", "did you mean width?")),
    Mistake("train store.dtype=int8", ("`store.dtype` = 'int8'", "bits has taken its place", "write bits=int8")),
    Mistake("train bits=fp8", ("`bits` = 'fp8'", "fp16", "planes")),
    Mistake("train bits=planes bits.keep=0", ("`bits.keep` = 0", "from 1 up to 420")),
    Mistake("train bits=residual bits.keep=65", ("`bits.keep` = 65", "from 1 up to 64")),
    Mistake("train width=pcaa", ("`width` = 'pcaa'", "magnitude_mask", "did you mean width=pca?")),
    Mistake("train -m width=pca,pcaa", ("`width` = 'pcaa'", "did you mean width=pca?")),
    Mistake("store plan width=pcaa", ("`width` = 'pcaa'", "did you mean width=pca?")),
    Mistake("study plan width=pcaa", ("`width` = 'pcaa'", "did you mean width=pca?")),
    Mistake("train student/init=frist", ("`student/init` = 'frist'", "did you mean student/init=first?")),
    Mistake("train depth=null", ("`depth` = 'null'", "all, bottom", "leave depth out")),
    Mistake("train width=[1,2]", ("`width` = '[1,2]'", "all, magnitude_mask", "leave width out")),
    Mistake("train length=mine width=[1,2]", ("`width` = '[1,2]'", "all, magnitude_mask", "leave width out")),
    Mistake("train length=[mask]", ("`length` = 'mask'", "cls_first", "--help")),
    Mistake(f"train width={'x' * 300}", ("`width` = 'xxx", "all, magnitude_mask", "leave width out")),
    Mistake("train -m launch=slrum", ("`launch` = 'slrum'", "submitit_slurm")),
    Mistake("train +width=pca", ("`+width` = 'pca'", "write width=pca")),
    Mistake("train ~widht", ("`~widht`", "did you mean width?")),
    # Folders, files, commands.
    Mistake("train --config-dir /nope", ("`--config-dir` = '/nope'", "a folder")),
    Mistake("train --config-dir /nope --config-name depth -m", ("`--config-dir` = '/nope'", "a folder")),
    Mistake("study plan --config-dir /nope", ("`--config-dir` = '/nope'", "a folder")),
    Mistake("train --config-name dept -m", ("`--config-name` = 'dept'", "marginal_utility", "did you mean depth?")),
    Mistake("study plan --config-name dept", ("`--config-name` = 'dept'", "did you mean depth?")),
    Mistake("tarin", ("`hskd` = 'tarin'", "train, store, study, export, dashboard", "did you mean train?")),
    Mistake("train -m --cfg job", ("-m --cfg job", "Only one of")),
    # What cannot be read.
    Mistake("train length.keep=[1", ("`length.keep` = '[1'", "[a,b]", "close what is open")),
    Mistake("train -m length.keep=range(", ("`length.keep` = 'range('", "close what is open")),
    Mistake("store plan length.keep=[1", ("`length.keep` = '[1'", "close what is open")),
    Mistake("study plan length.keep=[1", ("`length.keep` = '[1'", "close what is open")),
    Mistake("train length.keep", ("`length.keep`", "write length.keep=VALUE")),
    Mistake("store plan length.keep", ("length.keep", "write length.keep=VALUE")),
    Mistake("train length.keep=1,2", ("`length.keep` = '1,2'", "add -m")),
    # Values.
    Mistake("train teacher=hub", ("`teacher.init.path`", "no default", "write teacher.init.path=VALUE")),
    Mistake("store plan teacher=hub", ("`teacher.init.path`", "no default")),
    Mistake("study plan teacher=hub", ("`teacher.init.path`", "no default")),
    Mistake("train student=hub", ("`student.path`", "no default", "write student.path=VALUE")),
    Mistake("train 'data.limit=${{foo.bar}}'", ("`data.limit`", "'foo.bar'")),
    Mistake("train width._target_=nonexist.Foo", ("`width._target_`", "pca")),
    Mistake(f"train {TEXT} data.train={{files}}/folder.csv", ("`data.train`", "folder")),
    Mistake("train -m seed=a,b", ("`seed` = 'a'", "whole number")),
    # Values that do not fit together.
    Mistake("train length.keep=1.5", ("`length.keep` = 1.5", "a share like 0.25")),
    Mistake("train width.keep=1000", ("`width.keep` = 1000", "up to 128")),
    Mistake("train depth.keep=9", ("`depth.keep` = 9", "up to 3")),
    Mistake("train hsk.amount=0", ("`hsk.amount` = 0", "use knowledge=logits")),
    Mistake("train hsk.path=cheapest", ("`hsk.path` = 'cheapest'", "equal, depth_fixed, tokens_first or units_first")),
    Mistake(
        "train hsk.path=depth_fixed depth.keep=1 hsk.amount=0.5",
        ("`hsk.amount` = 0.5", "up to 0.333", "keep more layers with depth.keep"),
    ),
    Mistake(
        "train -m --config-name tune preset.select_on=dev", ("`stage.prediction.select_on` = 'dev'", "dev cannot judge")
    ),
    Mistake("study plan --config-name tune data.selection=0", ("`data.selection` = 0", "held out of train")),
    Mistake("train data.task=foo", ("`data.task` = 'foo'", "polarity, entailment")),
    Mistake("train data.max_length=999", ("`data.max_length` = 999", "3 to 128 tokens")),
    Mistake("train length.attention_from=foo", ("`length.attention_from` = 'foo'", "mapped or uniform")),
    Mistake("train student.init=random", ("`student.init` = 'random'", "student/init=random")),
    Mistake("train student/init=first", ("`student/init`", "student/init=random")),
    Mistake("train knowledge.target=foo", ("`knowledge.target` = 'foo'", "logits or labels")),
    Mistake("train knowledge.target=labels", ("`knowledge.target` = 'labels'", "knowledge=labels")),
    Mistake("train knowledge.source=null", ("`knowledge.source` = None", "knowledge=offline")),
    # Values that end in a traceback.
    Mistake("train hsk.amount=x", ("`hsk.amount` = 'x'", "share")),
    Mistake("train data.hidden_epochs=ten", ("`data.hidden_epochs` = 'ten'", "number")),
    Mistake("train data.hidden_epochs=inf", ("`data.hidden_epochs` = inf", "number")),
    Mistake("train student.lr.hidden=fast", ("`student.lr.hidden` = 'fast'", "number above 0")),
    Mistake("train seed=abc", ("`seed` = 'abc'", "whole number")),
    Mistake("train seed=", ("`seed`", "whole number")),
    Mistake("train threads=0", ("`threads` = 0", "whole number from 1")),
    Mistake("train threads=-3", ("`threads` = -3", "whole number from 1")),
    Mistake("train threads=many", ("`threads` = 'many'", "whole number from 1")),
    Mistake("train workers=-1", ("`workers` = -1", "whole number from 0")),
    Mistake("train stage.hidden.batch_size=0", ("`stage.hidden.batch_size` = 0", "whole number from 1")),
    Mistake("train student.shape.num_attention_heads=3", ("`student.shape.num_attention_heads` = 3", "hidden_size")),
    Mistake("train student.shape.model_type=gpt7", ("`student.shape.model_type` = 'gpt7'", "bert")),
    # What explain approves.
    Mistake("train student.lr.hidden=nan", ("`student.lr.hidden` = nan", "number above 0")),
    Mistake("train student.warmup=2", ("`student.warmup` = 2", "share")),
    Mistake("train preset.padding=foo", ("`preset.padding` = 'foo'", "ignore or distill")),
    Mistake("train seed=1.5", ("`seed` = 1.5", "whole number")),
    Mistake("train explain=maybe", ("`explain` = 'maybe'", "true")),
    Mistake("train trainer=gpu", ("`trainer.accelerator` = 'gpu'", "cpu"), {"CUDA_VISIBLE_DEVICES": ""}),
    Mistake(
        "train trainer=gpu trainer.accelerator=auto trainer.precision=tf32",
        ("`trainer.precision` = 'tf32'", "compute capability 8.0"),
        {"CUDA_VISIBLE_DEVICES": ""},
    ),
    Mistake("train trainer.devices=0", ("`trainer.devices` = 0", "a number from 1")),
    Mistake("train trainer.devices=two", ("`trainer.devices` = 'two'", "a number from 1")),
    Mistake("train trainer.devices=[]", ("`trainer.devices` = []", "a list of their numbers")),
    Mistake(
        "train trainer.devices=2 knowledge=online width=magnitude_mask width.scope=batch",
        ("`width`", "one device of several knows no batches", "set trainer.devices=1"),
    ),
    Mistake("train trainer.precision=16-mixed", ("`trainer.precision` = '16-mixed'", "scaled while they are clipped")),
    Mistake("train store.path=/nonexistent", ("`store.path` = '/nonexistent'", "store")),
    # Keys that nothing reads.
    Mistake("train +lenght.keep=3", ("`lenght`", "did you mean length?")),
    Mistake("train +foo.bar=1", ("`foo`", "a key that there is")),
    # What is taken without a word.
    Mistake(f"train {TEXT} data.text=label", ("`data.label` = 'label'", "data.text")),
    Mistake(f"train {TEXT} data.dev={{files}}/train.csv", ("`data.dev`", "data.train")),
    Mistake(
        f"train {TEXT} data.regression=true data.train={{files}}/scores.csv data.dev={{files}}/constant.csv",
        ("`data.dev`", "score"),
    ),
    Mistake(f"train {TEXT} data.train={{files}}/one.csv", ("`data.train`", "one class only")),
    Mistake(f"train {TEXT} data.train={{files}}/nul.csv", ("`data.train`", "nul.csv:10", "NUL")),
    Mistake("train", ("`paths.root` = ''", "unset HSKD_ROOT"), {"HSKD_ROOT": ""}),
    # Answers that mislead.
    Mistake("train length.keep=0", ("`length.keep` = 0", "hsk.amount")),
    Mistake(f"train {TEXT} data.labels=pos", ("`data.labels` = 'pos'", "[")),
    Mistake(f"train {TEXT} data.train={{files}}/huge.csv", ("`data.train`", "huge.csv:2", "characters")),
    Mistake(f"train {TEXT} data.train={{files}}/many.csv", ("`data.train`", "300 classes")),
    Mistake("train student.lr.hidden=-1", ("`student.lr.hidden` = -1", "above 0")),
    # Files that end in a traceback.
    Mistake(f"train {TEXT} data.train={{files}}/deep.jsonl", ("`data.train`", "deep.jsonl:1")),
    Mistake(f"train {TEXT} data.train={{files}}/surrogate.jsonl", ("`data.train`", "surrogate.jsonl:1")),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good files, train.csv and dev.csv, and others with one slip each."""
    folder = tmp_path_factory.mktemp("files")
    good, other = [("fine", "pos"), ("poor", "neg")] * 4, [("nice", "pos"), ("bad", "neg")]
    _csv(folder / "train.csv", good)
    _csv(folder / "dev.csv", other)
    _csv(folder / "scores.csv", [("fine", "1"), ("poor", "0")])
    _csv(folder / "constant.csv", [("nice", "1"), ("kind", "1")])
    _csv(folder / "one.csv", good[:1])
    _csv(folder / "nul.csv", [*good, ("a\0b", "pos")])
    _csv(folder / "huge.csv", [("x" * 10_000_000, "pos"), *good])
    _csv(folder / "many.csv", [("text", f"class {number}") for number in range(300)])
    (folder / "folder.csv").mkdir()
    rows = [json.dumps({"text": text, "label": label}) for text, label in good]
    (folder / "deep.jsonl").write_text("\n".join(["[" * 100_000 + "]" * 100_000, *rows]))
    (folder / "surrogate.jsonl").write_text("\n".join(['{"text": "\\ud800", "label": "pos"}', *rows]))
    return folder


def _csv(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))


@pytest.fixture
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command changes what belongs to its process: the words behind its name, loggers, what Hydra composes from."""
    monkeypatch.setattr(sys, "argv", ["hskd"])
    loggers = [logging.getLogger(name) for name in (None, "hskd_lightning")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    GlobalHydra.instance().clear()


def typed(mistake: Mistake, files: Path, root: Path) -> list[str]:
    """The words of a command; whatever is not refused only explains itself."""
    words = shlex.split(mistake.command.format(files=files))
    place = [] if "HSKD_ROOT" in mistake.exported else [f"paths.root={root}"]
    explain = [] if "explain=" in mistake.command else ["explain=true"]
    return [*words, *([*explain, *place] if len(words) > 1 or words == ["train"] else [])]


def check_answer(answer: str, mistake: Mistake) -> None:
    for word in mistake.words:
        assert word in answer
    assert "Traceback" not in answer
    assert len(answer) < LONGEST


def shortened(mistake: Mistake) -> str:
    return mistake.command.replace(TEXT, "TEXT")


@pytest.mark.parametrize("mistake", MISTAKES, ids=shortened)
@pytest.mark.usefixtures("as_it_was")
def test_the_answer_has_the_users_words_and_the_remedy(
    mistake: Mistake,
    files: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in mistake.exported.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        main(typed(mistake, files, tmp_path))
    assert isinstance(end.value.code, str)  # Python prints it on stderr, and exits with 1
    printed = capfd.readouterr()
    check_answer(end.value.code + printed.out + printed.err, mistake)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fails_inside_hydra_is_no_mistake_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(OmegaConf, "load", failing)
    with pytest.raises(OSError, match="Input/output"), explained(["width=pca"]):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            compose("train", overrides=["width=pca"])


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES[:3], ids=shortened)
def test_a_process_answers_on_stderr_and_exits_with_1(mistake: Mistake, files: Path, tmp_path: Path) -> None:
    done = process(*typed(mistake, files, tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    check_answer(done.stderr, mistake)


@pytest.mark.slow
def test_hydras_own_variable_still_shows_the_whole_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert "Traceback" in process("train", "lenght.keep=3").stderr


def process(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hskd_lightning", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
