"""What is read is what was written, or it is named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hskd_lightning import integrity
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import (
    check_file,
    check_files,
    digest,
    digests,
    fingerprint,
    folder_digest,
    read_json,
    write_json,
)


def read(path: Path) -> dict:
    return read_json(path, "kind", "make it again")


def test_the_order_of_keys_does_not_matter() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_json_is_written_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "value.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["value.json"]


def test_json_is_read_as_json_gives_it_back(tmp_path: Path) -> None:
    """Numbers as keys sort otherwise than the strings that they become."""
    write_json(tmp_path / "value.json", {"of": {8: (1, 2), 16: float("inf")}})
    assert read(tmp_path / "value.json") == {"of": {"8": [1, 2], "16": float("inf")}}


def test_a_changed_value_is_named_with_both_seals(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    path.write_text(path.read_text().replace("1", "2", 1))
    was, is_now = fingerprint({"a": 1}), fingerprint({"a": 2})
    with pytest.raises(ConfigError, match=f"(?s)`kind` = '{path}'.*its seal is '{was}', its content's '{is_now}'"):
        read(path)


def test_one_is_not_one_point_nought(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"keep": 1})
    path.write_text(path.read_text().replace('"keep": 1', '"keep": 1.0'))
    with pytest.raises(ConfigError, match="it was changed"):
        read(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '"text"', "[" * 100_000, "\x00", "{} {}"])
def test_what_is_no_sealed_json_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "value.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"(?s){path}.*cannot be read as JSON.*remedy:  make it again"):
        read(path)


def test_a_whole_file_of_another_kind_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "value.json", {"a": 1})
    with pytest.raises(ConfigError, match=f"(?s){tmp_path}/value.json.*another kind of file, without b, c"):
        read_json(tmp_path / "value.json", "kind", "make it again", ("a", "b", "c"))


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "value.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        read(tmp_path / "value.json")


def test_json_without_a_seal_is_named(tmp_path: Path) -> None:
    (tmp_path / "value.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(ConfigError, match="it has no seal: an earlier version wrote it"):
        read(tmp_path / "value.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"(?s){tmp_path}/value.json.*it is missing"):
        read(tmp_path / "value.json")
    with pytest.raises(ConfigError, match=f"(?s){tmp_path}/value.*it is missing"):
        check_file(tmp_path / "value", {"sha256": "0" * 64}, "kind", "make it again")


def test_another_size_is_told_without_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "value"
    path.write_text("two")
    known = digest(path)
    path.write_text("three")
    monkeypatch.setattr(integrity, "sha256", lambda path: pytest.fail("read"))
    with pytest.raises(ConfigError, match="it has 5 bytes instead of 3"):
        check_file(path, known, "kind", "make it again")


def test_a_file_is_hashed_once_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "value"
    path.write_text("1")
    known = digest(path)
    monkeypatch.setattr(integrity.hashlib, "file_digest", lambda *given: pytest.fail("read again"))
    check_file(path, known, "kind", "make it again")
    path.rename(tmp_path / "moved")  # as an artifact is, when it is whole
    check_file(tmp_path / "moved", known, "kind", "make it again")


def test_a_file_of_another_time_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text("1")
    known = digest(path)
    path.write_text("2")
    os.utime(path, ns=(0, 0))
    with pytest.raises(ConfigError, match="its SHA-256 differs"):
        check_file(path, known, "kind", "make it again")


@pytest.mark.parametrize("name", ["../value", "/etc/hostname", "inner/../../value"])
def test_a_file_outside_of_the_folder_is_not_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=f"(?s)`kind` = '{tmp_path}/folder'.*{name}.*no file of its own"):
        check_files(tmp_path / "folder", {name: {"sha256": "0" * 64, "bytes": 1}}, "kind", "make it again")


def test_digests_go_by_relative_name(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "value").write_text("1")
    assert list(digests(tmp_path)) == ["inner/value"]


def test_a_folders_digest_is_of_its_content(tmp_path: Path) -> None:
    for name, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    a, b, c = (folder_digest(tmp_path / name) for name in "abc")
    assert a == b != c
