"""A configuration may come from a stranger: what it names as a `_target_` is an option of its group, or nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig

from hskd_lightning.choices import build, targets
from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.export.student import export
from hskd_lightning.integrity import digest, write_json
from hskd_lightning.pipeline import run
from hskd_lightning.settings import Choice
from tests.helpers import ROOT

WIDTH = "hskd_lightning.compress.width"
FOREIGN = (
    "os.system",
    "builtins.eval",
    "hydra.utils.get_method",
    "hydra.utils.instantiate",
    "evil.Owned",
    "nonexist.Foo",
    "hskd_lightning.artifacts.hold",  # of this package, and no option of any group
    "hskd_lightning.compress.length.cls_first.ClsFirst",  # of another group
    f"{WIDTH}.codes.EveryUnit",  # of the group's package, and no option
    f"{WIDTH}.pca.torch",  # what the module imports
    f"{WIDTH}.pca.count_kept",
    f"{WIDTH}.pca.Pca.fit",
    f"{WIDTH}.pca.Nothing",
    f"{WIDTH}..pca.Pca",
    f"{WIDTH}.pca",
    "Pca",
    "",
)


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that anyone could import, and the trace that importing or calling it leaves."""
    trace = tmp_path / "owned"
    (tmp_path / "evil.py").write_text(
        f"from pathlib import Path\ntrace = Path({str(trace)!r})\ntrace.touch()\ndef Owned(**given): trace.touch()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return trace


def option(name: str, target: object, **options: object) -> Choice:
    return Choice(name=name, target=target, options=options)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", FOREIGN, ids=repr)
@pytest.mark.parametrize(("key", "name"), [("width", "pca"), ("data.source", "toy")])
def test_a_target_that_is_no_option_of_its_group(evil: Path, key: str, name: str, target: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s)`{key}._target_` = .*allowed: .*which is what {name} is"):
        build(option(name, target), key)
    assert not evil.exists() and "evil" not in sys.modules


def test_a_choice_without_a_target_is_its_name() -> None:
    assert type(build(option("pca", None), "width")).__name__ == "Pca"


def test_a_name_that_is_no_option_of_its_group() -> None:
    with pytest.raises(ConfigError, match="(?s)`width.name` = 'pcaa'.*allowed: .*pca"):
        build(option("pcaa", f"{WIDTH}.pca.Pca"), "width")


def test_a_name_with_the_class_of_another_option() -> None:
    with pytest.raises(ConfigError, match="(?s)`width._target_` = .*random_mask.*which is what pca is"):
        build(option("pca", f"{WIDTH}.random_mask.RandomMask"), "width")


@pytest.mark.parametrize("target", [7, {"a": 1}, ["evil.Owned"]], ids=repr)
def test_a_target_that_is_no_text(small: Callable[..., DictConfig], target: object) -> None:
    config = plain(small())
    config["width"]["_target_"] = target
    with pytest.raises(ConfigError, match="`width._target_` = "):
        Experiment.resolve(config)


GROUPS = ("depth", "length", "width", "control", "student.init", "student.shape", "teacher.init", "data.source")


@pytest.mark.parametrize("key", GROUPS)
def test_every_group_refuses_what_is_not_its_own_and_names_a_group_that_there_is(evil: Path, key: str) -> None:
    for name in targets(key):
        with pytest.raises(ConfigError, match="`.*._target_` = 'evil.Owned'") as refused:
            build(option(name, "evil.Owned"), key)
        assert not evil.exists()
        group = refused.value.remedy.removeprefix("choose an option: ").removesuffix("=...")
        assert list((ROOT / "conf" / group).glob("*.yaml"))


def test_hydras_own_keys_are_arguments_like_any_other() -> None:
    for key in ("_partial_", "_args_", "_recursive_", "_convert_"):
        with pytest.raises(ConfigError, match="Pca takes keep"):
            build(option("pca", f"{WIDTH}.pca.Pca", **{key: [True]}), "width")


def test_a_target_inside_a_node_is_data(evil: Path) -> None:
    with pytest.raises(ConfigError, match="`width.keep` = {'_target_': 'evil.Owned'}"):
        build(option("pca", f"{WIDTH}.pca.Pca", keep={"_target_": "evil.Owned"}), "width")
    assert not evil.exists()


@pytest.mark.parametrize("key", ["width", "control", "student.init", "student.shape", "teacher.init", "data.source"])
def test_a_foreign_target_on_the_command_line(small: Callable[..., DictConfig], evil: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=f"`{key}._target_` = 'evil.Owned'"):
        Experiment.resolve(plain(small("control=random", f"{key}._target_=evil.Owned")))
    assert not evil.exists()


# The configuration of a cell that came from elsewhere, sealed as it should be.


@pytest.fixture
def cell(small: Callable[..., DictConfig], tmp_path: Path) -> Path:
    run(small())
    (found,) = (path.parent for path in tmp_path.glob("runs/*/result.json"))
    return found


def rewrite(cell: Path, text: str) -> None:
    (cell / "config.yaml").write_text(text)
    result = json.loads((cell / "result.json").read_text())
    del result["seal"]
    result["files"]["config.yaml"] = digest(cell / "config.yaml")
    write_json(cell / "result.json", result)


def test_a_foreign_target_in_a_cell_that_is_exported(cell: Path, evil: Path) -> None:
    config = yaml.safe_load((cell / "config.yaml").read_text())
    config["width"]["_target_"] = "evil.Owned"
    rewrite(cell, yaml.safe_dump(config))
    with pytest.raises(ConfigError, match=r"`width._target_` = 'evil.Owned'"):
        export(cell)
    assert not evil.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "preset = 'missing' is no setting"),
        ("- 1", "it cannot be read"),
        ("data: {", "it cannot be read"),
        ("\x00", "it cannot be read"),
        ("data: !!python/object/apply:os.system ['true']", "it cannot be read"),
        ("data: {root: '${oc.env:HOME}'}", "where a cell has plain values"),
    ],
)
def test_a_configuration_that_no_cell_wrote(cell: Path, text: str, words: str) -> None:
    rewrite(cell, text)
    with pytest.raises(ConfigError, match=f"(?s)config.yaml.*{words}.*force=true"):
        export(cell)
