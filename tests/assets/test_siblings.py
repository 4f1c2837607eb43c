"""A sweep's cells share one store, and the teacher runs once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from hskd_lightning.assets.siblings import other_cells
from hskd_lightning.errors import ConfigError
from hskd_lightning.study.sweep.compose import as_multirun
from tests.forked import said_by
from tests.helpers import SMALL, TINY, command_line

pytestmark = pytest.mark.slow


def results(root: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in root.glob("runs/*/result.json")]


def test_a_sweep_builds_one_store_for_all_its_cells(tmp_path: Path) -> None:
    """The first cell keeps least: the store it builds is the one that the last needs."""
    sweep = ("-m", *SMALL, *TINY, "length=cls_first", "length.keep=1,2,4", "width.keep=3,8", "depth.keep=1,2")
    out = said_by(command_line(tmp_path, *sweep))
    found = results(tmp_path)
    assert len(found) == 12
    assert len({result["store"] for result in found}) == 1
    assert out.count("shards to build") == 1
    assert (out.count("covers this cell"), out.count("has just this")) == (10, 1)
    (manifest,) = tmp_path.glob("artifacts/store/*/manifest.json")
    hidden = json.loads(manifest.read_text())["recipe"]["hidden"]
    assert (hidden["length"]["keep"], hidden["width"]["units"], len(hidden["layers"])) == (4, 8, 2)


def test_a_sweeps_stores_can_be_built_before_it(tmp_path: Path) -> None:
    sweep = (*SMALL, *TINY, "length=cls_first", "length.keep=1,2", "width=pca,random_mask", "knowledge=offline,logits")
    command = [sys.executable, "-m", "hskd_lightning.study", "stores", *sweep, f"paths.root={tmp_path}"]
    said_by(command)
    stores = set(tmp_path.glob("artifacts/store/*/manifest.json"))
    assert len(stores) == 2
    assert "shards to build" not in said_by(command_line(tmp_path, "-m", *sweep))
    assert set(tmp_path.glob("artifacts/store/*/manifest.json")) == stores
    assert {result["store"] for result in results(tmp_path)} == {path.parent.name for path in stores}


def test_baselines_and_seeds_of_a_sweep_use_the_same_store(tmp_path: Path) -> None:
    said_by(command_line(tmp_path, "-m", *SMALL, *TINY, "knowledge=logits,offline", "seed=0,1", "hsk.amount=0.1"))
    found = results(tmp_path)
    assert len(found) == 4
    assert len({result["store"] for result in found}) == 1


def test_strategies_that_share_nothing_have_a_store_each(tmp_path: Path) -> None:
    said_by(command_line(tmp_path, "-m", *SMALL, *TINY, "width=pca,random_mask"))
    assert len({result["store"] for result in results(tmp_path)}) == 2


def test_a_cell_that_makes_no_sense_spoils_no_store(tmp_path: Path) -> None:
    said_by(command_line(tmp_path, "-m", *SMALL, *TINY, "length=cls_first", "length.keep=2,0,4"), code=1)
    found = results(tmp_path)
    assert len(found) == 2
    assert len({result["store"] for result in found}) == 1


@pytest.mark.parametrize("sweeper", ["study", "basic"])
def test_a_list_of_cells_that_a_worker_does_not_see(
    sweeper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our sweeper writes one before the first cell; another's cells are alone."""
    asked = [f"paths.root={tmp_path}", f"hydra/sweeper={sweeper}", "hydra.mode=MULTIRUN"]
    with as_multirun(None, "train", asked) as (config, _):
        monkeypatch.setattr(HydraConfig.instance(), "cfg", config)
        if sweeper == "basic":
            assert other_cells() == []
        else:
            with pytest.raises(ConfigError, match=rf"(?s)`hydra.sweep.dir` = '{tmp_path}.*cells.json.*paths.root="):
                other_cells()
