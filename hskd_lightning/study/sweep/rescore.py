"""Cells of before, brought up to today's results: what their students say of each dev example, from student/."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from hskd_lightning.artifacts import hold
from hskd_lightning.assets import Assets
from hskd_lightning.assets.corpus import artifacts
from hskd_lightning.data.metrics import metric_of
from hskd_lightning.data.predictions import Predictions, write_predictions
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.integrity import check_files
from hskd_lightning.knowledge.manifest import KIND, read_sealed
from hskd_lightning.models import encoder
from hskd_lightning.runs.axes import axes
from hskd_lightning.runs.cell import Cell
from hskd_lightning.runs.result import ADDED_BY_5, FILES, SCHEMA, Result, anew, older
from hskd_lightning.study.sweep.plan import Plan, PlannedCell
from hskd_lightning.training.evaluate import predict, score

log = logging.getLogger(__name__)


def rescore(plan: Plan) -> tuple[int, int]:
    """Score every finished cell of an older schema again; no student is trained. A cell that is damaged is named.

    Returns:
        how many were scored again, and how many of them came to another score than before.
    """
    scored = other = 0
    for cell in plan.to_run:
        try:
            columns = older(cell.folder / "result.json")
            if columns is None:
                continue
            again = _rescored(cell, columns)
        except ConfigError as error:
            log.warning("cell %s is left as it is.\n%s", cell.id, error)
            continue
        scored += 1
        other += abs(again - columns["score"]) > 1e-6
        log.info("cell %s: %.4f, %.4f before", cell.id, again, columns["score"])
    return scored, other


def _rescored(cell: PlannedCell, columns: dict[str, Any]) -> float:
    """Write what the student says, and the result with it; the score."""
    files = Cell(cell.folder)
    check_files(files.folder, columns.pop(FILES), "cell", anew(files.folder))
    experiment = Experiment.resolve(cell.config)
    said = _said(experiment, files.student)
    headline = metric_of(experiment.task).headline
    dev = {name: score(of, experiment.task) for name, of in said.items()}
    reached = next(iter(dev.values()))[headline]
    added = {
        "schema": SCHEMA,
        **{name: value for name, value in axes(experiment).items() if name in ADDED_BY_5},
        "teacher_weights": _weights(experiment, columns["store"]),
        "selection_score": None,
        "dev_examples": len(next(iter(said.values())).ids),
        "dev": dev,
        "score": reached,
        "score_best": max(reached, columns["score_last"]),
    }
    with hold(files.lock, f"cell {files.id}"):
        write_predictions(files.predictions, said)
        files.finish(Result.of({**columns, **added}))
    return reached


def _said(experiment: Experiment, student: Path) -> dict[str, Predictions]:
    model, device = encoder.load_classifier(str(student)).eval(), experiment.settings.trainer.device
    corpus = Assets(experiment).corpus
    classify = partial(encoder.logits, model.to(device))
    return {name: predict(classify, corpus.eval_batches(split), device) for name, split in corpus.tokens.dev.items()}


def _weights(experiment: Experiment, store: str | None) -> str | None:
    """Of the teacher, as its store knows it, or as it is at hand; None where neither is there any more."""
    if store is not None and (folder := artifacts(experiment) / KIND / store).is_dir():
        weights: str = read_sealed(folder)["facts"]["weights"]
        return weights
    return Assets(experiment).teacher.weights
