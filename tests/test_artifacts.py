"""Built once, whole or not there, and never silently something else."""

from __future__ import annotations

import errno
import fcntl
import threading
import time
from pathlib import Path

import pytest

from hskd_lightning.artifacts import build_once, hold, read_manifest
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import write_json

RECIPE = {"data": "abc", "layers": (1, 2)}


def write_one(folder: Path) -> dict:
    (folder / "value").write_text("1")
    return {"seconds": 3}


def refuse(folder: Path) -> dict:
    raise AssertionError("built twice")


def test_built_once_then_reused(tmp_path: Path) -> None:
    first = build_once(tmp_path, "kind", RECIPE, write_one)
    assert build_once(tmp_path, "kind", RECIPE, refuse) == first
    assert (first / "value").read_text() == "1"


def test_manifest_keeps_recipe_and_facts(tmp_path: Path) -> None:
    manifest = read_manifest(build_once(tmp_path, "kind", RECIPE, write_one))
    assert {key: manifest[key] for key in ("kind", "recipe", "facts")} == {
        "kind": "kind",
        "recipe": {"data": "abc", "layers": [1, 2]},
        "facts": {"seconds": 3},
    }


def test_manifest_keeps_the_digest_of_every_file(tmp_path: Path) -> None:
    manifest = read_manifest(build_once(tmp_path, "kind", RECIPE, write_one))
    of_one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"  # sha256sum of the one byte `1`
    assert manifest["files"] == {"value": {"sha256": of_one, "bytes": 1}}


def test_another_recipe_is_another_folder(tmp_path: Path) -> None:
    first = build_once(tmp_path, "kind", RECIPE, write_one)
    assert build_once(tmp_path, "kind", {**RECIPE, "data": "xyz"}, write_one) != first


def test_a_builder_that_fails_leaves_nothing_whole(tmp_path: Path) -> None:
    def half(folder: Path) -> dict:
        (folder / "half").write_text("")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        build_once(tmp_path, "kind", RECIPE, half)
    assert [path.name for path in (tmp_path / "kind").iterdir() if path.suffix == ""] == []


def test_the_next_builder_finds_what_the_dead_one_left(tmp_path: Path) -> None:
    def die(folder: Path) -> dict:
        (folder / "checkpoint").write_text("7")
        raise OSError

    def resume(folder: Path) -> dict:
        return {"resumed_at": (folder / "checkpoint").read_text()}

    with pytest.raises(OSError):
        build_once(tmp_path, "kind", RECIPE, die)
    assert read_manifest(build_once(tmp_path, "kind", RECIPE, resume))["facts"] == {"resumed_at": "7"}


def test_a_manifest_changed_by_hand_is_refused_by_field(tmp_path: Path) -> None:
    folder = build_once(tmp_path, "kind", RECIPE, write_one)
    manifest = read_manifest(folder)
    manifest["recipe"]["data"] = "other"
    write_json(folder / "manifest.json", manifest)
    with pytest.raises(ConfigError, match="`kind.data` = 'other'"):
        build_once(tmp_path, "kind", RECIPE, refuse)


def test_others_wait_for_the_one_that_builds(tmp_path: Path) -> None:
    built: list[int] = []

    def slowly(folder: Path) -> dict:
        built.append(1)
        time.sleep(0.2)
        return {}

    threads = [threading.Thread(target=build_once, args=(tmp_path, "kind", RECIPE, slowly)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="`paths.root` = .*file/kind"):
        build_once(tmp_path / "file", "kind", RECIPE, write_one)


def test_a_file_changed_after_it_was_built_is_refused_by_name(tmp_path: Path) -> None:
    folder = build_once(tmp_path, "kind", RECIPE, write_one)
    (folder / "value").write_text("2")
    message = f"(?s)`kind` = '{folder}/value'.*d4735e3a265e16ee instead of 6b86b273ff34fce1.*rm -r {folder}"
    with pytest.raises(ConfigError, match=message):
        build_once(tmp_path, "kind", RECIPE, refuse)


@pytest.mark.parametrize("missing", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_flock_is_refused(missing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: object, how: int) -> None:
        raise OSError(missing, "not here")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(ConfigError, match=rf"(?s)`paths.root` = '{tmp_path}'.*by flock \(not here\).*Lustre: -o flock"):
        hold(tmp_path / "one.lock", "one")
    assert list(tmp_path.iterdir()) == []
