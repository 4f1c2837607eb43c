"""A file that a configuration key led to: its path, its lines, its digest. Complaints name the path and the line.

Lines end at the line feed alone: Python's own notion of a line also ends at characters such as U+2028, which stand
inside sentences of real corpora.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hskd_lightning.errors import ConfigError, shortened

_CHUNK = 1 << 20  # bytes hashed at a time: MNLI's files should not have to fit in memory
_OTHER_FORMATS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a ZIP archive, as .xlsx is",
    b"PAR1": "Parquet",
}
"""What a file is that begins so, and is no text in UTF-8."""


@dataclass(frozen=True)
class SourceFile:
    """A file together with the configuration key that led to it."""

    path: Path
    key: str

    def error(self, fault: str, allowed: str, remedy: str, line: int | None = None) -> ConfigError:
        """The complaint about this file, placed at a line if one is given; to be raised by the caller."""
        place = f"{self.path}" if line is None else f"{self.path}:{line}"
        return ConfigError(self.key, f"{place}: {fault}", allowed, remedy)

    def existing(self) -> Path:
        """The path.

        Raises:
            ConfigError: no file lies there.
        """
        try:
            if self.path.is_file():
                return self.path
            fault = "a folder" if self.path.is_dir() else "a pipe or a device" if self.path.exists() else "no such file"
        except OSError as error:  # a name that no file can have
            fault = str(error.strerror)
        start = f"a relative path starts at {Path.cwd()}"
        raise self.error(fault, "an existing file", f"correct {self.key}; {start}")

    def open(self) -> BinaryIO:
        """The file, for reading.

        Raises:
            ConfigError: there is none, or its permissions do not let it be read.
        """
        try:
            return self.existing().open("rb")
        except OSError as error:
            raise self.error(str(error.strerror), "a file that can be read", "see to its permissions") from error


def lines(source: SourceFile) -> Iterator[tuple[int, str]]:
    """The file's lines, numbered from 1, line ends kept, a byte order mark dropped.

    Raises:
        ConfigError: the file is no text in UTF-8, has a NUL byte, or its lines end in CR alone.
    """
    with source.open() as stream:
        for number, raw in enumerate(stream, 1):
            if number == 1:
                _check_format(source, raw)
            yield number, _decoded(source, number, raw)


def _check_format(source: SourceFile, first: bytes) -> None:
    """Name what the first line gives away: that this is no text, or that it is the whole file."""
    for start, name in _OTHER_FORMATS.items():
        if first.startswith(start):
            raise source.error(f"{name}, and not UTF-8 text", "UTF-8 text", "save the table as UTF-8 text")
    if not first.endswith(b"\n") and b"\r" in first.rstrip(b"\r"):
        raise source.error("lines that end in CR alone", "lines that end in LF or CRLF", "save it with LF line ends")


def _decoded(source: SourceFile, number: int, raw: bytes) -> str:
    remedy = "save the file as UTF-8 text"
    if b"\0" in raw:
        raise source.error("a NUL byte", "text in UTF-8: this is UTF-16, or no text, or damaged", remedy, number)
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise source.error(f"not UTF-8: {shortened(str(error))}", "UTF-8 text", remedy, number) from error


def digest(settings: Iterable[object], sources: Iterable[SourceFile] = ()) -> str:
    """A short name for the data that these settings select from these files: 16 hexadecimal digits.

    The place of a file does not enter, its bytes do: data moved to another folder or machine keep their name.

    Raises:
        ConfigError: a file is missing.
    """
    total = hashlib.sha256(repr(list(settings)).encode())
    for source in sources:
        # Each file's own hash, not its bytes, so that rows moved from the end of one file to the start of
        # the next make a difference.
        total.update(_file_hash(source))
    return total.hexdigest()[:16]


def _file_hash(source: SourceFile) -> bytes:
    sha = hashlib.sha256()
    with source.open() as stream:
        while chunk := stream.read(_CHUNK):
            sha.update(chunk)
    return sha.digest()
