"""What a cell, a teacher and a student are called does not hang on where a class stands in the program."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

import hskd_lightning.compress.width
from hskd_lightning import choices
from hskd_lightning import config as configuration
from hskd_lightning.assets import Assets
from hskd_lightning.compress.width import pca
from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from tests.helpers import CONF

Small = Callable[..., DictConfig]
PCA = "hskd_lightning.compress.width.pca.Pca"
MOVED = "hskd_lightning.compress.width.principal_components.Pca"


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The program with Pca in another module, as its yaml says."""
    (tmp_path / "package").mkdir()
    shutil.copy(str(pca.__file__), tmp_path / "package" / "principal_components.py")
    package = hskd_lightning.compress.width
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "package")])
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    yaml = conf / "width" / "pca.yaml"
    yaml.write_text(yaml.read_text().replace(PCA, MOVED))
    monkeypatch.setattr(choices, "CONF", conf)
    choices.targets.cache_clear()
    yield
    choices.targets.cache_clear()


def ids(config: dict[str, Any]) -> tuple[str, Any, Any, str]:
    experiment = Experiment.resolve(config)
    assets = Assets(experiment)
    return experiment.cell_id, assets.teacher.recipe, assets.student.recipe, assets.stores.request.name


def test_a_class_that_moves_takes_no_id_along(small: Small, request: pytest.FixtureRequest) -> None:
    config = plain(small("width=pca"))
    before = ids(config)
    request.getfixturevalue("moved")
    config["width"]["_target_"] = MOVED
    experiment = Experiment.resolve(config)
    assert type(experiment.plan.width).__module__.endswith("principal_components")  # type: ignore[union-attr]
    assert ids(config) == before


def test_no_identity_has_a_module_in_it(small: Small) -> None:
    experiment = Experiment.resolve(plain(small("student=layer_drop", "control=shuffled")))
    assets = Assets(experiment)
    recipes = [
        configuration.scientific(experiment.config, "data"),
        assets.teacher.recipe,
        assets.student.recipe,
        assets.stores.request.recipe,
    ]
    assert "hskd_lightning" not in str(recipes)


@pytest.mark.parametrize("group", ["width", "student.init", "student.shape", "teacher.init"])
def test_a_name_is_part_of_the_identity(small: Small, group: str) -> None:
    config = plain(small())
    node: dict[str, Any] = config
    for key in group.split("."):
        node = node[key]
    before = configuration.cell_id(config, "data")
    node["name"] = "another"
    assert configuration.cell_id(config, "data") != before
