"""The cells of a sweep as Hydra composes them, inside `train.py -m` and outside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from hskd_lightning import config as configuration
from hskd_lightning import mistakes

Compose = Callable[[Sequence[str]], Mapping[str, Any]]
"""Overrides -> the resolved configuration of a cell."""


def composer(loader: ConfigLoader, sweep: DictConfig) -> Compose:
    """Compose the cells of a sweep from its own configuration, `hydra` included."""

    def compose(overrides: Sequence[str]) -> Mapping[str, Any]:
        composed = loader.load_sweep_config(sweep, list(overrides))
        with open_dict(composed):
            composed.pop("hydra")
        return configuration.plain(composed)

    return compose


@contextmanager
def as_multirun(
    config_dir: str | None, config_name: str, overrides: Sequence[str]
) -> Iterator[tuple[DictConfig, ConfigLoader]]:
    """A sweep's configuration as `train.py -m` with these arguments has it.

    Raises:
        ConfigError: no such folder or configuration, or an override that does not fit it.
    """
    search_path = create_config_search_path("pkg://hskd_lightning.conf")
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise mistakes.no_such_folder(config_dir)
        search_path.prepend("command-line", f"file://{Path(config_dir).absolute()}", anchor="schema")
    with mistakes.explained(overrides):
        GlobalHydra.instance().clear()
        loader = Hydra.create_main_hydra2(task_name="train", config_search_path=search_path).config_loader
        try:
            yield loader.load_configuration(config_name, list(overrides), run_mode=RunMode.MULTIRUN), loader
        finally:
            GlobalHydra.instance().clear()
