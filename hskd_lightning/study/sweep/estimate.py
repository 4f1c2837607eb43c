"""What a sweep will cost, before anything runs: hours of training, bytes on disk."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from hskd_lightning.assets import Assets
from hskd_lightning.data.loader import collate
from hskd_lightning.data.split import shuffled
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.experiment import Experiment
from hskd_lightning.models import encoder
from hskd_lightning.runs.result import Result
from hskd_lightning.runs.state import State
from hskd_lightning.study.sweep.plan import Plan, PlannedCell

PROBED = 3
"""Steps that are timed where no finished cell tells how long one takes."""


@dataclass(frozen=True)
class Estimate:
    """What the cells that are not done will cost."""

    cells: int
    seconds: float
    """Seconds of training, one cell after another; teachers and stores come on top."""
    weights_bytes: int
    """Bytes of the checkpoints and students that will be written."""
    measured: int
    """Finished cells that the pace was taken from; 0: a probe of a few steps."""


def estimate(plan: Plan) -> Estimate:
    """Price the rest of a sweep by the pace of its finished cells, or by a probe for each student."""
    rest = plan.in_state(State.MISSING, State.RUNNING, State.INTERRUPTED, State.FAILED)
    paces: dict[str, list[float]] = {}
    for cell in plan.in_state(State.DONE):
        if (result := cell.result) is not None:
            paces.setdefault(_student(cell), []).append(_pace(result))
    probed: dict[str, float] = {}
    seconds, weights = 0.0, 0
    for cell in rest:
        experiment = Experiment.resolve(cell.config)
        student = _student(cell)
        if student not in paces and student not in probed:
            probed[student] = probe(experiment)
        pace = statistics.median(paces[student]) if student in paces else probed[student]
        seconds += pace * _steps(experiment)
        weights += 4 * (2 + len(experiment.stages)) * encoder.count_from_config(experiment.student_config)
    return Estimate(len(rest), seconds, weights, sum(map(len, paces.values())))


def _student(cell: PlannedCell) -> str:
    """What decides how long a step takes, but for the machine."""
    settings = cell.settings
    assert settings is not None
    return f"{settings.student} {settings.data.max_length}"


def _pace(result: Result) -> float:
    """Seconds a step, both stages together."""
    return sum(result.seconds.values()) / max(1, sum(result.steps.values()))


def _steps(experiment: Experiment) -> int:
    split = Assets(experiment).corpus.student_splits.train
    total = 0
    for stage in experiment.stages:
        settings = experiment.stage(stage)
        total += settings.steps(-(-len(split) // settings.batch_size))
    return total


def probe(experiment: Experiment) -> float:
    """Seconds a step: a student of this shape, forward and backward, on a few batches of its data."""
    corpus, device = Assets(experiment).corpus, experiment.settings.trainer.device
    split: TokenSplit = corpus.student_splits.train
    model = encoder.build_classifier(experiment.student_config).train().to(device)
    rows = shuffled(len(split), seed=0)[: 32 * PROBED].split(32)
    batches = [collate(split, part, corpus.tokenizer.pad_token_id).to(device) for part in rows]
    encoder.logits(model, batches[0]).sum().backward()  # the first sets things up
    started = time.perf_counter()
    for batch in batches:
        encoder.logits(model, batch).sum().backward()
    return (time.perf_counter() - started) / len(batches)
