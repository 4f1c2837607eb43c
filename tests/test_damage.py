"""Every kind of file that a run leaves x every kind of damage: refused by name, or mended and told. Never a traceback,
never taken for whole.
"""

from __future__ import annotations

import logging
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from hskd_lightning.data.predictions import PREDICTIONS
from hskd_lightning.errors import ConfigError
from hskd_lightning.export.student import export
from hskd_lightning.pipeline import run
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.study.sweep.collect import said_by
from tests.forked import Forked
from tests.helpers import ROOT, SMALL, command_line, only_cell

pytestmark = pytest.mark.slow
PRUNED = (
    *("student=rosita6", "student.shape.blocks=2", "student.shape.heads=1", "student.shape.ffn=20"),
    *("student.shape.embedding_rank=4", "data.hidden_epochs=1", "data.prediction_epochs=1"),
)
OTHER = ("data.source.seed=5", "seed=1", "teacher.seed=1")
"""Another cell of another teacher on other data: its files are whole, and not these."""
CHAIN = ("vocabulary", "tokens", "teacher", "teacher_score", "moments", "importance", "student", "store")
"""Artifacts, each made from some of those before it."""


def answer(root: Path, *overrides: str) -> float | None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return run(compose("train", overrides=[*SMALL, *PRUNED, *overrides, f"paths.root={root}"]))


@pytest.fixture(scope="module", autouse=True)
def log_as_on_the_command_line() -> Iterator[None]:
    """Or log.txt would be empty."""
    package = logging.getLogger("hskd_lightning")
    package.setLevel(logging.INFO)
    yield
    package.setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished cell with all that it was made of, and its export."""
    root = tmp_path_factory.mktemp("whole")
    answer(root)
    export(only_cell(root), seconds=0.01)
    return root


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("other")
    answer(root, *OTHER)
    export(only_cell(root), seconds=0.01)
    return root


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell that was killed in its hidden stage, with a checkpoint to go on from."""
    root = tmp_path_factory.mktemp("interrupted")
    long = ("data.hidden_epochs=100", "trainer.checkpoint_every=2")
    command = command_line(root, *SMALL, *PRUNED, *long)
    process = Forked(command)
    resume = "runs/*/checkpoints/hidden/resume.ckpt"
    while not any(root.glob(resume)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return root


# What happens to files.


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "empty": lambda data, others: b"",
    "truncated": lambda data, others: data[: len(data) * 2 // 3],
    "one bit flipped": lambda data, others: flip(data),
    "another's file": lambda data, others: others,
}


def kind(path: Path, root: Path) -> str:
    """A file's place without the names that are hashes."""
    return re.sub(r"/[0-9a-f]{10}(?=/)|/[0-9a-f]{16}(?=/)", "/*", path.relative_to(root).as_posix())


def files(root: Path) -> Iterator[Path]:
    yield from sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")


@contextmanager
def damaged(path: Path, data: bytes) -> Iterator[None]:
    """For a while."""
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(before)


# Who reads them.


def reading(path: Path, root: Path) -> Callable[[], object]:
    """What a user does that reads this file, in a copy of the whole run."""
    place, cell = path.relative_to(root).parts, only_cell(root)
    if place[0] == "artifacts":
        for made_of in CHAIN[CHAIN.index(place[1]) + 1 :]:
            shutil.rmtree(root / "artifacts" / made_of, ignore_errors=True)
        shutil.rmtree(cell)
        return lambda: answer(root)
    if "export" in place:
        return lambda: export(cell)
    if place[2] in ("config.yaml", "student"):
        shutil.rmtree(cell / "export")
        return lambda: export(cell, seconds=0.01)
    if place[2] == "metrics.csv":
        return lambda: answer(root, "logger=wandb")
    if place[2] == PREDICTIONS:
        return lambda: said_by(CellFolder(cell))
    if place[2] != "result.json":
        (cell / "result.json").unlink()
    if place[2:4] == ("checkpoints", "hidden"):
        shutil.rmtree(cell / "checkpoints/prediction")
    return lambda: answer(root)


def told(read: Callable[[], object], path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """What is said of a damaged file; anything but a ConfigError ends the test with its traceback."""
    caplog.clear()
    try:
        read()
    except ConfigError as error:
        assert str(path) in str(error), f"{path} is not named:\n{error}"
        assert len(error.remedy) > 10
        return "refused"
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    return "mended, told" if any(str(path) in warning for warning in warnings) else "not read"


EXPECTED = {
    "runs/*/status.json": "mended, told",
    "runs/*/log.txt": "not read",  # it is for people alone
    f"runs/*/{PREDICTIONS}": "mended, told",  # a study goes on without it, and speaks of these sentences alone
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damaged_file_of_a_finished_run_is_refused_or_mended(
    damage: str, whole: Path, other: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, no_account: None
) -> None:
    others = {kind(path, other): path for path in files(other)}
    answers = {}
    for number, original in enumerate(files(whole)):
        name = kind(original, whole)
        root = tmp_path / str(number)
        shutil.copytree(whole, root)
        path = root / original.relative_to(whole)
        before, found = path.read_bytes(), DAMAGES[damage](path.read_bytes(), others[name].read_bytes())
        if before == found:
            continue  # two tokenizers of one configuration
        path.write_bytes(found)
        answers[name] = told(reading(path, root), path, caplog)
        shutil.rmtree(root)
    print(*(f"{damage} | {name} | {said}" for name, said in answers.items()), sep="\n")
    assert answers == {name: EXPECTED.get(name, "refused") for name in answers}
    assert {place.split("/")[1] for place in answers if place.startswith("artifacts")} == set(CHAIN)


@pytest.mark.parametrize(
    ("damage", "name"), [*((damage, "resume.ckpt") for damage in DAMAGES), ("another's file", "resume.ckpt.json")]
)
def test_a_damaged_resume_checkpoint_is_told_and_the_stage_begins_anew(
    damage: str, name: str, interrupted: Path, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "root"
    shutil.copytree(interrupted, root)
    stage = only_cell(root) / "checkpoints/hidden"
    others = only_cell(whole) / "checkpoints/hidden" / ("last.ckpt" if name == "resume.ckpt" else "facts.json")
    (stage / name).write_bytes(DAMAGES[damage]((stage / name).read_bytes(), others.read_bytes()))
    answer(root, "data.hidden_epochs=100", "trainer.checkpoint_every=2")
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("hidden: cannot be resumed" in warning and name in warning for warning in warned)
    assert "hidden: resumed at step" not in caplog.text
