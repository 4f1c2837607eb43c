"""Every key has a type and a range, checked where settings are read, in the user's own key."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import hskd_lightning.settings.groups
import hskd_lightning.settings.preset
import hskd_lightning.settings.stages
from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.settings import Choice, Settings, read_settings
from hskd_lightning.settings.sweeper import read_sweeper
from tests.helpers import CONF

Configure = Callable[..., DictConfig]
MISTAKES = {
    "seed=abc": ("seed", "a whole number from 0"),
    "seed=1.5": ("seed", "a whole number from 0"),
    "seed=true": ("seed", "a whole number from 0"),
    "seed=-1": ("seed", "a whole number from 0"),
    "threads=0": ("threads", "a whole number from 1, or null"),
    "threads=-3": ("threads", "a whole number from 1, or null"),
    "threads=many": ("threads", "a whole number from 1, or null"),
    "workers=-1": ("workers", "a whole number from 0"),
    "explain=maybe": ("explain", "true or false"),
    "force=1": ("force", "true or false"),
    "hsk.amount=x": ("hsk.amount", "a share above 0 and up to 1, or null"),
    "hsk.amount=0": ("hsk.amount", "use knowledge=logits for none of it"),
    "hsk.amount=1.01": ("hsk.amount", "a share above 0 and up to 1, or null"),
    "hsk.path=cheapest": ("hsk.path", "equal, depth_fixed, tokens_first or units_first"),
    "data.hidden_epochs=ten": ("data.hidden_epochs", "a number above 0"),
    "data.hidden_epochs=inf": ("data.hidden_epochs", "a number above 0"),
    "data.prediction_epochs=0": ("data.prediction_epochs", "to skip the hidden stage, use knowledge=logits"),
    "data.limit=0": ("data.limit", "a whole number from 1, or null"),
    "data.selection=1": ("data.selection", "a share from 0 to below 1"),
    "student.lr.hidden=fast": ("student.lr.hidden", "a number above 0"),
    "student.lr.hidden=nan": ("student.lr.hidden", "a number above 0"),
    "student.lr.prediction=0.0": ("student.lr.prediction", "a number above 0"),
    "student.warmup=2": ("student.warmup", "a share from 0 to 1"),
    "student.hidden_schedule=cosine": ("student.hidden_schedule", "constant or linear"),
    "stage.hidden.batch_size=0": ("stage.hidden.batch_size", "a whole number from 1"),
    "stage.hidden.saved_every=1": ("stage.hidden.saved_every", "a whole number from 2, or null"),
    "stage.hidden.map_init=zeros": ("stage.hidden.map_init", "torch, normal or checkpoint"),
    "stage.prediction.clip=-1": ("stage.prediction.clip", "a number above 0, or null"),
    "stage.prediction.baseline.epochs=total": ("stage.prediction.baseline.epochs", "both, hidden or prediction"),
    "stage.prediction.select_on=test": ("stage.prediction.select_on", "selection or dev"),
    "preset.padding=foo": ("preset.padding", "ignore or distill"),
    "preset.optimizer=sgd": ("preset.optimizer", "adamw or bert_adam"),
    "teacher.seed=x": ("teacher.seed", "a whole number from 0"),
    "teacher.training.lr=0": ("teacher.training.lr", "a number above 0"),
    "teacher.label_map={a: x}": ("teacher.label_map.a", "a whole number"),
    "store.shard_tokens=0": ("store.shard_tokens", "a whole number from 1"),
    "knowledge.source=books": ("knowledge.source", "store or teacher"),
    "trainer.precision=64-true": ("trainer.precision", "32-true, tf32 or bf16-mixed"),
    "trainer.precision=16-mixed": ("trainer.precision", "gradients are scaled while they are clipped"),
    "trainer.precision=16-true": ("trainer.precision", "hidden states overflow float16"),
    "trainer.precision=bf16-true": ("trainer.precision", "lose updates"),
    "trainer.checkpoint_every=0": ("trainer.checkpoint_every", "a whole number from 1"),
    "logger.kind=mlflow": ("logger.kind", "csv, wandb or tensorboard"),
    "paths.root=''": ("paths.root", "unset HSKD_ROOT"),
    "+foo=1": ("foo", "a key that there is"),
    "+student.wrmup=0.1": ("student.wrmup", "did you mean student.warmup?"),
    "+stage.hidden.batchsize=8": ("stage.hidden.batchsize", "did you mean stage.hidden.batch_size?"),
    "~seed": ("seed", "a value"),
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_value_that_a_key_cannot_have(configure: Configure, override: str) -> None:
    key, words = MISTAKES[override]
    with pytest.raises(ConfigError) as refused:
        read_settings(plain(configure(override)))
    assert refused.value.key == key
    assert words in str(refused.value)


def test_of_two_mistakes_the_one_that_others_are_made_from_is_named(configure: Configure) -> None:
    with pytest.raises(ConfigError, match="`preset.clip_per_tensor`"):
        read_settings(plain(configure("preset.clip_per_tensor=maybe", "stage.hidden.clip=x")))


def test_a_long_value_is_repeated_in_part(configure: Configure) -> None:
    config = plain(configure())
    config["trainer"]["accelerator"] = "x" * 10_000_000
    with pytest.raises(ConfigError, match=r"xx \.\.\. xx+ \(10,000,000 characters\)") as refused:
        read_settings(config)
    assert len(str(refused.value)) < 500


def test_a_missing_value_is_named(configure: Configure) -> None:
    with pytest.raises(ConfigError, match="(?s)`teacher.init.path` = 'no value'.*write teacher.init.path=VALUE"):
        plain(configure("teacher=hub"))


def test_a_value_with_a_nul_byte(configure: Configure) -> None:
    config = plain(configure())
    config["store"]["path"] = "a\x00b"
    with pytest.raises(ConfigError, match="`store.path`"):
        read_settings(config)


def test_settings_cannot_be_changed(configure: Configure) -> None:
    settings = read_settings(plain(configure()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 1  # type: ignore[misc]


def test_a_choice_is_its_name_and_its_options(configure: Configure) -> None:
    node = plain(configure())["width"]
    choice = Choice.of(node)
    assert (choice.name, choice.options) == ("pca", {"keep": None})
    assert choice.node == node


def documented() -> Iterator[tuple[str, Any]]:
    modules = (hskd_lightning.settings.groups, hskd_lightning.settings.preset, hskd_lightning.settings.stages)
    for module in modules:
        for name, made in inspect.getmembers(module, dataclasses.is_dataclass):
            if made.__module__ == module.__name__:
                yield name, made
    yield "Settings", Settings


@pytest.mark.parametrize(("name", "made"), list(documented()))
def test_every_node_says_what_it_is(name: str, made: Any) -> None:
    assert made.__doc__ and not made.__doc__.startswith(f"{name}(")


SWEEPS = {
    "hydra.sweeper.margin=one": ("hydra.sweeper.margin", "a number above 0"),
    "hydra.sweeper.margin=0": ("hydra.sweeper.margin", "a number above 0"),
    "hydra.sweeper.margin=-0.01": ("hydra.sweeper.margin", "a number above 0"),
    "hydra.sweeper.seeds=[0,a]": ("hydra.sweeper.seeds.1", "a whole number from 0"),
    "hydra.sweeper.curve_seeds=[a]": ("hydra.sweeper.curve_seeds.0", "a whole number from 0"),
    "hydra.sweeper.least=0": ("hydra.sweeper.least", "a share above 0 and up to 1"),
    "hydra.sweeper.amounts=[0.1,2]": ("hydra.sweeper.amounts.1", "a share from 0 to 1"),
    "hydra.sweeper.max_cells=0": ("hydra.sweeper.max_cells", "a whole number from 1, or null"),
    "+hydra.sweeper.seed=[0]": ("hydra.sweeper.seed", "did you mean hydra.sweeper.seeds?"),
}


@pytest.mark.parametrize("override", SWEEPS)
def test_a_sweep_that_cannot_be(override: str) -> None:
    key, words = SWEEPS[override]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=[override], return_hydra_config=True)
    with pytest.raises(ConfigError) as refused:
        read_sweeper(plain(config.hydra.sweeper))
    assert refused.value.key == key
    assert words in str(refused.value)
