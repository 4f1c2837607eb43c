"""What a strategy's docstring shows of yaml is what the command beside it composes to."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig

from hskd_lightning.choices import targets
from hskd_lightning.config import plain
from tests.helpers import options

GROUPS = ("depth", "length", "width", "control", "student/init")
EVERY = [(group, name) for group in GROUPS for name in options(group) if name in targets(group.replace("/", "."))]


def example(group: str, name: str) -> str:
    """The section `Config::` of the option's class."""
    module, _, made = targets(group.replace("/", "."))[name].rpartition(".")
    doc = inspect.getdoc(getattr(importlib.import_module(module), made)) or ""
    (shown,) = re.findall(r"^Config::\n\n((?:    .*\n?)+)", doc, re.MULTILINE)
    return textwrap.dedent(shown)


def node(config: Any, group: str) -> dict[str, Any]:
    for key in group.split("/"):
        config = config[key]
    return dict(config)


@pytest.mark.parametrize(("group", "name"), EVERY)
def test_a_docstring_shows_the_yaml_that_its_command_composes_to(
    configure: Callable[..., DictConfig], group: str, name: str
) -> None:
    text = example(group, name)
    (command,) = re.findall(r"# python train.py (.*)", text)
    assert f"{group}={name}" in command
    composed = node(plain(configure(*shlex.split(command))), group)
    written = {key: value for key, value in composed.items() if key not in ("_target_", "name", "otherwise")}
    assert node(yaml.safe_load(text), group) == {"name": name, **written}
