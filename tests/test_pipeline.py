"""The whole program on the small run."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hskd_lightning.assets import Assets
from hskd_lightning.assets.teacher import say_beside
from hskd_lightning.config import plain
from hskd_lightning.data.predictions import read_predictions
from hskd_lightning.errors import ConfigError, TrainingError
from hskd_lightning.experiment import Experiment
from hskd_lightning.explain import explain
from hskd_lightning.models.teacher import Teacher
from hskd_lightning.pipeline import run
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.training.distiller import Distiller
from hskd_lightning.training.evaluate import predict, score
from tests.helpers import only_cell, read, refusal, result_of, trace

pytestmark = pytest.mark.slow
Small = Callable[..., DictConfig]


def test_a_cell_leaves_exactly_these_files(small: Small, tmp_path: Path) -> None:
    run(small())
    cell = only_cell(tmp_path)
    files = {str(path.relative_to(cell)) for path in cell.rglob("*") if path.is_file()}
    assert files == {
        "config.yaml",
        "status.json",
        "result.json",
        "metrics.csv",
        "predictions.safetensors",
        "log.txt",
        "checkpoints/hidden/last.ckpt",
        "checkpoints/hidden/facts.json",
        "checkpoints/prediction/best.ckpt",
        "checkpoints/prediction/last.ckpt",
        "checkpoints/prediction/facts.json",
        "student/config.json",
        "student/model.safetensors",
        "student/tokenizer.json",
        "student/tokenizer_config.json",
    }


def test_what_the_student_says_of_each_dev_example_comes_to_its_score(small: Small, tmp_path: Path) -> None:
    config = small()
    run(config)
    cell = CellFolder(only_cell(tmp_path))
    said = read_predictions(cell.predictions, "dev", "cell", "")
    split = Assets(Experiment.resolve(plain(config))).corpus.tokens.dev["dev"]
    assert sorted(said.ids.tolist()) == sorted(split.ids.tolist())
    assert cell.result is not None
    assert (said.predicted == said.labels).mean() == pytest.approx(cell.result.score, abs=1e-12)
    assert cell.result.dev_examples == len(split)


def test_the_teachers_answers_lie_beside_its_scores(small: Small, tmp_path: Path) -> None:
    config = small()
    run(config)
    said = Assets(Experiment.resolve(plain(config))).teacher.predictions("dev")
    assert result_of(tmp_path)["teacher_score"] == pytest.approx((said.predicted == said.labels).mean(), abs=1e-12)


def test_a_teacher_that_hardly_knows_its_task_is_told(small: Small, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="hskd_lightning"):
        run(small("teacher.training.lr=1e-9"))
    assert "on dev; one answer for all examples: 0.5" in caplog.text
    assert "this teacher hardly knows the task" in caplog.text


@pytest.mark.parametrize(("score", "told"), [(0.59, True), (0.61, False)])
def test_five_points_over_one_answer_for_all_are_knowledge(
    caplog: pytest.LogCaptureFixture, score: float, told: bool
) -> None:
    say_beside("dev", {"accuracy": score, "f1": 0.9}, 0.55)
    assert ("hardly knows" in caplog.text) == told


def test_a_result_names_the_teacher_by_its_weights(small: Small, tmp_path: Path) -> None:
    config = small()
    run(config)
    assert result_of(tmp_path)["teacher_weights"] == Assets(Experiment.resolve(plain(config))).teacher.load().digest()


def test_result_names_axes_scores_costs_and_origin(small: Small, tmp_path: Path) -> None:
    returned = run(small("length=cls_first", "length.keep=2", "width=pca", "width.keep=4", "depth.keep=1"))
    result = result_of(tmp_path)
    assert result["score"] == returned
    assert (result["task"], result["metric"], result["seed"]) == ("polarity", "accuracy", 0)
    assert (result["depth"], result["depth_keep"]) == ("uniform", 1)
    assert (result["length"], result["length_keep"]) == ("cls_first", 2)
    assert (result["width"], result["width_keep"]) == ("pca", 4)
    assert result["knowledge_scalars"] == 1 * 2 * 4
    assert result["knowledge_bytes"] == 1 * 2 * (4 * 2 + 2)  # fp16
    assert result["steps_hidden"] == result["steps_prediction"] == 2 * 3  # 96 examples, batches of 32
    assert all(0 <= result[f"clipped_{stage}"] <= 1 for stage in ("hidden", "prediction"))
    assert result["seconds_hidden"] > 0 and result["seconds_prediction"] > 0
    assert result["score_best"] == max(result["score"], result["score_last"])
    assert {"parameters_teacher", "parameters_student", "teacher_score", "versions", "git_sha"} <= set(result)


def test_the_selection_score_is_what_chose_the_checkpoint(small: Small, tmp_path: Path) -> None:
    run(small("data.prediction_epochs=4"))
    looks = [value for _, _, name, value in trace(tmp_path / "runs") if name == "selection_accuracy"]
    assert len(looks) == 4 and result_of(tmp_path)["selection_score"] == pytest.approx(max(looks))


@pytest.mark.parametrize("without", ["preset.select_on=dev", "data.selection=0"])
def test_without_a_selection_split_to_choose_by_there_is_no_selection_score(
    without: str, small: Small, tmp_path: Path
) -> None:
    run(small("knowledge=logits", without))
    assert result_of(tmp_path)["selection_score"] is None


def test_student_folder_scores_as_the_result_says(small: Small, tmp_path: Path) -> None:
    config = small()
    returned = run(config)
    cell = only_cell(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(cell / "student").eval()
    tokenizer = AutoTokenizer.from_pretrained(cell / "student")
    dev = Experiment.resolve(plain(config)).dataset.load().dev["dev"]
    with torch.inference_mode():
        logits = model(**tokenizer(dev.first, padding=True, return_tensors="pt")).logits
    assert (logits.argmax(-1) == torch.tensor(dev.labels)).float().mean().item() == pytest.approx(returned)
    assert model.config.id2label == {0: "negative", 1: "positive"}


@pytest.mark.parametrize("knowledge", ["offline", "online"])
def test_without_faiss_no_teacher_is_trained_for_residual(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knowledge: str
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    asked = small("bits=residual", "bits.keep=4", f"knowledge={knowledge}", f"paths.artifacts={tmp_path}/own")
    with refusal("bits", "an installed faiss"):
        run(asked)
    assert not list(tmp_path.glob("own/teacher/*"))


def test_a_store_that_is_there_needs_no_faiss(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    asked = ("bits=residual", "bits.keep=4", f"paths.artifacts={tmp_path}/own")
    run(small(*asked, "seed=1"))
    monkeypatch.setitem(sys.modules, "faiss", None)
    offline = run(small(*asked))
    assert run(small(*asked, "knowledge=online")) == pytest.approx(offline, abs=0.05)  # by the fit that is there
    assert (
        len(list(tmp_path.glob("own/fit/*/fit.safetensors")))
        == len(list(tmp_path.glob("own/store/*/fit.safetensors")))
        == 1
    )


def test_a_finished_cell_returns_without_work(small: Small, tmp_path: Path) -> None:
    first = run(small())
    before = (only_cell(tmp_path) / "log.txt").read_text()
    assert run(small()) == first
    assert (only_cell(tmp_path) / "log.txt").read_text() == before


def test_force_runs_a_finished_cell_again(small: Small, tmp_path: Path) -> None:
    run(small())
    stamp = (only_cell(tmp_path) / "checkpoints/hidden/last.ckpt").stat().st_mtime_ns
    run(small("force=true"))
    assert (only_cell(tmp_path) / "checkpoints/hidden/last.ckpt").stat().st_mtime_ns > stamp


def test_same_seed_same_weights(small: Small, tmp_path: Path) -> None:
    run(small(f"paths.runs={tmp_path}/a"))
    run(small(f"paths.runs={tmp_path}/b"))
    one, other = (
        torch.load(next((tmp_path / name).glob("*/checkpoints/prediction/last.ckpt")), weights_only=True)
        for name in "ab"
    )
    assert all(torch.equal(value, other["state_dict"][name]) for name, value in one["state_dict"].items())


def test_another_seed_other_weights(small: Small, tmp_path: Path) -> None:
    scores = [run(small(f"seed={seed}", f"paths.runs={tmp_path}/{seed}")) for seed in (0, 1)]
    assert all(0 <= value <= 1 for value in scores if value is not None)
    one, other = (
        torch.load(next((tmp_path / str(seed)).glob("*/checkpoints/hidden/last.ckpt")), weights_only=True)
        for seed in (0, 1)
    )
    assert not torch.equal(one["state_dict"]["widen.weight"], other["state_dict"]["widen.weight"])


def test_workers_change_nothing(small: Small, tmp_path: Path) -> None:
    for workers in (0, 2):
        run(small(f"workers={workers}", f"paths.runs={tmp_path}/{workers}"))
    traces = [next((tmp_path / str(workers)).glob("*/metrics.csv")).read_text() for workers in (0, 2)]
    assert traces[0] == traces[1]


def test_checkpoints_hold_the_student_alone_and_load_without_arguments(small: Small, tmp_path: Path) -> None:
    run(small())
    path = only_cell(tmp_path) / "checkpoints/hidden/last.ckpt"
    keys = torch.load(path, weights_only=True)["state_dict"]
    assert {name.split(".")[0] for name in keys} == {"model", "widen"}
    module = Distiller.load_from_checkpoint(path, weights_only=True)
    assert module.model.config.hidden_size == 8
    assert module.widen.weight.shape == (16, 8)


def test_baseline_trains_as_many_steps_as_both_stages(small: Small, tmp_path: Path) -> None:
    run(small("knowledge=logits"))
    result = result_of(tmp_path)
    assert result["steps_prediction"] == (2 + 2) * 3
    assert "steps_hidden" not in result
    assert result["knowledge_scalars"] == 0
    assert result["depth"] is None


def test_the_released_codes_baseline_trains_as_many_steps_as_its_hidden_stage(small: Small, tmp_path: Path) -> None:
    run(small("knowledge=logits", "preset.baseline_epochs=hidden", "data.hidden_epochs=3"))
    assert result_of(tmp_path)["steps_prediction"] == 3 * 3


def test_the_other_baseline_trains_as_many_steps_as_a_students_prediction_stage(small: Small, tmp_path: Path) -> None:
    run(small("knowledge=logits", "preset.baseline_epochs=prediction", "data.hidden_epochs=3"))
    assert result_of(tmp_path)["steps_prediction"] == 2 * 3


def test_the_hidden_stage_ends_before_the_update_at_which_the_released_code_saves(small: Small, tmp_path: Path) -> None:
    run(small("preset.hidden_saved_every=4"))
    result = result_of(tmp_path)
    assert (result["steps_hidden"], result["steps_prediction"]) == (3, 6)  # of six in each


def test_labels_baseline_needs_no_knowledge(small: Small, tmp_path: Path) -> None:
    assert run(small("knowledge=labels")) is not None
    assert result_of(tmp_path)["knowledge"] == "labels"


def test_layer_drop_student_is_the_teachers_width_and_needs_no_map(small: Small, tmp_path: Path) -> None:
    run(small("student=layer_drop"))
    keys = torch.load(only_cell(tmp_path) / "checkpoints/hidden/last.ckpt", weights_only=True)["state_dict"]
    assert not any(name.startswith("widen") for name in keys)
    assert sum("layer.1.output.dense.weight" in name for name in keys) == 1
    assert sum("layer.2.output.dense.weight" in name for name in keys) == 0


def test_explain_trains_nothing(small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explain(small("length.keep=2", "depth.keep=2"))
    shown = capsys.readouterr().out
    assert "1<-2, 2<-4" in shown and "2 tokens" in shown and "of full HSK" in shown and "parameters" in shown
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("task", ["polarity", "entailment"])
def test_both_toy_tasks_run(small: Small, task: str) -> None:
    assert run(small(f"data.task={task}")) is not None


SWITCHES = {
    "teacher_dropout": "true",
    "padding": "distill",
    "masked": "zero",
    "mask_first_step": "false",
    "magnitude_scope": "batch",
    "magnitude_ties": "all",
    "unit_counts": "truncated",
    "separators": "first_row",
    "importance_dropout": "true",
    "hidden_dropout": "true",
    "drop_last": "true",
    "hidden_saved_every": "5",
    "map_init": "checkpoint",
    "warmup_from_zero": "true",
    "baseline_epochs": "hidden",
    "baseline_warmup": "0.1",
    "select_on": "dev",
    "eval_every": "2",
    "selection": "0.0",
    "regression_target": "labels",
    "soft_loss_mean": "elements",
    "clip_per_tensor": "true",
    "optimizer": "bert_adam",
}


def test_every_key_of_the_presets_is_a_switch_tested_here(configure: Small) -> None:
    ours, theirs = (configure(f"preset={name}").preset for name in ("default", "paper"))
    assert set(ours) == set(theirs) == {*SWITCHES, "name"}
    assert all(ours[key] != theirs[key] for key in SWITCHES)


# What each switch acts on, so that turning it can be seen in the weights.
SUBJECT = {
    "masked": ["width=random_mask"],
    "mask_first_step": ["width=random_mask", "preset.masked=zero"],
    "magnitude_scope": ["width=magnitude_mask"],
    # Every [CLS] has one embedding: of 16 units that all 32 examples have, a tenth are 51 values, or 64 with the ties.
    "magnitude_ties": [
        *("width=magnitude_mask", "preset.magnitude_scope=batch", "width.keep=0.1"),
        *("depth=all", "length=cls_first", "length.keep=1"),
    ],
    "unit_counts": ["width=random_mask", "width.keep=0.1"],  # of 16 units: 2, or 1
    "separators": ["length.keep=30"],  # more than there is: theirs fills up with [SEP]
    "importance_dropout": [
        "teacher.init.shape.hidden_dropout_prob=0.5",
        "student=rosita6",
        *("student.shape.blocks=2", "student.shape.heads=1", "student.shape.ffn=8", "student.shape.embedding_rank=4"),
    ],
    "hidden_dropout": ["student.shape.hidden_dropout_prob=0.1"],
    "teacher_dropout": ["teacher.init.shape.hidden_dropout_prob=0.1"],
    "baseline_epochs": ["knowledge=logits"],
    "baseline_warmup": ["knowledge=logits", "student.warmup=0"],
}
WITHOUT_EFFECT_HERE = {"regression_target", "select_on", "eval_every"}
"""These change what is chosen or regression tasks; they have tests of their own."""


@pytest.mark.parametrize("switch", sorted(set(SWITCHES) - WITHOUT_EFFECT_HERE))
def test_each_switch_of_the_released_code_changes_the_student(small: Small, tmp_path: Path, switch: str) -> None:
    subject = SUBJECT.get(switch, [])
    online = [] if "knowledge=logits" in subject else ["knowledge=online"]
    common = [*subject, *online, "data.distil_limit=100"]
    for name, extra in (("ours", []), ("theirs", [f"preset.{switch}={SWITCHES[switch]}"])):
        run(small(*common, *extra, f"paths.runs={tmp_path}/{name}"))
    ours, theirs = (
        torch.load(next((tmp_path / name).glob("*/checkpoints/prediction/last.ckpt")), weights_only=True)
        for name in ("ours", "theirs")
    )
    name = "model.classifier.weight"
    assert not torch.equal(ours["state_dict"][name], theirs["state_dict"][name])


def test_a_teacher_is_what_its_recipe_says_whatever_the_students_preset(small: Small, tmp_path: Path) -> None:
    made = []
    for number, override in enumerate(("preset.drop_last=false", "preset=paper")):
        config = small(override, "knowledge=online", "preset.selection=0.1", f"paths.artifacts={tmp_path}/{number}")
        assets = Assets(Experiment.resolve(plain(config)))
        made.append((assets.teacher.recipe, assets.teacher.load().model.state_dict()))
    (recipe, weights), (same_recipe, same_weights) = made
    assert recipe == same_recipe
    assert all(torch.equal(weight, same_weights[name]) for name, weight in weights.items())


def test_paper_preset_scores_the_best_of_many_dev_evaluations(small: Small, tmp_path: Path) -> None:
    run(small("preset=paper", "knowledge=online", "preset.eval_every=2", "preset.hidden_saved_every=null"))
    cell = only_cell(tmp_path)
    seen = [
        float(line.rsplit(",", 1)[1])
        for line in (cell / "metrics.csv").read_text().splitlines()
        if line.startswith("prediction") and "selection_accuracy" in line
    ]
    assert len(seen) == 3  # 6 steps, every 2
    assert read(cell, "result.json")["score"] == pytest.approx(max(seen))


def test_mixed_precision_trains_near_full_precision(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without units for bfloat16 it is refused, but emulated it computes the same."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        run(small(f"trainer.precision={precision}", f"paths.runs={tmp_path}/{precision}"))
        (path,) = (tmp_path / precision).glob("*/metrics.csv")
        losses[precision] = float(path.read_text().splitlines()[1].rsplit(",", 1)[1])
    assert losses["bf16-mixed"] != losses["32-true"]
    assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=0.02)


def test_a_share_of_the_batch_decides_nothing(small: Small) -> None:
    """The score does not depend on how dev is batched."""
    config = small()
    run(config)
    experiment = Experiment.resolve(plain(config))
    assets = Assets(experiment)
    teacher = assets.teacher.load()
    split = assets.corpus.tokens.dev["dev"]
    said = predict(teacher.logits, assets.corpus.eval_batches(split), experiment.settings.trainer.device)
    assert score(said, experiment.task) == assets.teacher.scores()["dev"]


def test_loss_that_is_not_a_number_stops_and_names_stage_and_step(small: Small, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"stage hidden, step 1"):
        run(small("stage.hidden.lr=1e38", "stage.hidden.clip=null", "stage.hidden.warmup=0.0"))
    cell = only_cell(tmp_path)
    assert read(cell, "status.json")["state"] == "FAILED"
    assert "TrainingError" in (cell / "error.txt").read_text()
    assert not (cell / "result.json").exists()


def test_a_failed_cell_can_be_run_again(small: Small, tmp_path: Path) -> None:
    config = small("stage.hidden.lr=1e38", "stage.hidden.clip=null", "stage.hidden.warmup=0.0")
    for attempt in (1, 2):
        with pytest.raises(TrainingError):
            run(config)
        assert read(only_cell(tmp_path), "status.json")["attempt"] == attempt


def test_a_folder_that_cannot_be_written_is_named(small: Small, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="paths.root.*file/runs"):
        run(small(f"paths.runs={tmp_path}/file/runs"))


def test_all_of_the_knowledge_is_the_fraction_one(small: Small, tmp_path: Path) -> None:
    run(small("experiment=full_hsk"))
    assert math.isclose(result_of(tmp_path)["knowledge_fraction"], 1.0)


# Online and offline.

TRACED = ("trainer.log_every=1", "trainer.checkpoint_every=1000", "student.shape.hidden_dropout_prob=0.1")


KEPT = {
    "pca": [],
    "everything": ["experiment=full_hsk"],
    "the paper's joint setting": ["experiment=1l_10t_0.1h"],
    "masked=zero": ["width=random_mask", "preset.masked=zero"],
    "logits": ["knowledge=logits"],
}


@pytest.mark.parametrize("case", KEPT)
def test_online_and_offline_have_the_same_loss_at_every_step_and_the_same_score(
    small: Small, tmp_path: Path, case: str
) -> None:
    scores, sources = [], {"online": "teacher", "offline": "store"}
    for name, source in sources.items():
        how = [f"knowledge={name}"] if case != "logits" else [f"knowledge.source={source}"]
        overrides = [*KEPT[case], *how, "bits=fp32", f"paths.runs={tmp_path}/{name}"]
        scores.append(run(small(*TRACED, *overrides)))
    online, offline = (trace(tmp_path / name) for name in sources)
    assert len(online) == len(offline) > 12
    for one, other in zip(online, offline, strict=True):
        assert one[:3] == other[:3]
        assert other[3] == pytest.approx(one[3], rel=1e-5, abs=1e-7), one
    assert scores[0] == scores[1]


def test_offline_loads_no_teacher(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(small())

    def refuse(*args: object, **named: object) -> None:
        raise AssertionError("a teacher was loaded")

    monkeypatch.setattr(Teacher, "__init__", refuse)
    assert run(small("seed=1")) is not None
    assert run(small("seed=1", "knowledge=logits")) is not None


def test_offline_needs_no_teacher_at_all_where_the_store_came_from_elsewhere(small: Small, tmp_path: Path) -> None:
    here, there = f"paths.artifacts={tmp_path}/here", f"paths.artifacts={tmp_path}/there"
    run(small(here))
    (store,) = [path.parent for path in (tmp_path / "here/store").glob("*/manifest.json")]
    assert run(small(there, f"store.path={store}", "seed=1")) is not None
    assert not (tmp_path / "there/teacher").exists() and not (tmp_path / "there/store").exists()


def test_the_place_of_a_store_does_not_make_another_cell(small: Small, tmp_path: Path) -> None:
    one, other = (Experiment.resolve(plain(small(*path))).cell_id for path in ([], [f"store.path={tmp_path}"]))
    assert one == other


def test_result_names_the_store(small: Small, tmp_path: Path) -> None:
    run(small())
    result = result_of(tmp_path)
    assert len(result["store"]) == 16
    assert result["bits"] == "fp16"
    assert result["peak_memory_mb"] > 100
    assert result["gpu"] is None and result["peak_gpu_memory_mb"] is None
