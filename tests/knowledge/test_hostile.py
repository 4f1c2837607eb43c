"""A store from a stranger, sealed and summed as it should be, and lying: nothing of it is believed or followed.

Each lie is a manifest or a file that `store pull` and `store.path` are given; what both must answer is its field.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from safetensors.torch import load_file, save_file

from hskd_lightning.assets import Assets
from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.integrity import fingerprint, sha256
from hskd_lightning.knowledge.manifest import sealed
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.transfer import pull
from tests.helpers import ROOT

Small = Callable[..., DictConfig]
Manifest = dict[str, Any]
SHARD = "shard-00000.safetensors"


@pytest.fixture
def store(small: Small, tmp_path: Path) -> Path:
    """A whole store of two shards, at a stranger's."""
    return built(small, tmp_path)


@pytest.fixture
def masked(small: Small, tmp_path: Path) -> Path:
    """The same with units of its own for each token."""
    return built(small, tmp_path, "width=magnitude_mask", "width.keep=4")


_BUILT: dict[tuple[str, ...], Path] = {}
"""Stores of this module, by what was asked: each test lies about a copy."""


def built(small: Small, tmp_path: Path, *overrides: str) -> Path:
    if overrides not in _BUILT:
        room = Assets(Experiment.resolve(plain(small("store.shard_tokens=700", *overrides)))).stores
        room.folder = tmp_path / "good/store"
        _BUILT[overrides] = room.make(room.request)
    return Path(shutil.copytree(_BUILT[overrides], tmp_path / "strangers" / _BUILT[overrides].name))


def lie(store: Path, change: Callable[[Manifest], object]) -> None:
    """Change a manifest and seal it again."""
    path = store / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["facts"].pop("seal")
    change(manifest)
    if isinstance(manifest["facts"], dict):
        manifest["facts"]["recipe"] = fingerprint(manifest["recipe"])
        manifest["facts"] = sealed(manifest["facts"])
    path.write_text(json.dumps(manifest))


def refused(store: Path, tmp_path: Path) -> str:
    """What both ways in answer; nothing may be written but below `ours`, and nothing may stay there."""
    ours = tmp_path / "ours"
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError) as at_pull:
        pull(str(store), ours)
    with pytest.raises(ConfigError) as at_open:
        opened = Store(store)
        opened.fit(opened.request.layers)
    assert {path.suffix for path in ours.iterdir()} == {".lock"}
    assert str(store) in str(at_pull.value)
    shutil.rmtree(ours)
    assert snapshot(tmp_path) == before
    assert str(at_pull.value).split("it is ")[-1] == str(at_open.value).split("it is ")[-1]
    return str(at_pull.value)


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in root.rglob("*")}


def shards(**fields: object) -> Callable[[Manifest], object]:
    return lambda manifest: manifest["facts"]["shards"][0].update(fields)


def facts(**fields: object) -> Callable[[Manifest], object]:
    return lambda manifest: manifest["facts"].update(fields)


def hidden(**fields: object) -> Callable[[Manifest], object]:
    return lambda manifest: manifest["recipe"]["hidden"].update(fields)


def option(axis: str, **fields: object) -> Callable[[Manifest], object]:
    return lambda manifest: manifest["recipe"]["hidden"][axis].update(fields)


NAMES = (
    *(
        "../../x",
        "/etc/passwd",
        f"{SHARD}/../../x",
        f"../{SHARD}",
        f"{SHARD}\x00",
        f"{SHARD}\n",
        "..\\x",
        "",
        ".",
        "..",
    ),
    *("manifest.json", "shard-00001.safetensors", "shard-0.safetensors", 7, None, ["x"]),
)


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_that_no_shard_has(store: Path, tmp_path: Path, name: object) -> None:
    lie(store, shards(file=name))
    assert "field 'facts.shards.0.file' is" in refused(store, tmp_path)


def promise(manifest: Manifest, size: int) -> None:
    """Bytes that add up."""
    found = manifest["facts"]
    found["shards"][0]["bytes"] = size
    found["bytes"] = sum(shard["bytes"] for shard in found["shards"])


LIES: dict[str, tuple[Callable[[Manifest], object], str]] = {
    "shards a string": (facts(shards="shard-00000.safetensors"), "field 'facts.shards' is"),
    "no shards": (facts(shards=[]), "field 'facts.shards' is []"),
    "shards that are none": (facts(shards=[None]), "field 'facts.shards.0' is None"),
    "shards missing": (lambda manifest: manifest["facts"].pop("shards"), "field 'facts.shards' is"),
    "no sha256": (lambda manifest: manifest["facts"]["shards"][0].pop("sha256"), "field 'facts.shards.0.sha256' is"),
    "a sha256 that is none": (shards(sha256="../x"), "field 'facts.shards.0.sha256' is '../x'"),
    "bytes below 0": (shards(bytes=-1), "field 'facts.shards.0.bytes' is -1"),
    "bytes as text": (shards(bytes="12"), "field 'facts.shards.0.bytes' is '12'"),
    "bytes as a fraction": (shards(bytes=1.5), "field 'facts.shards.0.bytes' is 1.5"),
    "bytes true": (shards(bytes=True), "field 'facts.shards.0.bytes' is True"),
    "bytes without end": (shards(bytes=10**30), "field 'facts.shards.0.bytes' is 1000000"),
    "bytes that do not add up": (shards(bytes=10**15), "field 'facts.bytes' is"),
    "rows without end": (shards(rows=10**15), "field 'facts.shards.0.rows' is 1000000000000000"),
    "a petabyte": (lambda manifest: promise(manifest, 10**15), "bytes free at"),
    "10^15 examples": (facts(examples=10**15), "field 'facts.examples' is 1,000,000,000,000,000"),
    "examples as text": (facts(examples="126"), "field 'facts.examples' is '126'"),
    "a width of 0": (facts(width=0), "field 'facts.width' is 0"),
    "a width of 2^40": (facts(width=2**40), "field 'facts.width' is 1099511627776"),
    "classes of 0": (facts(classes=0), "field 'facts.classes' is 0"),
    "a fit elsewhere": (facts(fit="../../x"), "field 'facts.fit' is '../../x'"),
    "a fact more": (facts(extra=1), "field 'facts.extra' is 1"),
    "dtype fp999": (hidden(dtype="fp999"), "field 'recipe.hidden.dtype' is 'fp999'"),
    "bits of another program": (option("bits", name="nf4"), "field 'recipe.hidden.bits.name' is 'nf4': one of bf16, "),
    "bits of another folder": (option("bits", name="../../x"), "field 'recipe.hidden.bits.name' is '../../x'"),
    "a width of another program": (option("width", name=["x"]), "field 'recipe.hidden.width.name' is ['x']"),
    "planes without end": (
        option("bits", name="planes", keep=10**12),
        "field 'recipe.hidden.bits.keep' is 1000000000000",
    ),
    "no layers": (hidden(layers=[]), "field 'recipe.hidden.layers' is []"),
    "layers as text": (hidden(layers="x"), "field 'recipe.hidden.layers' is 'x'"),
    "half a layer": (hidden(layers=[[1]]), "field 'recipe.hidden.layers.0' is [1]"),
    "a layer below 0": (hidden(layers=[[-1, None]]), "field 'recipe.hidden.layers' has [-1, None]"),
    "10^9 units": (option("width", units=10**9), "field 'recipe.hidden.width.units' is 1000000000"),
    "units true": (option("width", units=True), "field 'recipe.hidden.width.units' is True"),
    "keep -1": (option("length", keep=-1), "field 'recipe.hidden.length.keep' is -1"),
    "keep as text": (option("length", keep="all"), "field 'recipe.hidden.length.keep' is 'all'"),
    "ordered as text": (hidden(ordered="yes"), "field 'recipe.hidden.ordered' is 'yes'"),
    "another format": (lambda manifest: manifest["recipe"].update(format=99), "field 'recipe.format' is 99"),
    "an origin that is none": (lambda manifest: manifest["recipe"].update(origin="x"), "field 'recipe.origin' is 'x'"),
}


@pytest.mark.parametrize("name", [name for name in LIES if name != "a petabyte"])
def test_a_manifest_that_is_none(store: Path, tmp_path: Path, name: str) -> None:
    change, words = LIES[name]
    lie(store, change)
    assert words in refused(store, tmp_path)


def test_more_than_the_disk_holds_is_refused_before_its_first_byte(store: Path, tmp_path: Path) -> None:
    change, words = LIES["a petabyte"]
    lie(store, change)
    with pytest.raises(ConfigError, match=f"(?s)`paths.artifacts` = '.*{words}.*1,000,000,000,0"):
        pull(str(store), tmp_path / "ours")


# Files that keep what the manifest promises of their bytes, and not of their tensors.


def rewrite(store: Path, change: Callable[[dict[str, torch.Tensor]], object], **said: object) -> None:
    path = store / SHARD
    tensors = load_file(path)
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    vouch(store, **said)


def vouch(store: Path, **said: object) -> None:
    """Make the manifest promise the files that are there."""

    def change(manifest: Manifest) -> None:
        found = manifest["facts"]
        for shard in found["shards"]:
            path = store / shard["file"]
            shard |= {"sha256": sha256(path), "bytes": path.stat().st_size}
        found["shards"][0] |= said
        found |= {field: sum(shard[field] for shard in found["shards"]) for field in ("bytes", "examples")}
        found["fit"] = found["fit"] and sha256(store / "fit.safetensors")

    lie(store, change)


def put(name: str, value: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: tensors.update({name: value(tensors[name])})


def at_first(value: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda tensor: torch.cat([tensor.new_tensor([value]), tensor[1:]])


TENSORS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "a position beyond its example": (put("positions.4@3", at_first(30_000)), "a position in 'positions.4@3'"),
    "a position below 0": (put("positions.4@3", at_first(-1)), "a position in 'positions.4@3'"),
    "more kept than tokens": (put("kept", at_first(100)), "`kept` are not"),
    "kept below 0": (put("kept", at_first(-100)), "`kept` are not"),
    "rows cut off": (put("values.4@3", lambda tensor: tensor[:-1]), "'values.4@3' is torch.float16"),
    "another dtype": (put("values.4@3", lambda tensor: tensor.float()), "'values.4@3' is torch.float32"),
    "another width": (put("values.4@3", lambda tensor: tensor[:, :-1]), "'values.4@3' is"),
    "logits of other classes": (put("logits", lambda tensor: tensor[:, :1]), "'logits' is"),
    "fewer examples": (put("ids", lambda tensor: tensor[:-1]), "'ids' is"),
    "a tensor missing": (lambda tensors: tensors.pop("values.4@3"), "without a tensor 'values.4@3'"),
    "ids missing": (lambda tensors: tensors.pop("ids"), "without a tensor 'ids'"),
    "a tensor more": (lambda tensors: tensors.update(more=torch.ones(1)), "with a tensor 'more'"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_shard_whose_tensors_are_not_what_is_said(store: Path, tmp_path: Path, name: str) -> None:
    change, words = TENSORS[name]
    rewrite(store, change)
    assert words in refused(store, tmp_path)


def test_an_example_that_is_there_twice(store: Path, tmp_path: Path) -> None:
    second = int(load_file(store / "shard-00001.safetensors")["ids"][0])
    rewrite(store, put("ids", at_first(second)))
    assert f"has example {second} twice" in refused(store, tmp_path)


def test_a_mask_of_other_counts_than_its_values(masked: Path, tmp_path: Path) -> None:
    rewrite(masked, put("mask.4@3", lambda tensor: tensor | 255))
    assert "'mask.4@3' has other counts than its values" in refused(masked, tmp_path)


@pytest.mark.parametrize("name", ["mean", "directions"])
def test_a_fit_of_another_shape(store: Path, tmp_path: Path, name: str) -> None:
    path = store / "fit.safetensors"
    fitted = load_file(path)
    save_file({**fitted, name: fitted[name][:, :-1].contiguous()}, path)
    vouch(store)
    assert f"'{name}' is" in refused(store, tmp_path)


@pytest.mark.parametrize("data", [b"", b"\xff" * 8 + b"{}", (10**15).to_bytes(8, "little") + b"{}", b"not safetensors"])
def test_a_file_that_is_no_safetensors(store: Path, tmp_path: Path, data: bytes) -> None:
    (store / SHARD).write_bytes(data)
    vouch(store)
    assert "not a safetensors file" in refused(store, tmp_path)


# Links, lengths, addresses.


@pytest.mark.parametrize("name", [SHARD, "manifest.json", "fit.safetensors"])
def test_a_link_is_not_followed(store: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    (store / name).rename(secret)
    (store / name).symlink_to(secret)
    with pytest.raises(ConfigError, match=f"(?s){name}.*a link, and links are not followed"):
        pull(str(store), tmp_path / "ours")


def test_a_link_in_the_place_of_the_folder_that_is_pulled_into(store: Path, tmp_path: Path) -> None:
    """Names of these folders are drawn: nobody can put one there before."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "ours" / f"{store.name}.pulled").symlink_to(tmp_path / "outside")
    assert pull(str(store), tmp_path / "ours") == tmp_path / "ours" / store.name
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_file_longer_than_it_says_is_not_fetched_to_its_end(store: Path, tmp_path: Path) -> None:
    size = (store / SHARD).stat().st_size
    os.truncate(store / SHARD, 10**11)  # a sparse file: 100 GB that weigh nothing here
    with pytest.raises(ConfigError, match=f"longer than {size:,} bytes"):
        pull(str(store), tmp_path / "ours")


def test_a_manifest_without_end_is_not_read(store: Path, tmp_path: Path) -> None:
    os.truncate(store / "manifest.json", 10**11)
    assert "16,777,216" in refused(store, tmp_path)


def test_a_store_is_named_by_its_recipe_whatever_it_was_called(store: Path, tmp_path: Path) -> None:
    name = store.name
    elsewhere = store.rename(tmp_path / "a name; rm -rf")
    assert pull(str(elsewhere), tmp_path / "ours").name == name


@pytest.mark.parametrize("address", ["..", "stores/..", "memory://a/../b", "/", "", ".", "stores/."])
def test_an_address_that_is_no_name(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="an address that ends in a name"):
        pull(address, tmp_path / "ours")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/store", "/nowhere/store", "memory://nowhere/store"])
def test_an_address_that_cannot_be_reached(tmp_path: Path, address: str) -> None:
    if address.startswith("http"):
        pytest.importorskip("aiohttp")
    with pytest.raises(ConfigError, match=f"(?s)`store` = '{address}'.*check the address"):
        pull(address, tmp_path / "ours")


def test_a_fit_of_no_hidden_states(small: Small, tmp_path: Path) -> None:
    bare = built(small, tmp_path, "knowledge=logits")
    lie(bare, facts(fit="0" * 64))
    assert "field 'facts.fit' is there, where no hidden states are kept" in refused(bare, tmp_path)


def test_a_store_of_logits_alone_is_let_in(small: Small, tmp_path: Path) -> None:
    bare = built(small, tmp_path, "knowledge=logits")
    assert pull(str(bare), tmp_path / "ours") == tmp_path / "ours" / bare.name


def test_a_whole_store_is_let_in(store: Path, tmp_path: Path) -> None:
    """What the tests above begin with."""
    assert pull(str(store), tmp_path / "ours") == tmp_path / "ours" / store.name


MEASURE = """
import resource, sys
from pathlib import Path
from hskd_lightning.errors import ConfigError
from hskd_lightning.knowledge.transfer import pull
good, *lying = map(Path, sys.argv[1:])
pull(str(good), good.parent / "first")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for each in lying:
    try:
        pull(str(each), good.parent / "ours")
        sys.exit(f"{each} was let in")
    except ConfigError:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss")
def test_memory_stays_flat(store: Path, tmp_path: Path) -> None:
    """Peak memory after all lies, beyond that of pulling a good store once: in kB."""
    lying = []
    for number, (change, _) in enumerate(LIES.values()):
        lying.append(shutil.copytree(store, tmp_path / f"lie-{number}"))
        lie(lying[-1], change)
    for number, size in enumerate((10**11, 10**10)):
        lying.append(shutil.copytree(store, tmp_path / f"long-{number}"))
        os.truncate(lying[-1] / (SHARD, "manifest.json")[number], size)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(store), *map(str, lying)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) < 16_000
