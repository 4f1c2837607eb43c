"""Trackers beside our own files: W&B and TensorBoard. They are told everything and asked nothing: never fatal."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import wandb
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from hskd_lightning.runs.metrics_csv import MetricsCsv

log = logging.getLogger(__name__)
PATIENCE = 3.0
"""Seconds to find out whether the W&B server can be reached."""


@contextmanager
def trackers(
    settings: Mapping[str, Any],
    cell_folder: Path,
    axes: Mapping[str, Any],
    config: Mapping[str, Any],
    group: str | None,
) -> Iterator[Sequence[Logger]]:
    """The loggers of a cell; each tracker gets a run of its own and is closed whatever happens.

    Args:
        settings: the `logger` node: its `kind`, and what that tracker takes.
        cell_folder: runs/<cell_id>; its name is the tracker's run id.
        axes: the flat, filterable axes of the cell.
        config: the resolved configuration, kept nested below the axes.
        group: the sweep's name.
    """
    csv = MetricsCsv(cell_folder / "metrics.csv")
    if settings["kind"] == "wandb":
        with _wandb(settings, cell_folder, axes, config, group) as run:
            yield [csv] if run is None else [csv, WandbLogger(experiment=run)]
    elif settings["kind"] == "tensorboard":
        yield [csv, TensorBoardLogger(cell_folder, name="", version="tensorboard")]
    else:
        yield [csv]


@contextmanager
def _wandb(*start: Any) -> Iterator[Any | None]:
    """A W&B run, finished whatever happens: an unfinished one would swallow the next cell of the process."""
    exit_code = 1
    try:
        yield start_wandb(*start)
        exit_code = 0
    finally:
        wandb.finish(exit_code)


def start_wandb(
    settings: Mapping[str, Any],
    cell_folder: Path,
    axes: Mapping[str, Any],
    config: Mapping[str, Any],
    group: str | None,
) -> Any | None:
    """One W&B run for the cell, offline where there is no key or no route; None if even that fails."""
    for variable, folder in (("WANDB_CACHE_DIR", "cache"), ("WANDB_DATA_DIR", "data")):
        os.environ.setdefault(variable, str(cell_folder / "wandb" / folder))  # not the user's home
    mode = choose_mode(settings["mode"])
    if mode == "offline":
        log.info("wandb: offline; upload later with: wandb sync %s", cell_folder / "wandb" / "offline-run-*")
    try:
        return wandb.init(
            project=settings["project"],
            entity=settings["entity"],
            id=cell_folder.name,
            name=cell_folder.name,
            group=group,
            dir=cell_folder,
            mode=mode,
            config={**axes, "config": dict(config)},
            resume="allow",
            settings=wandb.Settings(init_timeout=30, silent=True, console="off"),
        )
    except (wandb.Error, OSError) as error:
        log.warning("wandb: no tracking for this cell (%s)", error)
        return None


def choose_mode(asked: str) -> Any:
    """`auto` is online only with a key and a route to the server; anything else is taken as it is."""
    if asked != "auto":
        return asked
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    return "online" if wandb.login(prompt=False) and _reachable() else "offline"


def _reachable() -> bool:
    address = urlparse(wandb.setup().settings.base_url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=PATIENCE):
            return True
    except OSError:
        return False
