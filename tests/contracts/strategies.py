"""The strategies of conf/depth, conf/length and conf/width, as a run would build them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from hskd_lightning.choices import build
from hskd_lightning.settings import Choice
from tests.helpers import CONF, options, with_option

EXAMPLES = {"depth.pairs": [[1, 2], [2, 4]]}
"""A value for each option that has no default. A new strategy with such an option needs a line here."""


@cache
def run_config(preset: str) -> DictConfig:
    """A run's configuration, for what a strategy's yaml refers to."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=[f"preset={preset}"])


def node(axis: str, name: str, preset: str = "default") -> dict[str, Any]:
    """The strategy's node as a run would see it, missing values filled in from EXAMPLES."""
    config = run_config(preset).copy()
    OmegaConf.set_struct(config, False)
    config[axis] = OmegaConf.load(CONF / axis / f"{name}.yaml")
    for option in [key for key in OmegaConf.missing_keys(config) if key.startswith(f"{axis}.")]:
        OmegaConf.update(config, option, EXAMPLES[option])
    return OmegaConf.to_container(config[axis], resolve=True)  # type: ignore[return-value]


def make(axis: str, name: str, **given: Any) -> Any:
    """Build it as a run would."""
    return build(Choice.of(node(axis, name)), axis, **given)


def with_keep(axis: str) -> list[str]:
    """The strategies that can keep less than everything."""
    return with_option(axis, "keep")


def one_option(axis: str, *choices: tuple[str, list[str]]) -> list[Any]:
    """Each strategy with its defaults, and once more for every choice of an option that it has."""
    cases = []
    for name in options(axis):
        cases.append(pytest.param(name, {}, id=name))
        given = OmegaConf.load(CONF / axis / f"{name}.yaml")
        cases += [
            pytest.param(name, {option: value}, id=f"{name}-{option}={value}")
            for option, values in choices
            if option in given
            for value in values
        ]
    return cases
