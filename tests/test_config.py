"""Every file of conf/ composes, every `_target_` binds its arguments, and a cell's id means what it should."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import DictConfig

from hskd_lightning.choices import build, check_options
from hskd_lightning.config import cell_id, plain, scientific
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.runs.axes import axes
from hskd_lightning.settings import Choice
from hskd_lightning.settings.groups import TrainerSettings
from hskd_lightning.settings.stages import StageSettings
from tests.helpers import CONF, ROOT

Configure = Callable[..., DictConfig]
NOT_CHOSEN = {"shared", "hydra"}
"""Folders whose files are parts of others."""
PACKAGED = {"stage": {"hidden": "stage@stage.hidden", "prediction": "stage@stage.prediction"}}
NEEDED = {
    ("teacher", "hub"): ["teacher.init.path=some-encoder"],
    ("student", "hub"): ["student.path=some-encoder"],
    ("student/init", "explicit"): ["student.init.blocks=[0]"],
    ("student/init", "hub"): ["student.path=some-encoder"],
    ("student/init", "hub_or_random"): ["student.path=some-encoder"],
    ("depth", "explicit"): ["depth.pairs=[[1,2]]"],
}
"""What the user must give with an option."""


def options() -> Iterator[tuple[str, str]]:
    for path in sorted(CONF.rglob("*.yaml")):
        group = path.parent.relative_to(CONF).as_posix()
        if group != "." and group.split("/")[0] not in NOT_CHOSEN:
            yield group, path.stem


def composed(configure: Configure, group: str, option: str) -> dict[str, Any]:
    override = f"{PACKAGED.get(group, {}).get(option, group)}={option}"
    return plain(configure(override, *NEEDED.get((group, option), [])))


def targets(node: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield key, node
        for name, part in node.items():
            yield from targets(part, f"{key}.{name}".lstrip("."))


@pytest.mark.parametrize("file", sorted(CONF.glob("launch/*.yaml")), ids=lambda file: file.stem)
def test_a_launcher_sets_the_threads_of_its_cells(configure: Configure, file: Path) -> None:
    if importlib.util.find_spec(f"hydra_plugins.hydra_{EXTRAS[file.stem]}_launcher") is None:
        pytest.skip(f"{file.stem} is not installed")
    assert configure(f"launch={file.stem}").threads == yaml.safe_load(file.read_text())["threads"]
    assert configure(f"launch={file.stem}", "threads=3").threads == 3


def test_the_glob_sees_every_group() -> None:
    folders = (path for path in CONF.rglob("*") if path.is_dir() and path.name != "__pycache__")
    groups = {path.relative_to(CONF).as_posix() for path in folders}
    assert {group for group, _ in options()} == {name for name in groups if name.split("/")[0] not in NOT_CHOSEN}


EXTRAS = {
    "joblib": "joblib",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
    "ray": "ray",
    "ray_cluster": "ray",
}
"""Launchers come with packages of their own."""


@pytest.mark.parametrize(("group", "option"), list(options()))
def test_every_option_composes_and_every_target_binds(configure: Configure, group: str, option: str) -> None:
    if group == "launch" and importlib.util.find_spec(f"hydra_plugins.hydra_{EXTRAS[option]}_launcher") is None:
        pytest.skip(f"{option} is not installed")
    config = composed(configure, group, option)
    found = dict(targets(config))
    assert {
        "data.source",
        "teacher.init",
        "student.shape",
        "student.init",
        "depth",
        "length",
        "width",
    } <= set(found)
    for key, node in found.items():
        choice = Choice.of(node)
        check_options(choice, key.removesuffix(".otherwise"), choice.options)


NAMED = ("depth", "length", "width", "control", "student/init")
"""Groups in which an option is a class, with a module of its own."""


@pytest.mark.parametrize("group", NAMED)
def test_an_option_is_called_what_its_files_are_called(configure: Configure, group: str) -> None:
    for path in (CONF / group).glob("*.yaml"):
        node = composed(configure, group, path.stem)
        for key in group.split("/"):
            node = node[key]
        assert node["name"] == path.stem.removesuffix("_or_random")
        assert node.get("_target_", f"...{node['name']}.").split(".")[-2] == node["name"]


@pytest.mark.parametrize("axis", ["depth", "length", "width"])
def test_every_strategy_file_has_a_yaml(axis: str) -> None:
    shared = {"__init__", "base", "codes"}
    modules = {path.stem for path in (ROOT / "hskd_lightning/compress" / axis).glob("*.py")} - shared
    assert modules == {path.stem for path in (CONF / axis).glob("*.yaml")}


def test_every_control_file_has_a_yaml() -> None:
    package = ROOT / "hskd_lightning/knowledge/control"
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "base", "moments"}
    assert {*modules, "none"} == {path.stem for path in (CONF / "control").glob("*.yaml")}


def test_an_argument_that_a_class_does_not_take_is_named(configure: Configure) -> None:
    with pytest.raises(ConfigError, match="UniformLayers takes top, keep"):
        build(Choice("uniform", "hskd_lightning.compress.depth.uniform.UniformLayers", {"kep": 1}), "depth")


def identify(config: DictConfig) -> str:
    return cell_id(plain(config), "data")


def test_an_id_does_not_depend_on_where_or_how_it_runs(configure: Configure) -> None:
    here = identify(configure())
    for override in (
        "paths.root=/elsewhere",
        "logger=wandb",
        "workers=4",
        "force=true",
        "trainer.accelerator=gpu",
        "trainer.checkpoint_every=5",
        "trainer.log_every=1",
        "trainer.graphs=false",
    ):
        assert identify(configure(override)) == here, override


def test_an_id_depends_on_what_is_asked(configure: Configure) -> None:
    asked = (
        "seed=1",
        "hsk.amount=0.2",
        "depth=all",
        "width.keep=3",
        "length.keep=3",
        "stage.hidden.lr=1",
        "preset=paper",
        "trainer.precision=bf16-mixed",
        "teacher.seed=1",
        "student=layer_drop",
        "data.limit=10",
    )
    ids = [identify(configure(override)) for override in asked]
    assert len({identify(configure()), *ids}) == len(asked) + 1


def test_one_precision_in_two_spellings_is_one_cell(configure: Configure) -> None:
    one, other = (Experiment.resolve(plain(configure(f"trainer.precision={name}"))) for name in ("bf16", "bf16-mixed"))
    assert one.cell_id == other.cell_id


def test_the_environment_says_where_glue_is_and_whose_project_it_is(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GLUE_ROOT", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    unsaid = plain(configure("data=cola", "logger=wandb"))
    assert unsaid["data"]["source"]["root"] is None and unsaid["logger"]["project"] == "hskd-lightning"
    monkeypatch.setenv("GLUE_ROOT", "here")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    said = plain(configure("data=cola", "logger=wandb"))
    assert said["data"]["source"]["root"] == "here" and said["logger"]["project"] == "mine"
    assert plain(configure("data=cola", "data.root=there"))["data"]["source"]["root"] == "there"


def test_other_data_is_another_cell(configure: Configure) -> None:
    config = plain(configure())
    assert cell_id(config, "these files") != cell_id(config, "those files")


def test_a_baseline_is_one_cell_whatever_the_axes_say(configure: Configure) -> None:
    one = identify(configure("knowledge=logits", "depth=all", "width.keep=3"))
    assert one == identify(configure("knowledge=logits", "hsk.amount=0.5"))


EVERY_KEEP = ("depth.keep=1", "length.keep=3", "width.keep=3")


@pytest.mark.parametrize("kept", [EVERY_KEEP, ("experiment=full_hsk",)])
def test_the_amount_names_no_cell_where_it_changes_nothing(configure: Configure, kept: tuple[str, ...]) -> None:
    one, other = (Experiment.resolve(plain(configure(*kept, f"hsk.amount={amount}"))) for amount in (0.1, 0.5))
    assert one.cell_id == other.cell_id
    assert axes(one)["hsk_amount"] is None


def test_the_amount_names_the_cell_where_an_axis_is_left_to_it(configure: Configure) -> None:
    two = EVERY_KEEP[:2]
    one, other = (Experiment.resolve(plain(configure(*two, f"hsk.amount={amount}"))) for amount in (0.1, 0.5))
    assert one.cell_id != other.cell_id


def test_the_usual_path_adds_nothing_to_a_name(configure: Configure) -> None:
    """Cells from before there were paths keep theirs."""
    usual, other = (plain(configure(f"hsk.path={path}")) for path in ("equal", "units_first"))
    assert scientific(usual, "these files")["hsk"] == {"amount": 0.1}
    assert scientific(other, "these files")["hsk"] == {"amount": 0.1, "path": "units_first"}


def test_no_amount_is_part_of_a_name(configure: Configure) -> None:
    assert scientific(plain(configure("hsk.amount=null")), "these files")["hsk"] == {"amount": None}


@pytest.mark.parametrize("path", ["depth_fixed", "tokens_first", "units_first"])
def test_a_path_names_no_cell_where_it_changes_nothing(configure: Configure, path: str) -> None:
    one, other = (Experiment.resolve(plain(configure(*EVERY_KEEP, f"hsk.path={each}"))) for each in ("equal", path))
    assert one.cell_id == other.cell_id
    assert axes(other)["hsk_path"] is None


def test_a_path_names_the_cell_where_an_amount_is_shared_out(configure: Configure) -> None:
    one, other = (Experiment.resolve(plain(configure(f"hsk.path={each}"))) for each in ("equal", "tokens_first"))
    assert one.cell_id != other.cell_id
    assert [axes(each)["hsk_path"] for each in (one, other)] == ["equal", "tokens_first"]


@pytest.mark.parametrize(
    ("override", "column", "value"),
    [
        ("length.keep=1", "length_keep", 1),
        ("length.keep=1.0", "length_keep", None),
        ("width.keep=1.0", "width_keep", None),
        ("width.keep=0.25", "width_keep", 0.25),
        ("depth.keep=1.0", "depth_keep", None),
        ("depth.top=1", "depth_top", 1),
        ("depth.top=1.0", "depth_top", None),
        ("hsk.amount=1", "length_keep", None),
    ],
)
def test_in_a_result_one_is_a_count_and_everything_is_null(
    configure: Configure, override: str, column: str, value: object
) -> None:
    """A table's column makes 1 and 1.0 one number, so no share may be 1 there."""
    assert axes(Experiment.resolve(plain(configure(override))))[column] == value


def test_all_tokens_asked_for_by_hand_are_not_left_to_the_amount(configure: Configure) -> None:
    experiment = Experiment.resolve(plain(configure("length.keep=1.0", "hsk.amount=0.1")))
    assert experiment.keeps["length"] is None and experiment.keeps["width"] is not None


def baseline(configure: Configure, *overrides: str) -> StageSettings:
    """The prediction stage of a baseline on CoLA with the paper's student: 30 epochs and 5, no warm-up."""
    config = configure("data=cola", "student=tinybert4", "student/init=random", "knowledge=logits", *overrides)
    return Experiment.resolve(plain(config)).stage("prediction")


def test_our_baseline_has_both_stages_epochs(configure: Configure) -> None:
    found = baseline(configure)
    assert (found.epochs, found.warmup) == (35, 0.0)


def test_the_released_codes_baseline_has_the_hidden_stages_epochs(configure: Configure) -> None:
    found = baseline(configure, "preset.baseline_epochs=hidden")
    assert (found.epochs, found.warmup) == (30, 0.0)


def test_the_other_baseline_has_the_prediction_stages_epochs(configure: Configure) -> None:
    assert baseline(configure, "preset.baseline_epochs=prediction").epochs == 5


@pytest.mark.parametrize(
    ("overrides", "column"),
    [
        pytest.param(["knowledge=logits"], "total", id="all steps"),
        pytest.param(["knowledge=logits", "preset.baseline_epochs=prediction"], "prediction", id="prediction steps"),
        pytest.param(["knowledge=labels"], None, id="labels"),
        pytest.param(["preset.baseline_epochs=prediction"], None, id="hidden states"),
    ],
)
def test_a_result_says_whose_steps_a_baseline_has(
    configure: Configure, overrides: list[str], column: str | None
) -> None:
    assert axes(Experiment.resolve(plain(configure(*overrides))))["baseline"] == column


def test_the_released_codes_baseline_warms_up(configure: Configure) -> None:
    found = baseline(configure, "preset.baseline_warmup=0.1")
    assert (found.epochs, found.warmup) == (35, 0.1)


def test_the_baselines_switches_leave_a_prediction_stage_after_a_hidden_one_alone(configure: Configure) -> None:
    switched = ("preset.baseline_warmup=0.1", "preset.baseline_epochs=hidden")
    found = baseline(configure, "knowledge=online", *switched)
    assert (found.epochs, found.warmup) == (5, 0.0)


def test_the_papers_preset_has_its_warmup_and_baseline(configure: Configure) -> None:
    found = baseline(configure, "preset=paper", "knowledge.source=teacher")
    assert (found.epochs, found.warmup, found.warmup_from_zero) == (30, 0.1, True)


def test_a_local_model_enters_by_content_not_by_name(configure: Configure, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text("weights")
    one, other = (identify(configure(f"teacher.checkpoint={tmp_path}/{name}")) for name in ("a", "b"))
    assert one == other
    (tmp_path / "b" / "model.safetensors").write_text("other weights")
    assert identify(configure(f"teacher.checkpoint={tmp_path}/b")) != one


def trainer(devices: object) -> TrainerSettings:
    return TrainerSettings(
        accelerator="cpu", devices=devices, precision="32-true", log_every=50, checkpoint_every=200, graphs=True
    )


@pytest.mark.parametrize(("devices", "index"), [(1, 0), ("1", 0), ([3], 3)])
def test_the_gpu_that_is_named_is_the_one(devices: Any, index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    asked = replace(trainer(devices), accelerator="gpu")
    assert asked.device == torch.device("cuda", index)
    assert replace(asked, accelerator="cpu").device == torch.device("cpu")
