"""What is read is what was written: every JSON file has a seal, every other file a digest, and neither goes unchecked.

A seal is the fingerprint of what a JSON file says, inside it. A digest is a file's SHA-256, in a JSON file beside it.
They find damage and mix-ups. They are no signatures: whoever writes a file can seal it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hskd_lightning.errors import ConfigError, shown

SEAL = "seal"
Typed = TypeVar("Typed")
Digests = Mapping[str, Mapping[str, Any]]
"""Of the files in a folder, by relative name: `sha256` in hex, and `bytes`."""


def fingerprint(value: object) -> str:
    """16 hex digits of the SHA-256 of a JSON value, keys sorted."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_hashed: dict[tuple[int, int, int, int], str] = {}
"""By device, inode, size and time of change: a hashed file that kept them is not read again."""


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex. A process reads a file once, however often it asks."""
    stat = path.stat()
    seen = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
    if seen not in _hashed:
        with path.open("rb") as file:
            _hashed[seen] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashed[seen]


def file_digest(path: Path) -> str:
    """Its first 16 digits."""
    return sha256(path)[:16]


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """The digest of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


def digest(path: Path) -> dict[str, Any]:
    """A file's SHA-256 and size."""
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def folder_digest(folder: Path) -> str:
    """One digest of every file under a folder, by relative name and content."""
    return fingerprint({name: entry["sha256"][:16] for name, entry in digests(folder).items()})


def check_file(path: Path, digest: Mapping[str, Any], key: str, remedy: str) -> None:
    """Compare a file with its digest, its size first.

    Args:
        digest: `sha256`, and `bytes` where the size is known.
        key: what the file is part of.
        remedy: how it is made anew.

    Raises:
        ConfigError: it is missing, or not what was written; it is named, with both sizes or digests.
    """
    if not path.is_file():
        raise damaged(path, "it is missing", key, remedy)
    size, expected = path.stat().st_size, digest.get("bytes")
    if expected is not None and size != expected:
        raise damaged(path, f"it has {size:,} bytes instead of {expected:,}", key, remedy)
    if (actual := sha256(path)) != digest["sha256"]:
        raise damaged(path, f"its SHA-256 differs: {actual[:16]} instead of {digest['sha256'][:16]}", key, remedy)


def check_files(folder: Path, files: Digests, key: str, remedy: str) -> None:
    """`check_file` for each of these files; others that are there are not looked at, nor any outside of the folder."""
    for name, digest in files.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise damaged(folder, f"it speaks of {name!r}, which is no file of its own", key, remedy)
        check_file(folder / name, digest, key, remedy)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with its seal, so that a reader sees the old file or the new one, never half of it."""
    value = json.loads(json.dumps(value))  # as it will be read back: tuples are lists, keys are strings
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps({**value, SEAL: fingerprint(value)}, indent=2) + "\n")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path, key: str, remedy: str, fields: Sequence[str] = ()) -> dict[str, Any]:
    """What `write_json` wrote, without the seal.

    Args:
        key: what the file is part of.
        remedy: how it is made anew.
        fields: that it must have: a whole file of another kind may lie in its place.

    Raises:
        ConfigError: there is no such file, or it is not what was written; it is named, with both seals.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        seal = value.pop(SEAL)
    except FileNotFoundError:
        raise damaged(path, "it is missing", key, remedy) from None
    except OSError as error:  # a folder in its place, no permission
        raise damaged(path, f"it cannot be read ({error.strerror})", key, remedy) from error
    except KeyError:
        raise damaged(path, "it has no seal: an earlier version wrote it, or something else did", key, remedy) from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, f"it cannot be read as JSON ({error})", key, remedy) from error
    if (actual := fingerprint(value)) != seal:
        raise damaged(path, f"it was changed: its seal is {seal!r}, its content's {actual!r}", key, remedy)
    if lacking := [field for field in fields if field not in value]:
        raise damaged(path, f"it is another kind of file, without {', '.join(lacking)}", key, remedy)
    whole: dict[str, Any] = value
    return whole


def read_typed(path: Path, adapter: TypeAdapter[Typed], key: str, remedy: str, fields: Sequence[str] = ()) -> Typed:
    """What `write_json` wrote, as the type that its reader counts on: a seal says that it is whole, not who wrote it.

    Args:
        path: the file.
        adapter: of that type; what more the file says is passed over.
        key: what the file is part of.
        remedy: how it is made anew.
        fields: that it must have.

    Raises:
        ConfigError: there is no such file, it is not what was written, or a field of it is not of its type.
    """
    said = read_json(path, key, remedy, fields)
    try:
        return adapter.validate_json(json.dumps(said), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise damaged(path, f"field {place!r} is {shown(first['input'])}: {first['msg']}", key, remedy) from None


def damaged(path: Path, what: str, key: str, remedy: str) -> ConfigError:
    """The error for a file that must not be believed."""
    return ConfigError(key, str(path), f"the file as it was written; {what}", remedy)
