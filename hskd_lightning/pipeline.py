"""One cell, from its configuration to its score.

resolve -> assets (tokens, teacher, student, knowledge) -> hidden stage -> prediction stage -> score dev -> result.json
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger
from transformers import PreTrainedModel

from hskd_lightning import config as configuration
from hskd_lightning import console, ranks
from hskd_lightning.assets import Assets
from hskd_lightning.data.loader import Reader, ResumableLoader
from hskd_lightning.data.metrics import metric_of
from hskd_lightning.data.predictions import Predictions, write_predictions
from hskd_lightning.experiment import Experiment
from hskd_lightning.explain import measure_amount, say_plan
from hskd_lightning.finished import say_done_before, say_result
from hskd_lightning.follower import follow, follows
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.models import encoder
from hskd_lightning.runs.axes import axes
from hskd_lightning.runs.cell import Cell
from hskd_lightning.runs.device import check_devices, count_gpu_memory, gpu_name, peak_gpu_memory_mb, settle
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.provenance import git_sha, peak_memory_mb, versions
from hskd_lightning.runs.result import FAMILIES, Result
from hskd_lightning.runs.trackers import replay, report, trackers, unreported
from hskd_lightning.settings.stages import HIDDEN, PREDICTION
from hskd_lightning.training import fit
from hskd_lightning.training.distiller import Distiller
from hskd_lightning.training.evaluate import predict, score
from hskd_lightning.training.metrics_csv import MetricsCsv
from hskd_lightning.training.module import EncoderModule, FineTuner, plain_config
from hskd_lightning.training.team import ALONE, Team, assembled

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float | None:
    """Run a cell, or return the score of one that is done.

    Returns:
        the score on dev of the checkpoint chosen on the selection split; None on a rank that follows.

    Raises:
        ConfigError: a mistake in the configuration or the data.
        TrainingError: a training that cannot go on.
    """
    console.quiet()
    experiment = Experiment.resolve(configuration.plain(cfg))
    settings = experiment.settings
    check_devices(settings.trainer)
    if settings.export:
        from hskd_lightning.export.onnx_model import require_onnx  # here: few cells are exported

        require_onnx()
    runs = Path(settings.paths.runs)
    settle(settings.threads, settings.trainer)
    if follows(settings.trainer):
        follow(settings.trainer, settings.threads)
        return None
    team = assembled(settings.trainer, settings.threads)
    with team as ours, Cell.open(runs, experiment.cell_id, experiment.config, settings.force) as cell:
        if cell.result is None:
            cell.finish(_Run(experiment, cell, ours).result())
        else:
            say_done_before(cell)
            if unreported(settings.logger, cell.folder):
                _report_late(experiment, cell)
        result = say_result(cell)
    if settings.export:
        from hskd_lightning.export.student import export

        export(cell.folder)
    return result.score


class _Run:
    """One cell in progress."""

    def __init__(self, experiment: Experiment, cell: CellFolder, team: Team = ALONE) -> None:
        self.experiment = experiment
        self.settings = experiment.settings
        self.cell = cell
        self.team = team
        self.assets = Assets(experiment, team)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another rank has a part in what it trains, and not in its folder."""
        return _Run, (self.experiment, CellFolder(self.cell.folder), self.team)

    @cached_property
    def student(self) -> PreTrainedModel:
        """The student before it is taught."""
        return encoder.load_classifier(str(self.assets.student.folder))

    @cached_property
    def source(self) -> KnowledgeSource | None:
        """Who teaches it."""
        return self.assets.knowledge.source()

    def result(self) -> Result:
        """Run what is missing of the cell; its result."""
        experiment, assets, device = self.experiment, self.assets, self.settings.trainer.device
        count_gpu_memory(device)
        say_plan(experiment)
        amount = measure_amount(experiment, assets.corpus)
        flat = {**axes(experiment), **amount.flat(), "cell_id": self.cell.id}
        assets.knowledge.check_ready()
        assets.student.folder  # noqa: B018 | before the store: one from elsewhere must be of the teacher used here
        source = self.source
        tracked = trackers(self.settings.logger, self.cell.folder, flat, experiment.config, configuration.sweep_name())
        with tracked as loggers:
            facts = {stage: self._train(stage, loggers) for stage in experiment.stages}
            teacher_dev = assets.teacher.scores() if source is None else source.teacher_scores()
            scores = self._score(teacher_dev)
            columns = {
                **flat,
                "metric": experiment.task.metric,
                **scores["summary"],
                "selection_score": self._selection_score(facts[PREDICTION]),
                "dev": scores["dev"],
                "teacher_dev": teacher_dev,
                "teacher_weights": assets.teacher.digest() if source is None else source.teacher_weights(),
                "store": None if source is None else source.origin,
                "peak_memory_mb": peak_memory_mb(),
                "gpu": gpu_name(device),
                "peak_gpu_memory_mb": peak_gpu_memory_mb(device),
                "parameters_teacher": encoder.count_from_config(experiment.teacher_config),
                "parameters_student": encoder.count_parameters(self.student),
                **{f"{name}_{stage}": kept[name] for stage, kept in facts.items() for name in FAMILIES if name in kept},
                "layer_map": None if experiment.plan is None else str(experiment.plan.layer_map),
                "data_digest": experiment.dataset.digest(),
                "versions": versions(),
                "git_sha": git_sha(),
            }
            result = Result.of(columns)
            report(loggers, result)
        return result

    def _train(self, stage: str, loggers: Sequence[Logger]) -> dict[str, float]:
        """Train a stage unless it is whole; how long it took."""
        folder = self.cell.checkpoints / stage
        if not fit.is_whole(folder):
            self.team.everywhere(_Run.train_stage, self, stage, loggers=loggers)
        return fit.read_facts(folder)

    def train_stage(self, stage: str, loggers: Sequence[Logger] = ()) -> None:
        """Train a stage."""
        source = self.source
        module = self._module(stage, self.student)
        if source is not None:
            assert isinstance(module, Distiller)
            module.attach(source, self.assets.knowledge.first_step(source))
        if ranks.rank() == 0:
            self._take_over(module, stage, self.student)  # the other ranks get their weights from this one
        read = None if source is None else source.reader(stage == HIDDEN)
        batches, selection = self._batches(stage, read), self._selection(stage, read)
        folder = self.cell.checkpoints / stage
        fit.fit_stage(module, batches, folder, self.settings.trainer, selection, loggers)

    def _batches(self, stage: str, read: Reader | None = None) -> ResumableLoader:
        corpus, settings = self.assets.corpus, self.settings
        pad_to = corpus.pad_to if stage == HIDDEN else None
        batch_size, drop_last = self.experiment.stage(stage).batch_size, settings.preset.drop_last
        return corpus.train_batches(corpus.student_splits.train, batch_size, settings.seed, drop_last, pad_to, read)

    def _module(self, stage: str, student: PreTrainedModel) -> EncoderModule:
        settings = self.experiment.stage(stage)
        common: dict[str, Any] = {
            "stage": stage,
            "config": plain_config(student.config),
            "task": dataclasses.asdict(self.experiment.task),
            "settings": dataclasses.asdict(settings),
            "total_steps": settings.steps(len(self._batches(stage))),
            "seed": self.settings.seed,
        }
        if self.settings.knowledge.target == "labels":
            return FineTuner(**common)
        preset = self.settings.preset
        return Distiller(
            **common,
            teacher_width=self.experiment.teacher_config.hidden_size,
            temperature=self.settings.stage.prediction.temperature,
            soft_loss_mean=preset.soft_loss_mean,
            regression_target=preset.regression_target,
            map_init=self.settings.stage.hidden.map_init,
        )

    def _take_over(self, module: EncoderModule, stage: str, student: PreTrainedModel) -> None:
        """The hidden stage starts from the student's first weights, the prediction stage from the hidden stage's."""
        hidden = self.cell.checkpoints / HIDDEN
        if stage == PREDICTION and HIDDEN in self.experiment.stages:
            module.load_state_dict(fit.load_weights(hidden / fit.LAST))
        else:
            module.model.load_state_dict(student.state_dict())
            if stage == HIDDEN:
                self._start_map(module)

    def _start_map(self, module: EncoderModule) -> None:
        """The learned map starts as it was drawn, or from the one in the student's checkpoint."""
        start, widen = self.settings.stage.hidden.map_init, module.get_submodule("widen")
        if start == "torch" or not list(widen.parameters()):
            return
        own = self.assets.student.learned_map if start == "checkpoint" else {}
        if own:
            widen.load_state_dict(own)
        log.info("hidden: the learned map starts from %s", "the checkpoint's own" if own else "N(0, 0.02)")

    def _selection(self, stage: str, read: Reader | None) -> fit.Selection | None:
        """What the stage looks at; only the prediction stage keeps its best checkpoint, the hidden stage its last."""
        corpus, prediction = self.assets.corpus, self.settings.stage.prediction
        on_dev = stage == PREDICTION and prediction.select_on == "dev"
        split = next(iter(corpus.tokens.dev.values())) if on_dev else corpus.student_splits.selection
        if len(split) == 0:
            return None
        if stage == HIDDEN:
            return fit.Selection(corpus.eval_batches(split, corpus.pad_to, read))
        monitor = f"{stage}/selection_{metric_of(self.experiment.task).headline}"
        return fit.Selection(corpus.eval_batches(split), monitor, every_steps=prediction.eval_every)

    def _score(self, teacher_dev: dict[str, dict[str, float]]) -> dict[str, Any]:
        """Score dev once for the selected and for the last weights, and leave the selected student to take away."""
        folder = self.cell.checkpoints / PREDICTION
        said = self._predict(folder / fit.LAST)
        last = self._figures(said)
        said = self._predict(folder / fit.best(folder), export=True)
        write_predictions(self.cell.predictions, said)
        selected = self._figures(said)
        score_selected, score_last = self._headline(selected), self._headline(last)
        summary = {
            "score": score_selected,
            "score_last": score_last,
            "score_best": max(score_selected, score_last),
            "teacher_score": self._headline(teacher_dev),
            "dev_examples": len(next(iter(said.values())).ids),
        }
        return {"summary": summary, "dev": selected}

    def _selection_score(self, facts: Mapping[str, float]) -> float | None:
        """What chose the checkpoint, where that was not dev."""
        return None if self.settings.stage.prediction.select_on == "dev" else facts.get("selection")

    def _headline(self, dev: dict[str, dict[str, float]]) -> float:
        """The figure that curves show, of the first split: dev, or MNLI's matched half."""
        return next(iter(dev.values()))[metric_of(self.experiment.task).headline]

    def _figures(self, said: dict[str, Predictions]) -> dict[str, dict[str, float]]:
        return {name: score(of, self.experiment.task) for name, of in said.items()}

    def _predict(self, path: Path, export: bool = False) -> dict[str, Predictions]:
        kind = FineTuner if self.settings.knowledge.target == "labels" else Distiller
        module = kind.load_from_checkpoint(fit.checked(path), map_location="cpu", weights_only=True)
        if export:
            module.model.save_pretrained(self.cell.student)
            self.assets.corpus.tokenizer.save_pretrained(self.cell.student)
        corpus, device = self.assets.corpus, self.settings.trainer.device
        module.eval().to(device)
        splits = corpus.tokens.dev.items()
        return {name: predict(module, corpus.eval_batches(split), device) for name, split in splits}


def _report_late(experiment: Experiment, cell: Cell) -> None:
    """A finished cell's axes, curves and scores, for a tracker that was not there when it ran."""
    result = cell.result
    assert result is not None
    cell.check("metrics.csv")
    counted = {name: value for name, value in result.columns().items() if name.startswith("knowledge_")}
    flat = {**axes(experiment), **counted, "cell_id": cell.id}
    logger = experiment.settings.logger
    with trackers(logger, cell.folder, flat, experiment.config, configuration.sweep_name()) as loggers:
        replay(loggers, MetricsCsv(cell.metrics).rows())
        report(loggers, result)
