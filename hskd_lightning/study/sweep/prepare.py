"""What all cells of a sweep wait for, made before the first of them starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from hskd_lightning import console
from hskd_lightning.assets import Assets
from hskd_lightning.errors import ConfigError, TrainingError
from hskd_lightning.experiment import Experiment
from hskd_lightning.study.sweep.plan import PlannedCell

log = logging.getLogger(__name__)


def make_teacher(cells: Sequence[PlannedCell]) -> None:
    """Make the one teacher of all these cells, with the threads of all: whoever made it with one would be waited for.

    Of several teachers each is made by the first cell that needs it, as many at a time as there are processes; and on
    a GPU a process more would only take memory.
    """
    if not cells or len({_teacher(cell) for cell in cells}) > 1:
        return
    console.quiet()
    try:
        experiment = Experiment.resolve(cells[0].config)
        settings = experiment.settings
        if settings.trainer.device.type != "cpu":
            return
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        teacher = Assets(experiment).teacher
        if teacher.at_hand is None:
            log.info("sweep: first the teacher of all cells, with %d threads", torch.get_num_threads())
            teacher.scores()
    except (ConfigError, TrainingError) as error:
        log.debug("each cell will say so itself: %s", error)


def _teacher(cell: PlannedCell) -> str:
    """What decides a cell's teacher, and a little more."""
    settings = cell.settings
    assert settings is not None
    return f"{settings.teacher} {settings.data} {settings.trainer.precision}"
