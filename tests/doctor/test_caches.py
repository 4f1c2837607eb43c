"""What lies on the disk, and what of it nobody will finish."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import constants

from hskd_lightning.artifacts import hold, lock_of
from hskd_lightning.doctor import caches
from hskd_lightning.doctor.finding import State, examined
from tests.doctor.found import only


def file(path: Path, size: int) -> Path:
    """A file of so many bytes, which take no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


def test_artifacts_are_counted_and_weighed_by_kind(tmp_path: Path) -> None:
    for name, size in (("store/a/1", 10**7), ("store/b/1", 10**7), ("store/b/2", 0), ("teacher/c/1", 4 * 10**7)):
        file(tmp_path / name, size)
    file(tmp_path / "teacher/d.partial/1", 10**9)
    file(tmp_path / "teacher/.d.lock", 0)
    said = [found.said for found in examined(partial(caches.artifacts, tmp_path))]
    assert said == ["store: 2, 0.02 GB in 3 files", "teacher: 1, 0.04 GB in 1 files"]


def test_no_artifacts_yet(tmp_path: Path) -> None:
    assert only(partial(caches.artifacts, tmp_path / "artifacts")).said.endswith("nothing yet")
    assert only(partial(caches.leftovers, tmp_path / "artifacts")).said == "none"


def test_what_a_dead_builder_left_is_a_note_with_the_command_that_cleans(tmp_path: Path) -> None:
    left = file(tmp_path / "teacher/a b.partial/weights", 3 * 10**7).parent
    found = only(partial(caches.leftovers, tmp_path))
    assert found.state == State.NOTE and "1 half built with nobody at it, 0.03 GB" in found.said
    assert found.remedy.endswith(f"rm -r '{left}'")


def test_many_that_were_left_are_cleaned_by_one_short_command(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"teacher/{number}.partial").mkdir(parents=True)
    assert only(partial(caches.leftovers, tmp_path)).remedy.endswith(f"rm -r {tmp_path}/*/*.partial")


def test_what_a_living_process_builds_is_left_alone(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"teacher/{number}.partial").mkdir(parents=True)
    with hold(lock_of(tmp_path / "teacher/0.partial"), "one"):
        remedy = only(partial(caches.leftovers, tmp_path)).remedy
        assert "0.partial" not in remedy and "*" not in remedy and "3.partial" in remedy


def test_a_store_whose_shard_is_being_made_is_left_alone(tmp_path: Path) -> None:
    store = file(tmp_path / "store/a.partial/.shard-0.lock", 0).parent
    with hold(store / ".shard-0.lock", "shard"):
        found = only(partial(caches.leftovers, tmp_path))
    assert found.state == State.OK and found.said == "none; 1 being built"


def test_the_hubs_cache_is_weighed_without_its_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = file(tmp_path / "hub/blobs/1", 10**8)
    os.symlink(blob, tmp_path / "hub/snapshot")
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_DATASETS_CACHE", raising=False)
    assert only(caches.hub).said == f"{tmp_path}: 0.10 GB in 2 files"


def test_a_cache_to_which_nothing_can_be_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = file(tmp_path / "file", 0)
    monkeypatch.setattr(constants, "HF_HOME", str(place))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place / "hub"))
    monkeypatch.delenv("HF_DATASETS_CACHE", raising=False)
    found = only(caches.hub)
    assert found.state == State.NOTE and "nothing can be added (Not a directory)" in found.said
