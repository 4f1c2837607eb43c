"""A store is built by one process or by many, killed or out of disk, to the same bytes."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from safetensors.torch import load_file
from torch import Tensor

from hskd_lightning.artifacts import lock_file, lock_of
from hskd_lightning.assets import Assets
from hskd_lightning.assets.stores import Stores
from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.knowledge import shards, writer
from hskd_lightning.knowledge.parts import Parts
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.sharing import SharedShards
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.writer import Contents
from tests.forked import Forked, said_by, server
from tests.helpers import ROOT, SMALL, THOROUGH, TINY, command_line, only_store

pytestmark = pytest.mark.slow
Small = Callable[..., DictConfig]
LARGER = (*SMALL, *TINY, "data.source.train=700", "data.distil_limit=500", "store.shard_tokens=100")
"""Some eighty shards: a second's work, with many moments to be killed at."""
ROUNDS = 20 if THOROUGH else 8


def room_at(root: Path, *overrides: str) -> Stores:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = plain(compose("train", overrides=[*LARGER, f"paths.root={root}", *overrides]))
    return Assets(Experiment.resolve(config)).stores


def build(root: Path, *overrides: str) -> None:
    """A builder's whole life, in a process of its own."""
    import torch

    torch.set_num_threads(1)
    room_at(root, *overrides).build()


def checksums(folder: Path) -> list[str]:
    facts = Store(folder).facts
    return [facts["fit"], *(shard["sha256"] for shard in facts["shards"])]


KINDS = {"plain": (), "coded": ("bits=planes", "bits.keep=20"), "masked": ("width=magnitude_mask", "bits=int4")}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """An unbroken build of each kind of store, and what asks for it."""
    root, overrides = tmp_path_factory.mktemp(request.param), KINDS[request.param]
    room_at(root, *overrides).build()
    return root, overrides


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unbroken build; its teacher and moments serve the others."""
    root = tmp_path_factory.mktemp("unbroken")
    room_at(root).build()
    return root


def without_store(unbroken: Path, root: Path) -> None:
    shutil.copytree(unbroken, root, ignore=shutil.ignore_patterns("store"), dirs_exist_ok=True)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_killed_at_random_moments_ends_in_identical_checksums(
    kind: tuple[Path, tuple[str, ...]], tmp_path: Path
) -> None:
    unbroken, overrides = kind
    without_store(unbroken, tmp_path)
    context = server()
    for _ in range(2):  # the first one's time has the imports in it, and the life to be cut short has none
        shutil.rmtree(tmp_path / "artifacts/store", ignore_errors=True)
        started = time.monotonic()
        whole = context.Process(target=build, args=(tmp_path, *overrides))
        whole.start()
        whole.join()
        assert whole.exitcode == 0
        life = time.monotonic() - started
    shutil.rmtree(tmp_path / "artifacts/store")
    moments, kills, resumed = random.Random(0), 0, 0
    while kills < ROUNDS:
        resumed += any(tmp_path.glob("artifacts/store/*.partial/shard-*.json"))
        child = context.Process(target=build, args=(tmp_path, *overrides))
        child.start()
        child.join(moments.uniform(0.0, life))
        child.kill()
        child.join()
        kills += child.exitcode == -signal.SIGKILL
        if any(tmp_path.glob("artifacts/store/*/manifest.json")) and kills < ROUNDS:
            shutil.rmtree(tmp_path / "artifacts/store")  # whole before it could be killed: once more from the start
    assert kills == ROUNDS
    assert resumed > 0
    room_at(tmp_path, *overrides).build()
    assert checksums(only_store(tmp_path)) == checksums(only_store(unbroken))
    assert not list(tmp_path.glob("artifacts/store/*/*.tmp"))


def test_parts_made_by_independent_processes_are_byte_for_byte_one_processs(
    kind: tuple[Path, tuple[str, ...]], tmp_path: Path
) -> None:
    unbroken, overrides = kind
    without_store(unbroken, tmp_path)
    for fitted in ("moments", "fit"):
        shutil.rmtree(tmp_path / "artifacts" / fitted, ignore_errors=True)  # whoever comes first fits, the others wait
    command = [sys.executable, "-m", "hskd_lightning.store"]
    common = [*LARGER, *overrides, f"paths.root={tmp_path}"]
    parts = [Forked([*command, "build", "--shard", f"{number}/3", *common]) for number in (1, 2, 3)]
    said = [part.communicate()[0] for part in parts]
    assert [part.returncode for part in parts] == [0, 0, 0], said
    said_by([*command, "finish", *common])
    assert checksums(only_store(tmp_path)) == checksums(only_store(unbroken))


def builders(root: Path, count: int, *overrides: str) -> list[Forked]:
    """`store build`, several times at once."""
    command = [sys.executable, "-m", "hskd_lightning.store", "build", *LARGER, f"paths.root={root}", *overrides]
    return [Forked(command) for _ in range(count)]


def made(out: str) -> list[int]:
    """The shards that a builder says it made, counted from 1."""
    return [int(number) for number in re.findall(r"store: shard (\d+) of", out)]


def test_builders_started_at_once_share_the_shards_out(unbroken: Path, tmp_path: Path) -> None:
    without_store(unbroken, tmp_path)
    shutil.rmtree(tmp_path / "artifacts/moments")  # whoever comes first fits, the others wait
    room = room_at(tmp_path)
    room.folder.mkdir()
    with lock_file(lock_of(room.folder / f"{room.request.name}.partial")):  # nobody begins before all are there
        running = builders(tmp_path, 3)
        waiting = [said_until("another process is at it", process) for process in running]
    said = [first + process.communicate(timeout=240)[0] for first, process in zip(waiting, running, strict=True)]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert sorted(number for out in said for number in made(out)) == list(range(1, len(shards_of(tmp_path)) + 1))
    assert min(len(made(out)) for out in said) > 1, "everybody had his share"
    assert checksums(only_store(tmp_path)) == checksums(only_store(unbroken))
    assert sorted(path.name for path in only_store(tmp_path).iterdir()) == sorted(
        path.name for path in only_store(unbroken).iterdir()
    )


def said_until(phrase: str, process: Forked) -> str:
    """What a process says, up to the line with a phrase."""
    said = ""
    for line in process.stdout:
        said += line
        if phrase in line:
            return said
    raise AssertionError(f"it never said {phrase!r}:\n{said}")


def shards_of(root: Path) -> list[str]:
    return [shard["file"] for shard in Store(only_store(root)).facts["shards"]]


def test_of_a_killed_builder_one_shard_is_lost_and_others_make_it(unbroken: Path, tmp_path: Path) -> None:
    without_store(unbroken, tmp_path)
    room = room_at(tmp_path)
    room.folder.mkdir()
    with lock_file(lock_of(room.folder / f"{room.request.name}.partial")):  # neither begins before both are there
        victim, other = builders(tmp_path, 2)
        for process in (victim, other):
            said_until("another process is at it", process)
    said = said_until("store: shard", victim)
    victim.send_signal(signal.SIGKILL)
    said += victim.communicate()[0]
    rest = other.communicate(timeout=240)[0]
    assert other.returncode == 0, rest
    every = sorted({*made(said), *made(rest)})
    assert every == list(range(1, len(every) + 1)) and len(every) == len(shards_of(tmp_path))
    assert len(made(said)) + len(made(rest)) <= len(every) + 1
    assert checksums(only_store(tmp_path)) == checksums(only_store(unbroken))


def test_what_a_shard_s_dead_maker_held_is_free(unbroken: Path, tmp_path: Path) -> None:
    without_store(unbroken, tmp_path)
    room = room_at(tmp_path)
    parts = Parts(room.partial(room.request))
    shared = SharedShards(parts, [3, 4])
    with lock_file(parts.shard_lock(3)), shared.take() as number:
        assert number == 4  # another makes 3
        with SharedShards(parts, [3, 4]).take() as left:
            assert left is None
    with SharedShards(parts, [3, 4]).take() as number:
        assert number == 3
    assert list(shared.pending) == [3]


def test_a_store_that_another_finished_is_taken_as_it_is(unbroken: Path, tmp_path: Path) -> None:
    without_store(unbroken, tmp_path)
    room = room_at(tmp_path)
    late = room.writer(room.partial(room.request), room.request)
    numbers = late.missing()
    folder = room.make(room.request)
    late.write(numbers)  # it did not know
    assert [path for path in room.folder.iterdir() if not path.name.startswith(".")] == [folder]
    assert room.partial(room.request) is None


def test_a_store_that_is_finished_while_the_late_one_fits_is_taken(unbroken: Path, tmp_path: Path) -> None:
    without_store(unbroken, tmp_path)
    room = room_at(tmp_path)
    final = room.folder / room.request.name

    class Late(Stores):
        """Whose folder is renamed while it fits."""

        def _contents(self, request: Request) -> Contents:
            contents = super()._contents(request)

            def fit() -> dict[str, Tensor]:
                fitted = contents.fit()
                shutil.rmtree(room.folder / f"{request.name}.partial")
                shutil.copytree(only_store(unbroken), final)
                return fitted

            return replace(contents, fit=fit)

    late = Late(room.states, room.plan)
    assert late.make(late.request) == final


def test_what_a_killed_builder_left_is_no_part_of_the_store(unbroken: Path, tmp_path: Path) -> None:
    without_store(unbroken, tmp_path)
    room = room_at(tmp_path)
    half_a_shard = room.partial(room.request) / "shard-00003.safetensors.1234.tmp"
    half_a_shard.parent.mkdir(parents=True, exist_ok=True)
    half_a_shard.write_bytes(b"half")
    room.build()
    assert not list(tmp_path.glob("artifacts/store/**/*.tmp"))
    assert checksums(only_store(tmp_path)) == checksums(only_store(unbroken))


def test_a_store_is_not_finished_while_shards_are_missing(unbroken: Path, tmp_path: Path) -> None:
    without_store(unbroken, tmp_path)
    room = room_at(tmp_path)
    folder = room.partial(room.request)
    half = room.writer(folder, room.request)
    half.write(list(range(3, len(half.shards))))
    with pytest.raises(ConfigError, match=r"3 of \d+ shards missing: 0, 1, 2"):
        room.finish(half)


def test_shards_of_two_fits_make_no_store(unbroken: Path, tmp_path: Path) -> None:
    """As where a half-made store went to another machine without its fit, which was made anew there."""
    without_store(unbroken, tmp_path)
    room = room_at(tmp_path)
    folder = room.partial(room.request)
    half = room.writer(folder, room.request)
    half.write([0])
    fit = load_file(folder / "fit.safetensors")
    half.parts.write_fit({**fit, "mean": fit["mean"] + 1})
    other = room.writer(folder, room.request)
    other.write(other.missing())
    with pytest.raises(ConfigError, match=r"(?s)`store.fit`.*the same for all shards"):
        room.finish(other)


def test_more_shards_than_a_process_can_map_are_refused_before_the_first(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_store(unbroken, tmp_path)
    monkeypatch.setattr(shards, "MOST_SHARDS", 20)
    with pytest.raises(ConfigError, match=r"(?s)`store.shard_tokens` = 100.*makes 79 of this data"):
        room_at(tmp_path).build()


def test_four_processes_that_want_one_store_build_it_once_and_all_train(tmp_path: Path) -> None:
    running = [Forked(command_line(tmp_path, *SMALL, *TINY, f"seed={seed}")) for seed in range(4)]
    said = [process.communicate(timeout=240)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0], said
    assert sum(out.count("store: shard ") for out in said) == 1  # of one: 126 examples are fewer than 65,536 tokens
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 4
    assert len(list(tmp_path.glob("artifacts/store/*/manifest.json"))) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", place], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a file system is not allowed here")
    yield place
    subprocess.run(["umount", place], check=True)


def on_disk(unbroken: Path, place: Path) -> Stores:
    """The stores of a cell, on the small disk."""
    room = room_at(unbroken)
    room.folder = place / "store"
    return room


def test_too_small_a_disk_is_refused_before_the_first_byte(unbroken: Path, small_disk: Path) -> None:
    room = on_disk(unbroken, small_disk)
    folder = room.partial(room.request)
    (small_disk / "full").write_bytes(b"0" * 250_000)
    making = room.writer(folder, room.request)
    with pytest.raises(ConfigError, match=r"(?s)`paths.artifacts` = '[\d,]+ bytes free at .*free some"):
        making.write(making.missing())
    assert list(folder.iterdir()) == []


def test_a_disk_that_fills_up_is_named_and_the_build_goes_on_when_there_is_room(
    unbroken: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MARGIN", 0)  # as if there had been room when it was asked
    room = on_disk(unbroken, small_disk)
    folder = room.partial(room.request)
    making = room.writer(folder, room.request)
    with pytest.raises(ConfigError, match=r"(?s)`paths.artifacts`.*No space left on device"):
        making.write(making.missing())
    left = making.missing()
    assert 0 < len(left) < len(making.shards)
    assert not list(folder.glob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
    again = room.writer(folder, room.request)
    again.write(again.missing())
    facts = room.finish(again)
    expected = Store(only_store(unbroken)).facts
    assert facts["shards"] == expected["shards"] and facts["fit"] == expected["fit"]
