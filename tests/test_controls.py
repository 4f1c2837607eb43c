"""Controls in the whole program, and the mistakes one can make with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from hskd_lightning.assets import Assets, stores
from hskd_lightning.assets.stores import Stores
from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.explain import explain
from hskd_lightning.export.card import model_card
from hskd_lightning.models.teacher import Teacher
from hskd_lightning.pipeline import run
from tests.forked import said_by
from tests.helpers import SMALL, TINY, command_line, options, read, result_of, trace, with_option
from tests.runs.example import a_result

Small = Callable[..., DictConfig]
CONTROLS = [name for name in options("control") if name != "none"]
SEEDED = with_option("control", "seed")


def resolve(config: DictConfig) -> Experiment:
    return Experiment.resolve(plain(config))


# Names.


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_makes_another_cell(small: Small, control: str) -> None:
    assert resolve(small(f"control={control}")).cell_id != resolve(small()).cell_id


@pytest.mark.parametrize("control", SEEDED)
def test_another_seed_of_a_control_makes_another_cell(small: Small, control: str) -> None:
    one, other = (resolve(small(f"control={control}", f"control.seed={seed}")).cell_id for seed in (0, 1))
    assert one != other


def test_no_control_is_none(small: Small) -> None:
    assert resolve(small("control=none")).control is None


@pytest.mark.parametrize("control", CONTROLS)
def test_a_baseline_is_one_cell_whatever_the_control_says(small: Small, control: str) -> None:
    one, other = (resolve(small("knowledge=logits", *given)) for given in ([], [f"control={control}"]))
    assert one.cell_id == other.cell_id


@pytest.mark.slow
def test_a_baseline_takes_no_notice_of_a_control(small: Small, tmp_path: Path) -> None:
    run(small("knowledge=logits", "control=random"))
    result = result_of(tmp_path)
    assert result["control"] is None
    assert "control_seed" not in result


def test_the_plan_says_what_is_taught(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    explain(small("control=shuffled", "control.seed=3"))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "control" in line]
    assert "shuffled, seed 3" in row


def test_a_model_card_does_not_call_a_controls_targets_the_teachers() -> None:
    card = model_card(a_result(knowledge_fraction=0.1, control="random"), [], 32, rosita=False)
    assert "10.00% of the teacher's hidden states, replaced by the control random" in card


# The whole program.


@pytest.mark.slow
def test_each_control_makes_another_student_at_the_same_cost(small: Small, tmp_path: Path) -> None:
    students, results = {}, {}
    for control in ("none", *CONTROLS):
        run(small(f"control={control}", f"paths.runs={tmp_path}/{control}"))
        (cell,) = [path.parent for path in (tmp_path / control).glob("*/result.json")]
        results[control] = read(cell, "result.json")
        weights = torch.load(cell / "checkpoints/prediction/last.ckpt", weights_only=True)["state_dict"]
        students[control] = weights["model.classifier.weight"]
    assert len({tuple(weights.flatten().tolist()) for weights in students.values()}) == 1 + len(CONTROLS)
    for control, result in results.items():
        assert result["control"] == (None if control == "none" else control)
        for same in ("knowledge_scalars", "knowledge_bytes", "knowledge_fraction", "teacher_dev", "steps_hidden"):
            assert result[same] == results["none"][same], (control, same)
    assert (results["shuffled"]["control_seed"], "control_seed" in results["constant"]) == (0, False)


@pytest.mark.slow
@pytest.mark.parametrize("width", ["pca", "magnitude_mask"])
@pytest.mark.parametrize("control", CONTROLS)
def test_online_and_offline_have_the_same_loss_at_every_step_and_the_same_score(
    small: Small, tmp_path: Path, control: str, width: str
) -> None:
    scores = []
    for name in ("online", "offline"):
        chosen = (f"control={control}", f"width={width}", f"knowledge={name}", f"paths.runs={tmp_path}/{name}")
        scores.append(run(small(*chosen, "bits=fp32", "trainer.log_every=1", "trainer.checkpoint_every=1000")))
    online, offline = (trace(tmp_path / name) for name in ("online", "offline"))
    assert len(online) == len(offline) > 12
    for one, other in zip(online, offline, strict=True):
        assert one[:3] == other[:3]
        assert other[3] == pytest.approx(one[3], rel=1e-4, abs=1e-6), one
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_workers_change_nothing(small: Small, tmp_path: Path) -> None:
    for workers in (0, 2):
        run(small("control=shuffled", f"workers={workers}", f"paths.runs={tmp_path}/{workers}"))
    traces = [next((tmp_path / str(workers)).glob("*/metrics.csv")).read_text() for workers in (0, 2)]
    assert traces[0] == traces[1]


@pytest.mark.slow
@pytest.mark.parametrize("control", CONTROLS)
def test_offline_loads_no_teacher_once_its_stores_are_there(
    small: Small, monkeypatch: pytest.MonkeyPatch, control: str
) -> None:
    run(small(f"control={control}"))

    def refuse(*args: object, **named: object) -> None:
        raise AssertionError("a teacher was loaded")

    monkeypatch.setattr(Teacher, "__init__", refuse)
    assert run(small(f"control={control}", "seed=1")) is not None


@pytest.mark.slow
def test_a_sweep_over_controls_takes_one_store_for_each_teacher(tmp_path: Path) -> None:
    """The first cell, untrained, needs the trained teacher's logits: it builds what the others need of it too."""
    controls = ",".join(["untrained", "none", *sorted({*CONTROLS} - {"untrained"})])
    out = said_by(command_line(tmp_path, "-m", *SMALL, *TINY, f"control={controls}", "depth.keep=1,2"))
    results = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/result.json")]
    assert len(results) == 10
    assert len({result["store"] for result in results}) == 1
    assert out.count("shards to build") == 2


# The untrained teacher.


@pytest.mark.slow
def test_a_sweep_of_untrained_cells_keeps_the_trained_teachers_logits_alone(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = resolve(small("control=untrained", "depth.keep=1"))
    sweep = [plain(small(f"control={control}", "depth.keep=2")) for control in ("untrained", "none")]
    assets = Assets(experiment)
    trained, untrained = Stores(assets.states, None), assets.stores
    monkeypatch.setattr(stores, "other_cells", lambda: iter(sweep[:1]))
    assert trained.union().layers == ()
    assert len(untrained.union().layers) == 2
    monkeypatch.setattr(stores, "other_cells", lambda: iter(sweep[1:]))
    assert len(trained.union().layers) == 2
    assert len(untrained.union().layers) == 1


@pytest.mark.slow
def test_the_untrained_teacher_is_the_one_that_fine_tuning_began_with(small: Small) -> None:
    experiment = resolve(small("control=untrained"))
    shown = Assets(experiment).teacher.untrained.load().model.state_dict()
    began = experiment.teacher_init.create(experiment.task, experiment.settings.teacher.seed).state_dict()
    trained = Assets(experiment).teacher.load().model.state_dict()
    assert all(torch.equal(shown[name], weight) for name, weight in began.items())
    assert not all(torch.equal(shown[name], weight) for name, weight in trained.items())


@pytest.mark.slow
def test_a_pretrained_teacher_shows_its_pretrained_states(small: Small, configure: Small) -> None:
    made = Assets(resolve(small())).teacher.path
    smaller = [override for override in SMALL if not override.startswith("teacher.init")]
    pretrained = configure(*smaller, *TINY, "teacher=hub", f"teacher.init.path={made}", "control=untrained")
    teacher = Assets(resolve(pretrained)).teacher.untrained
    shown, given = teacher.load().model.state_dict(), Teacher(made, [0, 1]).model.state_dict()
    assert all(torch.equal(shown[name], weight) for name, weight in given.items() if "bert." in name)


@pytest.mark.slow
@pytest.mark.parametrize("knowledge", ["online", "offline"])
def test_the_untrained_teachers_tokens_are_ranked_by_its_own_attention(small: Small, knowledge: str) -> None:
    chosen = ("length=attention", "length.keep=3", "width=pca", "width.keep=5", "bits=fp32")
    assets = Assets(resolve(small(*chosen, f"knowledge={knowledge}", "control=untrained")))
    batch = next(iter(assets.corpus.eval_batches(assets.corpus.student_splits.train)))
    shown = assets.knowledge.source().hidden(batch)
    own = assets.knowledge.untrained().hidden(batch)
    trained = assets.knowledge.true().hidden(batch)
    assert torch.equal(shown.tokens.positions, own.tokens.positions)
    assert not torch.equal(shown.tokens.positions, trained.tokens.positions)


@pytest.mark.slow
def test_a_student_still_begins_with_the_trained_teachers_layers(small: Small) -> None:
    one, other = (
        Assets(resolve(small("student=layer_drop", f"control={control}"))).student.recipe
        for control in ("none", "untrained")
    )
    assert one == other


# Mistakes.


def test_a_given_teacher_has_no_before(small: Small, tmp_path: Path) -> None:
    checkpoint = Assets(resolve(small())).teacher.path
    with pytest.raises(ConfigError, match="(?s)`teacher.checkpoint`.*control=untrained.*remedy: .*teacher.init.path"):
        resolve(small("control=untrained", f"teacher.checkpoint={checkpoint}"))
    for other in sorted({*CONTROLS} - {"untrained"}):
        resolve(small(f"control={other}", f"teacher.checkpoint={checkpoint}"))


def test_one_store_is_not_enough_for_two_teachers(small: Small, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="(?s)`store.path` = .*two stores.*leave store.path out"):
        resolve(small("control=untrained", f"store.path={tmp_path}"))


WITHOUT_A_TARGET_OF_ONES_OWN = {
    "preset.teacher_dropout": ["preset.teacher_dropout=true"],
    "length": ["length=attention_no_sep", "preset.separators=first_row"],
    "width": ["width=magnitude_mask", "preset.magnitude_scope=batch"],
    "preset.mask_first_step": ["width=random_mask", "preset.mask_first_step=false"],
}


@pytest.mark.parametrize("key", WITHOUT_A_TARGET_OF_ONES_OWN)
@pytest.mark.parametrize("control", CONTROLS)
def test_a_target_that_hangs_on_the_batch_or_the_step_cannot_be_controlled(
    small: Small, control: str, key: str
) -> None:
    given = WITHOUT_A_TARGET_OF_ONES_OWN[key]
    resolve(small(*given, "knowledge=online"))
    with pytest.raises(ConfigError, match=f"(?s)`{key}`.*a control.*remedy:  leave control out$"):
        resolve(small(*given, "knowledge=online", f"control={control}"))
    with pytest.raises(ConfigError, match=f"(?s)`{key}`.*remedy:  leave control out, and take knowledge=online$"):
        resolve(small(*given, "knowledge=offline", f"control={control}"))


@pytest.mark.parametrize("control", ["untrained", "constant"])
def test_an_option_that_a_control_does_not_take_is_named(small: Small, control: str) -> None:
    with pytest.raises(ConfigError, match="(?s)`control` = 'seed'.*takes no options"):
        resolve(small(f"control={control}", "+control.seed=1"))
