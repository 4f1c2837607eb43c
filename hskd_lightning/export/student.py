"""Export a finished cell: write every form of its student, check and score each, and measure what it costs."""

from __future__ import annotations

import dataclasses
import logging
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor
from transformers import PreTrainedModel

from hskd_lightning import config as configuration
from hskd_lightning import console
from hskd_lightning.assets import Assets
from hskd_lightning.consistency import positions
from hskd_lightning.data.metrics import metric_of
from hskd_lightning.data.vocabulary import load_tokenizer
from hskd_lightning.errors import ConfigError, command
from hskd_lightning.experiment import Experiment
from hskd_lightning.export.card import model_card
from hskd_lightning.export.cost import latencies, lengths_within, multiply_adds, random_batch
from hskd_lightning.export.onnx_model import (
    TOLERANCE,
    OnnxModel,
    largest_difference,
    require_onnx,
    write_int8,
    write_onnx,
)
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.integrity import check_files, damaged, digests, read_json, write_json
from hskd_lightning.models import encoder
from hskd_lightning.models.rosita import RositaConfig
from hskd_lightning.runs.folder import EXPORT, CellFolder
from hskd_lightning.runs.result import FILES, Result
from hskd_lightning.settings import read_settings
from hskd_lightning.training.evaluate import predict, score

log = logging.getLogger(__name__)
FIGURES = "export.json"
Predict = Callable[[TokenBatch], Tensor]


class ExportError(RuntimeError):
    """An exported file that does not compute what the student does."""


def export(cell: Path, overrides: Sequence[str] = (), force: bool = False, seconds: float = 2.0) -> Path:
    """Make runs/<cell_id>/export/, whole or not at all; one that is there is kept.

    Args:
        cell: the folder of a finished cell.
        overrides: `paths.*` and the like, where the cell has moved since.
        force: make it again.
        seconds: about how long to measure each latency.

    Raises:
        ConfigError: no such cell, one that is not done, data that has changed since, or a missing package.
        ExportError: the ONNX file's logits are not the student's.
    """
    require_onnx()
    final = cell / EXPORT
    if force or not final.is_dir():
        result = _finished(CellFolder(cell))
        partial = cell / f"{EXPORT}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(cell / "student", partial)
        _Exporter(partial, result, _experiment(cell, overrides), seconds).write()
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    check_files(final, read_figures(final)[FILES], "export", anew(final))
    show(final)
    return final


def _finished(cell: CellFolder) -> Result:
    result = cell.result
    if result is None:
        raise ConfigError(
            "export", str(cell.folder), "the folder of a finished cell: runs/<cell_id>", "run train.py first"
        )
    cell.check("config.yaml", "student")
    return result


def _experiment(cell: Path, overrides: Sequence[str]) -> Experiment:
    config = _configuration(cell / "config.yaml", overrides)
    try:
        read_settings(config)
    except ConfigError as error:
        if any(word.partition("=")[0] == error.key for word in overrides):
            raise
        wrong = f"{error.key} = {error.value!r} is no setting that a cell has"
        raise damaged(cell / "config.yaml", wrong, "export", "run train.py again with force=true") from error
    experiment = Experiment.resolve(config)
    if experiment.cell_id != cell.name:
        allowed = f"the data and models that cell {cell.name} was made of"
        raise ConfigError("export", f"cell {experiment.cell_id}", allowed, "bring them back, or run train.py again")
    return experiment


def _configuration(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """A cell's configuration. It was resolved when it was written: one that interpolates was not written by a cell."""
    try:
        asked = OmegaConf.load(path)
        if "${" in path.read_text():
            raise ValueError("${...}, where a cell has plain values")
        merged = OmegaConf.merge(asked, OmegaConf.from_dotlist(list(overrides)))
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise damaged(path, f"it cannot be read ({error})", "export", "run train.py again with force=true") from error
    return configuration.plain(merged)  # type: ignore[arg-type]


class _Exporter:
    """An export in progress, in a folder that already holds the student's Hugging Face files."""

    def __init__(self, folder: Path, result: Result, experiment: Experiment, seconds: float) -> None:
        self.folder = folder
        self.result = result
        self.experiment = experiment
        self.assets = Assets(experiment)
        self.seconds = seconds
        self.lengths = lengths_within(
            min(positions(config) for config in (experiment.student_config, experiment.teacher_config))
        )

    def write(self) -> None:
        """Everything but the Hugging Face files."""
        student = encoder.load_classifier(str(self.folder)).eval()
        tokenizer = load_tokenizer(str(self.folder))
        tokenizer.model_max_length = self.experiment.settings.data.max_length  # what it was trained on
        tokenizer.save_pretrained(self.folder)
        onnx = self.folder / "onnx"
        onnx.mkdir()
        plain, int8 = onnx / "model.onnx", onnx / "model_int8.onnx"
        log.info("export: writing the student as ONNX")
        write_onnx(student, self._example(student), plain)
        log.info("export: comparing its logits with PyTorch's on dev")
        difference = self._check(student, plain)
        log.info("export: writing it with weights in int8")
        write_int8(plain, int8)
        forms = [
            *self._teacher(),
            self._form("student, PyTorch", student, _predict(student), self.folder / "model.safetensors"),
            self._form("student, ONNX", student, OnnxModel(plain), plain),
            self._form("student, ONNX int8", student, OnnxModel(int8), int8),
        ]
        log.info("export: writing the model card and the digests")
        rosita = isinstance(student.config, RositaConfig)
        (self.folder / "README.md").write_text(model_card(self.result, forms, tokenizer.model_max_length, rosita))
        figures = {"cell_id": self.result.cell_id, "onnx_difference": difference, "machine": _machine()}
        figures |= {"metric": self.result.metric, "forms": forms, FILES: digests(self.folder)}
        write_json(self.folder / FIGURES, figures)

    def _teacher(self) -> list[dict[str, Any]]:
        """The teacher's rows; none where its weights are not at hand: a store may have come from elsewhere."""
        path = self.assets.teacher.at_hand
        if path is None:
            log.info("export: the teacher is not at hand, so only the student is measured")
            return []
        teacher = encoder.load_classifier(path).eval()
        with tempfile.TemporaryDirectory() as place:
            teacher.save_pretrained(place)
            log.info("export: writing the teacher as ONNX, to be measured beside the student")
            weights, written = Path(place) / "model.safetensors", Path(place) / "model.onnx"
            write_onnx(teacher, self._example(teacher), written)
            reached = self.result.teacher_score
            return [
                self._form("teacher, PyTorch", teacher, _predict(teacher), weights, reached),
                self._form("teacher, ONNX", teacher, OnnxModel(written), written, reached),
            ]

    def _form(
        self, name: str, model: PreTrainedModel, predict: Predict, file: Path, reached: float | None = None
    ) -> dict[str, Any]:
        """One row: what this form of a model weighs, takes, and scores on dev."""
        log.info("export: measuring latency%s: %s", " and scoring dev" if reached is None else "", name)
        timed = latencies(predict, model.config.vocab_size, self.lengths, self.seconds)
        return {
            "form": name,
            "parameters": encoder.count_parameters(model),
            "bytes": file.stat().st_size,
            "multiply_adds_per_token": {tokens: multiply_adds(model, tokens) for tokens in self.lengths},
            "score": self._score(predict) if reached is None else reached,
            "latency": [dataclasses.asdict(each) for each in timed],
        }

    def _score(self, classify: Predict) -> float:
        """The headline figure on the first dev split, as in result.json."""
        split = next(iter(self.assets.corpus.tokens.dev.values()))
        said = predict(classify, self.assets.corpus.eval_batches(split), torch.device("cpu"))
        return score(said, self.experiment.task)[metric_of(self.experiment.task).headline]

    def _check(self, student: PreTrainedModel, written: Path) -> float:
        """The largest difference of a logit, on dev's own batches, on one example, and on one token."""
        split = next(iter(self.assets.corpus.tokens.dev.values()))
        odd = [random_batch(*shape, student.config.vocab_size) for shape in ((1, 1), (1, self.lengths[-1]), (3, 2))]
        batches = [*self.assets.corpus.eval_batches(split), *odd]
        difference = largest_difference(student, OnnxModel(written), batches)
        if difference > TOLERANCE:
            raise ExportError(f"the ONNX file's logits differ from the student's by {difference:.2g} ({written})")
        return difference

    def _example(self, model: PreTrainedModel) -> TokenBatch:
        batch = random_batch(2, min(8, self.lengths[-1]), model.config.vocab_size)
        batch.attention_mask[1, -2:] = 0
        return batch


def _predict(model: PreTrainedModel) -> Predict:
    return lambda batch: encoder.logits(model, batch)


def _machine() -> dict[str, Any]:
    return {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def read_figures(folder: Path) -> dict[str, Any]:
    """What an export's forms weigh, take and score.

    Raises:
        ConfigError: export.json is not what was written, or another cell's.
    """
    path = folder / FIGURES
    figures = read_json(path, "export", anew(folder), ("cell_id", FILES))
    if figures["cell_id"] != folder.parent.name:
        raise damaged(path, f"it is cell {figures['cell_id']}'s", "export", anew(folder))
    return figures


def anew(folder: Path) -> str:
    """What a person types to make an export again."""
    return f"make it anew: {command('export')} {folder.parent} --force"


def show(folder: Path) -> None:
    """The figures of an export as a table."""
    figures = read_figures(folder)
    forms = figures["forms"]
    sizes = [f"{each['batch']} x {each['tokens']}" for each in forms[0]["latency"]]
    header = ["", figures["metric"], "parameters", "MB", "M madds/token", *(f"{size}, ms" for size in sizes)]
    rows = [
        [
            form["form"],
            f"{form['score']:.4f}",
            f"{form['parameters']:,}",
            f"{form['bytes'] / 1e6:.1f}",
            " / ".join(f"{count / 1e6:.3g}" for count in form["multiply_adds_per_token"].values()),
            *(f"{each['p50_ms']:.2f} / {each['p95_ms']:.2f}" for each in form["latency"]),
        ]
        for form in forms
    ]
    console.show_table(header, rows)
    lengths = " / ".join(forms[0]["multiply_adds_per_token"])
    threads = figures["machine"]["threads"]
    log.info("export: multiply-adds at %s tokens; examples x tokens a call, p50 / p95, %d threads", lengths, threads)
    log.info("export: %s", folder)
