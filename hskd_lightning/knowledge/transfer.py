"""Stores on the move: any place that fsspec knows (a folder, s3://, gs://, hf://datasets/...).

What comes from there is a stranger's. Nothing is named by it, nothing is written or allocated on its word alone: a
manifest is read, within bounds, and checked; then files of the names that a store has, no longer than it says, are
fetched into a folder of our own, and hashed as they come. Only a whole, opened store gets its place and its name.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from hskd_lightning.artifacts import MANIFEST, hold, make_writable
from hskd_lightning.errors import ConfigError, discreet
from hskd_lightning.knowledge.manifest import LARGEST, check_files, damaged, files_of, read_sealed
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.store import Store

CARD = "README.md"
CHUNK = 2**20
PULLED = ".pulled"
"""How folders end that a store is being pulled into."""


def push(folder: Path, url: str, card: str) -> str:
    """Copy a whole store to `url`/<its name>; the manifest last, so that half a copy is no store.

    Args:
        folder: of the store.
        url: where to.
        card: the text of the README.md beside it, and above it if there is none: of the place's first store.

    Returns:
        where it is now, without a password that the address may have.

    Raises:
        ConfigError: the store is damaged, or there is no way to the place.
    """
    facts = read_sealed(folder)["facts"]
    check_files(folder, facts)
    files, root = _open(url)
    target = f"{root}/{facts['recipe']}"
    with _reaching(url):
        files.makedirs(target, exist_ok=True)
        files.pipe_file(f"{target}/{CARD}", card.encode())
        if not files.exists(f"{root}/{CARD}"):  # where a hub looks for what a data set is
            files.pipe_file(f"{root}/{CARD}", card.encode())
        for name in [*(name for name, _ in files_of(facts)), MANIFEST]:
            files.put_file(str(folder / name), f"{target}/{name}")
    return discreet(f"{url.rstrip('/')}/{facts['recipe']}")


def pull(url: str, stores: Path) -> Path:
    """Copy the store at `url` among the artifacts' stores, where its name is its recipe's, whatever it was called.

    Raises:
        ConfigError: there is no store, no way to it, or it is not what a store is; nothing is left behind.
    """
    files, root = _open(url)
    make_writable(stores)
    with hold(stores / ".pull.lock", "pull"):
        for left in stores.glob(f".*{PULLED}"):
            shutil.rmtree(left, ignore_errors=True)  # by a process that was killed
        partial = Path(tempfile.mkdtemp(prefix=".", suffix=PULLED, dir=stores))
        try:
            with _reaching(url):
                return _pull(files, root, partial, stores)
        except ConfigError as error:  # the user knows the address, and not the folder that goes
            value = str(error.value).replace(str(partial), url.rstrip("/"))
            raise ConfigError(error.key, value, error.allowed, error.remedy) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _pull(files: fsspec.AbstractFileSystem, root: str, partial: Path, stores: Path) -> Path:
    _fetch(files, root, MANIFEST, partial, {}, LARGEST)
    manifest = read_sealed(partial)
    facts = manifest["facts"]
    final: Path = stores / facts["recipe"]
    with hold(stores / f".{final.name}.lock", f"store {final.name}"):  # it may be built here at the same time
        if final.is_dir():
            return final
        _check_space(stores, facts["bytes"])
        for name, digest in files_of(facts):
            most = digest["bytes"] if "bytes" in digest else _fit_bytes(manifest)
            _fetch(files, root, name, partial, digest, most)
        opened = Store(partial, check=False)  # hashed as it came; now its tensors are looked at
        opened.fit(opened.request.layers)
        partial.rename(final)
    return final


def _fit_bytes(manifest: dict[str, Any]) -> int:
    """More than a fit can weigh: D directions and a mean for each layer, in float32, and what bits have found."""
    request, width = Request.read(manifest["recipe"]), manifest["facts"]["width"]
    layers = len(request.layers)
    units = width if request.masks else request.units
    request.coder.columns(units)  # or a budget that no value holds could name any size
    bits = request.coder.layout(layers, units).values()
    return CHUNK + 4 * layers * width * (width + 1) + sum(dtype.itemsize * math.prod(shape) for dtype, shape in bits)


def _fetch(
    files: fsspec.AbstractFileSystem, root: str, name: str, folder: Path, digest: dict[str, Any], most: int
) -> None:
    """Copy one file, of `most` bytes at most, and compare it with its digest on the way."""
    address, target = f"{root}/{name}", folder / name
    if files.info(address).get("islink"):
        raise damaged(Path(address), "a link, and links are not followed")
    checksum, size = hashlib.sha256(), 0
    with files.open(address, "rb") as source, target.open("xb") as copy:
        while chunk := source.read(CHUNK):
            checksum.update(chunk)
            size += len(chunk)
            if size > most:
                raise damaged(Path(address), f"longer than {most:,} bytes")
            copy.write(chunk)
    if size != digest.get("bytes", size):
        raise damaged(Path(address), f"{size:,} bytes instead of {digest['bytes']:,}")
    if checksum.hexdigest() != digest.get("sha256", checksum.hexdigest()):
        raise damaged(Path(address), f"another file: its SHA-256 differs, {checksum.hexdigest()[:16]}")


def _check_space(stores: Path, need: int) -> None:
    free = shutil.disk_usage(stores).free
    if free < need:
        remedy = "free some, or choose another disk with paths.artifacts=..."
        raise ConfigError("paths.artifacts", f"{free:,} bytes free at {stores}", f"{need:,} bytes", remedy)


def _open(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    if not url.rstrip("/").rpartition("/")[2].strip(".") or ".." in url.split("/"):
        raise ConfigError("store", url, "an address that ends in a name", "write it out, without `.` and `..`")
    with _reaching(url):  # some protocols log in as soon as they are named
        try:
            files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            remedy = f"install what speaks this protocol ({error})"
            raise ConfigError("store", url, "a folder, or an address that fsspec can open", remedy) from error
    return files, root.rstrip("/")


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Name an address that cannot be reached. Each protocol fails by exceptions of its own."""
    try:
        yield
    except ConfigError:
        raise
    except FileNotFoundError as error:
        raise ConfigError("store", url, f"a store's folder; {error} is missing", "check the address") from error
    except Exception as error:
        remedy = f"check the address, the network and your login ({type(error).__name__}: {error})"
        raise ConfigError("store", url, "a folder, or an address within reach that fsspec can open", remedy) from error
