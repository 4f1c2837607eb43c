"""The learned map before anything has been learned, and what of a student each stage trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from hskd_lightning.assets import Assets
from hskd_lightning.assets.fits import fit
from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.knowledge.teacher_source import TeacherSource
from hskd_lightning.models import partial
from hskd_lightning.training.distiller import Distiller, learned_map
from hskd_lightning.training.module import plain_config
from tests.helpers import batch_of


def drawn(start: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return learned_map(312, 768, start)


def test_our_map_is_torchs_own() -> None:
    torch.manual_seed(0)
    expected = nn.Linear(312, 768)
    assert torch.equal(drawn("torch").weight, expected.weight) and torch.equal(drawn("torch").bias, expected.bias)


@pytest.mark.parametrize("start", ["normal", "checkpoint"])
def test_the_released_codes_map_is_normal_without_a_bias(start: str) -> None:
    found = drawn(start)
    assert found.weight.shape == (768, 312)
    assert found.weight.mean().item() == pytest.approx(0, abs=2e-4)  # 240,000 draws of 0.02: 4e-5 is their error
    assert found.weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert found.bias.eq(0).all()


@pytest.mark.parametrize("start", ["torch", "normal"])
def test_the_map_is_the_seeds(start: str) -> None:
    assert torch.equal(drawn(start).weight, drawn(start).weight)
    assert not torch.equal(drawn(start).weight, drawn(start, seed=1).weight)


def test_a_student_as_wide_as_its_teacher_needs_no_map() -> None:
    assert not list(learned_map(768, 768, "normal").parameters())


# What a stage trains.

LOWER = ("depth=explicit", "depth.pairs=[[0,1],[1,2]]", "length=cls_first", "length.keep=3", "width=all")
UPPER = ("depth=all", "length=attention_received", "length.keep=4", "width=pca", "width.keep=5")
RANDOM = ("depth=uniform", "depth.keep=1", "length=random", "length.keep=2", "width=magnitude_mask", "width.keep=5")


@pytest.fixture
def stage(small: Callable[..., DictConfig]) -> Callable[..., tuple[Distiller, KnowledgeSource, list[TokenBatch]]]:
    """A stage of this question with dropout off, its source, a live teacher, and three batches."""

    def made(name: str, *overrides: str) -> tuple[Distiller, KnowledgeSource, list[TokenBatch]]:
        assets = Assets(Experiment.resolve(plain(small(*overrides))))
        experiment, teacher = assets.experiment, assets.teacher.load()
        plan, request = experiment.plan, assets.stores.request
        source = TeacherSource(teacher, plan, lambda: fit(assets.taught_states, teacher, plan, request))
        module = Distiller(
            teacher_width=16,
            stage=name,
            config=plain_config(experiment.student_config),
            task=dataclasses.asdict(experiment.task),
            settings={**dataclasses.asdict(experiment.stage(name)), "dropout": False},
            total_steps=3,
            seed=0,
        )
        return module.attach(source), source, [batch_of(assets, rows) for rows in ([0, 1, 2], [3, 4, 5, 6], [7, 8])]

    return made


def trained(module: Distiller, source: KnowledgeSource, batches: list[TokenBatch]) -> list[float]:
    """Train on each of the batches; the losses."""
    module.on_fit_start()
    optimizer = module.configure_optimizers()
    losses = []
    for batch in batches:
        loss = module.prediction_loss(batch) if module.stage == "prediction" else module.hidden_loss(batch, source)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("name", "question"),
    [("hidden", LOWER), ("hidden", UPPER), ("hidden", RANDOM), ("prediction", UPPER)],
    ids=["hidden, lower states", "hidden, all states", "hidden, one state", "prediction"],
)
def test_losses_and_weights_are_those_of_the_whole_models(
    name: str,
    question: tuple[str, ...],
    stage: Callable[..., tuple[Distiller, KnowledgeSource, list[TokenBatch]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, source, batches = stage(name, *question)
    losses = trained(module, source, batches)
    monkeypatch.setattr(partial, "knows", lambda model: False)
    whole, source, _ = stage(name, *question)
    whole.requires_grad_(True)
    assert trained(whole, source, batches) == pytest.approx(losses, rel=1e-5)
    for name, weight in module.state_dict().items():
        torch.testing.assert_close(weight, whole.state_dict()[name], rtol=1e-4, atol=1e-5, msg=name)


def test_the_hidden_stage_trains_nothing_above_the_highest_state_that_is_taught(
    stage: Callable[..., tuple[Distiller, KnowledgeSource, list[TokenBatch]]],
) -> None:
    module, source, batches = stage("hidden", *LOWER)
    before = {name: parameter.clone() for name, parameter in module.named_parameters()}
    trained(module, source, batches)
    moved = {name for name, parameter in module.named_parameters() if not torch.equal(parameter, before[name])}
    assert {name.split("layer.")[-1].split(".")[0] for name in moved if "layer." in name} == {"0"}
    assert not any("pooler" in name or "classifier" in name for name in moved)
    assert {"widen.weight", "model.bert.embeddings.word_embeddings.weight"} < moved
    optimised = {parameter for group in module.configure_optimizers().param_groups for parameter in group["params"]}
    assert {name for name, parameter in module.named_parameters() if parameter in optimised} == moved


def test_the_prediction_stage_does_not_train_the_learned_map(
    stage: Callable[..., tuple[Distiller, KnowledgeSource, list[TokenBatch]]],
) -> None:
    module, _, _ = stage("prediction", *UPPER)
    assert {name for name, parameter in module.named_parameters() if not parameter.requires_grad} == {
        "widen.weight",
        "widen.bias",
    }
