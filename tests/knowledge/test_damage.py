"""A store that is not what was written, or not of this teacher, tokenizer or data, is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from safetensors.torch import load_file, save_file

from hskd_lightning.assets import Assets
from hskd_lightning.assets.stores import Stores
from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.integrity import digest, sha256, write_json
from hskd_lightning.knowledge.manifest import sealed
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.verify import recompute
from tests.helpers import SMALL, TINY

Small = Callable[..., DictConfig]
MANY = "store.shard_tokens=300"


def room_of(small: Small, *overrides: str) -> Stores:
    return Assets(Experiment.resolve(plain(small(MANY, *overrides)))).stores


@pytest.fixture(params=["bits=fp16", "bits=planes bits.keep=12"], ids=["plain", "coded"])
def store(small: Small, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A whole store of several shards, this test's own."""
    room = room_of(small, *request.param.split())
    room.folder = tmp_path / "store"
    return room.make(room.request)


def flip(path: Path, at: int) -> None:
    """Turn one bit of one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def edit(path: Path, change: Callable[[dict], None]) -> None:
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def reseal(path: Path, change: Callable[[dict], None]) -> None:
    """As a program would change it, not an accident."""
    manifest = json.loads(path.read_text())
    del manifest["seal"]
    change(manifest)
    write_json(path, manifest)


def vouch(store: Path, shard: Path) -> None:
    """Make the manifest say that this first shard is what was written."""

    def change(manifest: dict) -> None:
        facts = manifest["facts"]
        facts.pop("seal")
        facts["shards"][0] |= {"sha256": sha256(shard), "bytes": shard.stat().st_size}
        facts["bytes"] = sum(each["bytes"] for each in facts["shards"])
        facts["fit"] = facts["fit"] and sha256(store / "fit.safetensors")
        manifest["facts"] = sealed(facts)

    edit(store / "manifest.json", change)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
@pytest.mark.parametrize("name", ["shard-00000.safetensors", "shard-00003.safetensors", "fit.safetensors"])
def test_one_flipped_bit_is_found_and_its_file_named(store: Path, name: str, share: float) -> None:
    path = store / name
    flip(path, int(path.stat().st_size * share))
    with pytest.raises(ConfigError, match=f"(?s){name}.*SHA-256 differs.*fetch it again, or remove it"):
        Store(store)


def test_a_missing_shard_is_named(store: Path) -> None:
    (store / "shard-00001.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"(?s)shard-00001.safetensors.*it is missing"):
        Store(store)


def test_a_truncated_shard_is_named_with_both_sizes(store: Path) -> None:
    path = store / "shard-00002.safetensors"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ConfigError, match=f"(?s)shard-00002.safetensors.*{size - 7:,} bytes instead of {size:,}"):
        Store(store)


FIELDS = (
    "weights",
    "shards",
    "fit",
    "width",
    "classes",
    "examples",
    "values",
    "bytes",
    "reconstruction",
    "versions",
    "teacher_dev",
    "recipe",
)


def test_every_field_of_the_manifest_is_sealed(store: Path) -> None:
    facts = json.loads((store / "manifest.json").read_text())["facts"]
    assert set(facts) == {*FIELDS, "seal"} == {*facts["seal"], "seal"}


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_of_the_manifest_is_named(store: Path, field: str) -> None:
    edit(store / "manifest.json", lambda manifest: manifest["facts"].update({field: "other"}))
    with pytest.raises(ConfigError, match=f"(?s)manifest.json.*field '{field}' was changed"):
        Store(store)


def test_a_changed_recipe_is_named(store: Path) -> None:
    edit(store / "manifest.json", lambda manifest: manifest["recipe"]["origin"]["teacher"].update(seed=7))
    with pytest.raises(ConfigError, match=r"(?s)manifest.json.*field 'recipe' was changed"):
        Store(store)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recipe": {}}'])
def test_an_unreadable_manifest_is_named(store: Path, text: str) -> None:
    (store / "manifest.json").write_text(text)
    with pytest.raises(ConfigError, match=r"(?s)manifest.json.*unreadable"):
        Store(store)


def test_a_folder_that_is_no_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)`store.path`.*a folder with manifest.json"):
        Store(tmp_path)


def test_a_pickle_is_not_read(store: Path) -> None:
    """What is not safetensors is refused even with a manifest that vouches for it."""
    path = store / "shard-00000.safetensors"
    torch.save({"ids": torch.zeros(1)}, path)
    vouch(store, path)
    with pytest.raises(ConfigError, match=r"(?s)shard-00000.safetensors.*not a safetensors file"):
        Store(store)


OTHERS = {
    "another teacher": ("teacher.seed=1", "teacher.seed"),
    "another training of it": ("teacher.training.epochs=2", "teacher.training.epochs"),
    "another tokenizer": ("teacher.init.vocabulary=200", "tokens.tokenizer"),
    "other data": ("data.source.seed=5", "tokens.data"),
    "another split": ("data.split_seed=3", "split.split_seed"),
    "longer texts": ("data.max_length=32", "tokens.max_length"),
    "another strategy": ("width=random_projection", "width.name"),
    "more tokens": ("length.keep=1.0", "length.keep"),
    "another dtype": ("bits=int8", "bits.name"),
    "more layers": ("depth.keep=3", "depth"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_store_of_something_else_is_refused_with_the_field_named(small: Small, store: Path, case: str) -> None:
    override, field = OTHERS[case]
    with pytest.raises(ConfigError, match=f"(?s)store .*: {field}` = .*store.path out"):
        room_of(small, override, f"store.path={store}").source()


def test_a_changed_data_file_is_named(configure: Small, tmp_path: Path) -> None:
    rows = [f"{'good' if number % 2 else 'bad'} thing {number},{number % 2}" for number in range(80)]
    for name, its in (("train", rows), ("dev", rows[:20])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *its]) + "\n")
    data = ("data=text", f"data.train={tmp_path}/train.csv", f"data.dev={tmp_path}/dev.csv", "data.text=text")
    tiny = [override for override in (*SMALL, *TINY) if not override.startswith(("data.source", "data.distil"))]
    asked = (*tiny, *data, "data.label=label", f"paths.artifacts={tmp_path}/artifacts")
    folder = Assets(Experiment.resolve(plain(configure(*asked)))).stores.build()
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows, "one more thing,1"]) + "\n")
    again = Experiment.resolve(plain(configure(*asked, f"store.path={folder}")))
    with pytest.raises(ConfigError, match=r"(?s)store .*: tokens.data` = "):
        Assets(again).stores.source()


# The live teacher.


def test_a_good_store_is_what_the_teacher_says(small: Small, store: Path) -> None:
    room = room_of(small)
    opened = Store(store)
    errors = recompute(opened, room.writer(store, opened.request))
    assert set(errors) == {"logits", "values.4@3"}
    assert errors["logits"] == 0.0  # the same batches on the same machine: the same bits
    assert 0 < errors["values.4@3"] < (1e-3 if opened.request.budget is None else 1)


@pytest.mark.parametrize("width", ["magnitude_mask", "all"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "int8", "int4", "planes bits.keep=12", "residual bits.keep=3"])
def test_other_stores_are_what_the_teacher_says(small: Small, width: str, dtype: str) -> None:
    if "residual" in dtype:
        pytest.importorskip("faiss")
    room = room_of(small, f"width={width}", *f"bits={dtype}".split())
    folder = room.make(room.request)
    opened = Store(folder)
    errors = recompute(opened, room.writer(folder, opened.request))
    lost = {f"values.{layer}": loss["relative"] for layer, loss in opened.facts["reconstruction"].items()}
    of_a_sample = {name: pytest.approx(error, rel=0.3, abs=1e-6) for name, error in lost.items()}
    assert errors == {"logits": 0.0, **of_a_sample} and "values.4@3" in lost


def test_a_fit_that_never_was_the_stores_is_found(small: Small, tmp_path: Path) -> None:
    """Codes that mean nothing: coded anew by the same fit, the teacher's values would mean as little."""
    room = room_of(small, f"paths.artifacts={tmp_path}/own", "bits=planes", "bits.keep=12")
    folder = room.build()
    fit = load_file(folder / "fit.safetensors")
    fit["tree"] = torch.zeros_like(fit["tree"])
    save_file(fit, folder / "fit.safetensors")
    vouch(folder, folder / "shard-00000.safetensors")
    opened = Store(folder)
    with pytest.raises(ConfigError, match=r"(?s): values.4@3` = 'a relative error of 1"):
        recompute(opened, room.writer(folder, opened.request))


def test_codes_without_their_fit_are_refused(small: Small, tmp_path: Path) -> None:
    folder = room_of(small, f"paths.artifacts={tmp_path}/own", "bits=planes", "bits.keep=12", "width=all").build()
    (folder / "fit.safetensors").unlink()

    def change(manifest: dict) -> None:
        del manifest["facts"]["seal"]
        manifest["facts"] = sealed({**manifest["facts"], "fit": None})

    edit(folder / "manifest.json", change)
    opened = Store(folder)
    with pytest.raises(ConfigError, match="fit.safetensors"):
        opened.fit(opened.request.layers)


def test_a_teacher_whose_weights_were_exchanged_is_found(small: Small, tmp_path: Path) -> None:
    room = room_of(small, f"paths.artifacts={tmp_path}/own")
    folder = room.build()
    weights = Path(room.states.teacher.path) / "model.safetensors"
    changed = load_file(weights)
    changed["classifier.bias"] += 1
    save_file(changed, weights, metadata={"format": "pt"})
    reseal(weights.with_name("manifest.json"), lambda found: found["files"].update({weights.name: digest(weights)}))
    opened = Store(folder)
    with pytest.raises(ConfigError, match=r"(?s): weights` = '[0-9a-f]{16}'.*by the live teacher"):
        recompute(opened, room_of(small, f"paths.artifacts={tmp_path}/own").writer(folder, opened.request))


def test_values_that_were_never_the_teachers_are_found(small: Small, store: Path) -> None:
    """A store with all checksums right, but wrong: its values were shuffled before they were summed."""
    path = store / "shard-00000.safetensors"
    tensors = load_file(path)
    tensors["values.4@3"] = tensors["values.4@3"].flip(0).contiguous()
    save_file(tensors, path)
    vouch(store, path)
    opened = Store(store)
    with pytest.raises(ConfigError, match=r"(?s): values.4@3` = 'a relative error of"):
        recompute(opened, room_of(small).writer(store, opened.request))


def test_a_store_of_other_weights_than_the_teacher_here_is_refused(small: Small, tmp_path: Path) -> None:
    """Two machines train one recipe to other weights: a student must not start from one and learn from the other."""
    here = room_of(small, f"paths.artifacts={tmp_path}/here")
    folder = here.build()
    there = tmp_path / "there"
    shutil.copytree(tmp_path / "here", there)
    (manifest,) = (there / "teacher").glob("*/manifest.json")
    reseal(manifest, lambda found: found["facts"].update(weights="0123456789abcdef"))
    with pytest.raises(ConfigError, match=r"(?s): weights` = .*'0123456789abcdef'"):
        room_of(small, f"paths.artifacts={there}", f"store.path={folder}").source()
