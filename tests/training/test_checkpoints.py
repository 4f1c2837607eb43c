"""A checkpoint is written whole, beside its digest, and read only if it is what was written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hskd_lightning.errors import ConfigError
from hskd_lightning.training import fit
from hskd_lightning.training.checkpoints import CheckedCheckpoints, checked, remove

REMEDY = "train it again"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(tmp_path / "resume.ckpt", 1)
    return tmp_path / "resume.ckpt"


def save(path: Path, step: int) -> None:
    CheckedCheckpoints().save_checkpoint({"global_step": step}, path)


def test_a_checkpoint_has_a_note_and_no_half_is_left(path: Path) -> None:
    assert sorted(each.name for each in path.parent.iterdir()) == ["resume.ckpt", "resume.ckpt.json"]
    assert torch.load(checked(path, REMEDY), weights_only=True) == {"global_step": 1}


def test_the_next_one_takes_its_place(path: Path) -> None:
    save(path, 2)
    assert torch.load(checked(path, REMEDY), weights_only=True) == {"global_step": 2}


def test_a_kill_between_the_note_and_the_checkpoint_leaves_a_pair_that_agrees(path: Path) -> None:
    before = path.read_bytes()
    save(path, 2)
    path.write_bytes(before)  # the note is new, the checkpoint is not
    assert torch.load(checked(path, REMEDY), weights_only=True) == {"global_step": 1}


def test_the_last_but_one_is_not_taken(path: Path) -> None:
    before = path.read_bytes()
    save(path, 2)
    save(path, 3)
    path.write_bytes(before)
    with pytest.raises(ConfigError, match="(?s)resume.ckpt'.*its SHA-256 differs.*train it again"):
        checked(path, REMEDY)


def test_a_note_of_another_checkpoint(path: Path) -> None:
    save(path.with_name("best.ckpt"), 2)
    path.with_name("best.ckpt.json").rename(path.with_name("resume.ckpt.json"))
    with pytest.raises(ConfigError, match="(?s)resume.ckpt.json'.*it is of another file"):
        checked(path, REMEDY)


def test_a_checkpoint_without_a_note(path: Path) -> None:
    """An earlier version wrote it."""
    path.with_name("resume.ckpt.json").unlink()
    with pytest.raises(ConfigError, match="(?s)resume.ckpt.json'.*it is missing"):
        checked(path, REMEDY)


def test_removed_with_its_note(path: Path) -> None:
    remove(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("moment", ["digest", "write_json", "checkpoints"])
def test_a_stage_killed_while_it_is_called_whole_can_be_called_so_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """At whatever step of it: before a digest is taken, before facts.json is written, before a note goes."""

    class Killed(BaseException):
        """No handler may take it for an error."""

    def kill(*given: object) -> None:
        raise Killed

    for name in (fit.LAST, fit.BEST, fit.RESUME):
        save(tmp_path / name, 1)
    with monkeypatch.context() as dying, pytest.raises(Killed):
        if moment == "checkpoints":
            dying.setattr(fit.checkpoints, "forget", kill)
        else:
            dying.setattr(fit, moment, kill)
        fit._finish(tmp_path, {"seconds": 1.0, "steps": 1})
    assert fit.is_whole(tmp_path) == (moment == "checkpoints")
    if not fit.is_whole(tmp_path):
        fit._finish(tmp_path, {"seconds": 1.0, "steps": 1})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "facts.json", "last.ckpt"]
    assert fit.best(tmp_path) == fit.BEST
    assert torch.load(fit.checked(tmp_path / fit.BEST), weights_only=True) == {"global_step": 1}
