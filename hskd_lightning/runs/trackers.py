"""Trackers beside our own files: W&B and TensorBoard. They are told everything and asked nothing: never fatal."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from hskd_lightning.runs import routes
from hskd_lightning.runs.result import Result
from hskd_lightning.settings.groups import LoggerSettings
from hskd_lightning.training.metrics_csv import MetricsCsv

log = logging.getLogger(__name__)
OFFLINE_RUNS = "*/wandb/offline-run-*"
"""What cells leave below runs/ for `wandb sync`. Not the wandb folders: there, it would find `latest-run` too."""


@contextmanager
def trackers(
    settings: LoggerSettings,
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
    if settings.kind == "wandb":
        with _wandb(settings, cell_folder, axes, config, group) as run:
            yield [csv] if run is None else [csv, WandbLogger(experiment=run)]
    elif settings.kind == "tensorboard":
        board = TensorBoardLogger(cell_folder, name="", version="tensorboard")
        try:
            yield [csv, board]
        finally:
            board.finalize("success")  # Lightning does so after each stage; what is told after the last waits for this
    else:
        yield [csv]


@contextmanager
def _wandb(*start: Any) -> Iterator[Any | None]:
    """A W&B run, finished whatever happens: an unfinished one would swallow the next cell of the process."""
    import wandb  # here, and below: it takes a second, and few cells are tracked by it

    exit_code = 1
    try:
        yield start_wandb(*start)
        exit_code = 0
    finally:
        wandb.finish(exit_code)


def start_wandb(
    settings: LoggerSettings,
    cell_folder: Path,
    axes: Mapping[str, Any],
    config: Mapping[str, Any],
    group: str | None,
) -> Any | None:
    """One W&B run for the cell, offline where there is no key or no route; None if even that fails.

    The run's id is the cell's, except under an agent of a W&B sweep: the server waits for the id that it gave the
    agent, and wandb takes no other. The cell's is then the run's name and its `cell_id`.
    """
    import wandb

    for variable, folder in (("WANDB_CACHE_DIR", "cache"), ("WANDB_DATA_DIR", "data")):
        os.environ.setdefault(variable, str(cell_folder / "wandb" / folder))  # not the user's home
    mode = choose_mode(settings.mode)
    if mode == "offline":
        log.info("wandb: offline; upload all cells later with: wandb sync %s", cell_folder.parent / OFFLINE_RUNS)
    ours: dict[str, Any] = {"id": cell_folder.name, "project": settings.project, "entity": settings.entity}
    try:
        return wandb.init(
            **({} if under_agent() else ours),
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


def under_agent() -> bool:
    """Whether an agent of a W&B sweep started this process."""
    import wandb

    return bool(wandb.setup().settings.sweep_id)


def unreported(settings: LoggerSettings, cell_folder: Path) -> bool:
    """Whether W&B knows nothing yet of a finished cell: it ran with another logger, or an agent asks for it again."""
    return settings.kind == "wandb" and (under_agent() or not (cell_folder / "wandb").exists())


def report(loggers: Sequence[Logger], result: Result) -> None:
    """Tell the trackers what a cell ended with: each figure by itself, and its part of the marginal-utility curve.

    metrics.csv is of the training alone: what is reported here comes from result.json.
    """
    for tracker in loggers:
        if not isinstance(tracker, MetricsCsv):
            tracker.log_metrics({f"final/{name}": value for name, value in result.figures().items()})
        if isinstance(tracker, WandbLogger):
            for row in result.curve():
                tracker.log_metrics(row)


def replay(loggers: Sequence[Logger], rows: Iterable[tuple[str, int, float]]) -> None:
    """Tell the trackers what metrics.csv kept of a training: (name, step, value)."""
    for tracker in loggers:
        if not isinstance(tracker, MetricsCsv):
            for name, step, value in rows:
                tracker.log_metrics({name: value}, step)


def choose_mode(asked: str) -> Any:
    """`auto` is online only with a key and a route to the server; anything else is taken as it is.

    Without a route wandb is asked nothing: it would wait, and raise. Nor is it asked whether the key is a good one,
    which the start of a run finds out, where an error is none of the cell's.
    """
    if asked != "auto":
        return asked
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    import wandb

    online = routes.reachable(wandb.setup().settings.base_url) and wandb.login(prompt=False, verify=False)
    return "online" if online else "offline"
