"""python -m hskd_lightning.store, command by command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from hskd_lightning.knowledge.transfer import pull
from hskd_lightning.store.__main__ import COMMANDS, main
from tests.helpers import ROOT, SMALL, TINY, only_store

pytestmark = pytest.mark.slow
Say = Callable[..., str]


@pytest.fixture
def say(tmp_path: Path, artifacts: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Say:
    """Run a command on the small run, with stores of this test's own; what it said."""
    for shared in ("teacher", "tokens", "vocabulary"):
        (artifacts / shared).mkdir(exist_ok=True)
        (tmp_path / "artifacts").mkdir(exist_ok=True)
        (tmp_path / "artifacts" / shared).symlink_to(artifacts / shared)

    def run(*words: str) -> str:
        caplog.clear()
        main([*words, *SMALL, *TINY, f"paths.root={tmp_path}"])
        return caplog.text + capsys.readouterr().out

    return run


def refused(say: Say, *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        say(*words)
    return str(end.value)


def test_plan_counts_before_anything_is_built(say: Say, tmp_path: Path) -> None:
    out = say("plan", "length=cls_first", "length.keep=3", "width=pca", "width.keep=4", "depth.keep=2")
    said = " ".join(re.sub("[^a-zA-Z0-9.,%:()-]+", " ", out).split())
    assert "not built yet" in said
    assert "teacher states 2, 4 3 tokens by cls first 4 values by pca fp16" in said
    assert "126 (train and selection)" in said
    assert "rows kept 756: tokens x layers" in said  # 126 examples x 3 tokens x 2 layers
    assert "values kept 3,024" in said  # x 4
    # 126 x (id 8 + tokens 4 + kept 4 + logits 8) + 756 rows x (position 2 + 4 values of 2)
    assert f"on disk {126 * 24 + 756 * 10:,} bytes as fp16" in said
    assert "time to build about" in said
    assert not list(tmp_path.glob("artifacts/store/*"))


def test_plan_of_logits_alone(say: Say) -> None:
    assert "3,024 bytes, 24 an example" in say("plan", "knowledge=logits")


def test_build_then_verify_info_list_rm(say: Say, tmp_path: Path) -> None:
    assert "shards to build" in say("build")
    folder = only_store(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    good = say("verify")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert f"{folder}: good" in good and "relative error" in good
    info = say("info")
    assert json.loads(info[info.index("{") :])["examples"] == 126
    assert folder.name in say("list") and "126 examples" in say("list")
    say("rm", folder.name[:6])
    assert not folder.exists()
    assert "build it" in refused(say, "verify")


def test_the_list_says_one_token_and_all_tokens(say: Say) -> None:
    for keep in ("1", "1.0"):
        say("build", "length=cls_first", f"length.keep={keep}", "depth.keep=1", "width.keep=2")
    listed = " ".join(re.sub("[^a-zA-Z0-9,_;]+", " ", say("list")).split())
    assert "; 1 token by cls_first; 2 values by pca" in listed
    assert "; all tokens by cls_first; 2 values by pca" in listed


def test_build_is_content_with_a_store_that_covers(say: Say, tmp_path: Path) -> None:
    say("build", "length.keep=0.9")
    assert "covers this cell" in say("build", "length.keep=0.2")
    only_store(tmp_path)


def test_verify_finds_damage(say: Say, tmp_path: Path) -> None:
    say("build")
    path = only_store(tmp_path) / "shard-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert "shard-00000.safetensors" in refused(say, "verify")


def test_verify_of_another_teacher_names_the_field(say: Say, tmp_path: Path) -> None:
    say("build")
    assert "teacher.seed" in refused(say, "verify", only_store(tmp_path).name, "teacher.seed=3")


def test_parts_then_finish(say: Say, tmp_path: Path) -> None:
    many = "store.shard_tokens=300"
    say("build", "--shard", "1/2", many)
    assert "shards missing" in refused(say, "finish", many)
    say("build", "--shard", "2/2", many)
    assert str(only_store_after(say, tmp_path, many)) in say("build", "--shard", "1/2", many)


def only_store_after(say: Say, root: Path, override: str) -> Path:
    say("finish", override)
    return only_store(root)


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b"])
def test_a_part_that_makes_no_sense_is_refused(say: Say, part: str) -> None:
    assert "i/n with i from 1 to n" in refused(say, "build", "--shard", part)


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_store_travels(say: Say, tmp_path: Path, scheme: str) -> None:
    place = f"memory://stores-{tmp_path.name}" if scheme else str(tmp_path / "elsewhere")
    say("build")
    built = only_store(tmp_path)
    address = say("push", place).split()[-1]
    files = {path.name: path.read_bytes() for path in built.iterdir()}
    say("rm", built.name)
    say("pull", address)
    assert {path.name: path.read_bytes() for path in built.iterdir()} == files
    assert f"{built}: good" in say("verify")


@pytest.mark.parametrize(
    "kept", [(), ("bits=planes", "bits.keep=20", "width.keep=1.0"), ("bits=int4", "length=cls_first", "length.keep=3")]
)
def test_a_card_says_how_to_use_its_store(say: Say, tmp_path: Path, kept: tuple[str, ...]) -> None:
    say("build", *kept)
    built = only_store(tmp_path)
    address = Path(say("push", str(tmp_path / "elsewhere"), *kept).split()[-1])
    card = (address / "README.md").read_text()
    assert card == (address.parent / "README.md").read_text()
    assert "task_categories" in card and "can give away the text" in card
    (line,) = (line for line in card.splitlines() if line.startswith("hskd train "))
    typed = [word for word in line.split()[2:] if word != "DATA_AND_TEACHER"]
    typed[typed.index("store.path=FOLDER")] = f"store.path={built}"
    assert built.name in say("info", *typed)
    assert f"{built}: good" in say("verify", f"store.path={built}")  # whatever is asked of it


def test_a_place_keeps_its_own_card(say: Say, tmp_path: Path) -> None:
    say("build")
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "README.md").write_text("mine")
    say("push", str(place))
    assert (place / "README.md").read_text() == "mine"


def test_a_store_damaged_on_its_way_is_not_let_in(say: Say, tmp_path: Path) -> None:
    say("build")
    address = Path(say("push", str(tmp_path / "elsewhere")).split()[-1])
    path = address / "shard-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    say("rm", address.name)
    assert "SHA-256 differs" in refused(say, "pull", str(address))
    assert "build it" in refused(say, "verify")


def test_half_a_copy_is_no_store(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/half/shard-00000.safetensors", b"")
    with pytest.raises(ValueError, match=r"manifest.json"):
        pull("memory://half", tmp_path)


def test_an_unknown_protocol_is_answered_with_the_remedy(say: Say) -> None:
    assert "install what speaks this protocol" in refused(say, "pull", "carrier-pigeon://loft/store")


def test_baselines_on_labels_need_no_store(say: Say) -> None:
    assert "offline, or logits" in refused(say, "build", "knowledge=labels")


def test_names_that_are_no_stores(say: Say) -> None:
    for name in ("deadbeef", "../runs"):
        assert "one of the stores in" in refused(say, "rm", name)


def test_it_runs_as_a_module_and_explains_itself() -> None:
    command = [sys.executable, "-m", "hskd_lightning.store", "--help"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120).stdout
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("command", ["verify", "info"])
def test_one_store_at_a_time(command: str, say: Say) -> None:
    assert "name one at a time" in refused(say, command, "0123456789abcdef", "fedcba9876543210")


def test_a_part_of_what_is_no_build_is_refused(say: Say) -> None:
    assert "it is for store build" in refused(say, "finish", "--shard", "1/2")
