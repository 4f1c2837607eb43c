"""Folders that a run writes to: leave, locks, room."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hskd_lightning.doctor import disk
from hskd_lightning.doctor.finding import State
from tests.doctor.found import only

NOBODY = 65534


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that this user may not write to; root, who may write anywhere, is somebody else meanwhile."""
    folder = tmp_path / "read_only"
    folder.mkdir(mode=0o500)
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)
    yield folder
    os.seteuid(me)


def of(place: Path, least: float = 0, plenty: float = 0, key: str = "paths.root") -> partial[Iterator[disk.Finding]]:
    return partial(disk.folder, place, key, least, plenty)


def test_a_folder_that_can_be_written_to_and_has_locks_and_room(tmp_path: Path) -> None:
    assert only(of(tmp_path)).state == State.OK
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path: Path) -> None:
    assert only(of(tmp_path / "not/yet")).state == State.OK
    assert not (tmp_path / "not").exists()


def test_a_folder_that_is_read_only(read_only: Path) -> None:
    found = only(of(read_only))
    assert found.state == State.RED and f"{read_only} cannot be written to (Permission denied)" in found.said
    assert found.remedy == "choose another with paths.root=..."


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert only(of(tmp_path / "file")).state == State.RED


@pytest.mark.parametrize(("least", "plenty", "state"), [(0, 2, State.NOTE), (2, 2, State.RED)])
def test_a_disk_with_half_the_room(least: float, plenty: float, state: State, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    found = only(of(tmp_path, least * free, plenty * free))
    assert found.state == state and "GB free" in found.said and "make room" in found.remedy


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    found = only(of(tmp_path, key="TMPDIR"))
    assert found.state == State.RED and "(no locks available)" in found.said and "TMPDIR=..." in found.remedy


@pytest.fixture
def python_chooses_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.mark.usefixtures("python_chooses_anew")
def test_the_temporary_folder_is_the_one_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert str(tmp_path) in only(disk.temporary).said


@pytest.mark.usefixtures("python_chooses_anew")
def test_a_temporary_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    first, _ = disk.temporary()
    assert first.state == State.NOTE and f"TMPDIR={tmp_path / 'missing'} cannot be written to" in first.said
