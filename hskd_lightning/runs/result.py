"""result.json: what a cell ended with, in flat columns. All that a study, a tracker or a card knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import Digests, damaged, read_json, write_json

SCHEMA = 5
"""Of the columns below. 4 has no predictions beside it, and none of `ADDED_BY_5`; 3 has `store_dtype` for bits, and no
`knowledge_token_bits`; 2 has no GPU; 1 is every result from before results said which: as 2, without `schema`.
"""
ADDED_BY_5 = ("teacher_seed", "teacher_weights", "selection_score", "dev_examples", "baseline", "hsk_path")
FILES = "files"
"""The field of result.json with the digests of the cell's other files; no column."""
STAGES = ("hidden", "prediction")
FAMILIES = ("seconds", "steps", "clipped")
"""The fields of `Result` with a value for each stage, in tables `<family>_<stage>`."""
OPTIONS = ("depth_", "length_", "width_", "bits_", "control_", "student_init_")
"""What the columns of `Result.options` begin with."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished cell. Each field is a column of result.json, results.csv and the trackers, except for four families.

    `options`, `seconds`, `steps` and `clipped` are columns of their own for each entry; see there for their names.
    """

    schema: int = SCHEMA
    """The version of these columns."""
    cell_id: str
    """Ten hex digits for the whole question; the name of the cell's folder."""

    # What was asked: the axes.

    task: str
    """What was learned, such as sst2 or polarity."""
    teacher: str
    """The name of the teacher: that of its yaml."""
    teacher_seed: int | None
    """Of its fine-tuning, which is the same for all cells that have one teacher."""
    student: str
    """The name of the student: that of its yaml."""
    student_init: str
    """How the student's first weights came about."""
    knowledge: str
    """Where knowledge came from: offline, online, logits, labels."""
    baseline: str | None
    """How long a student learned from logits alone: `total`, as many steps as a distilled student has in both stages;
    `prediction` or `hidden`, as many as in that one; null for every other student."""
    preset: str
    """The switches of the released code: default, paper."""
    control: str | None
    """What was taught in the place of hidden states; null: these themselves, or none at all."""
    hsk_amount: float | None
    """The share of full HSK that was asked for, 0 to 1; null: all that has no `keep`."""
    hsk_path: str | None
    """How that share was shared out over layers, tokens and units; null where nothing was."""
    seed: int
    """The student's: first weights, order of batches, dropout."""
    depth: str | None
    """The strategy that chose layers; null where no hidden states were distilled, as the next two."""
    length: str | None
    """The strategy that chose tokens."""
    width: str | None
    """The strategy that chose hidden units."""
    bits: str | None
    """The strategy that chose how finely values are said: fp16, planes, ...; null as the above."""
    options: Mapping[str, Any]
    """The options of the above, a column each: `length_keep`, `width_masked`, `depth_top`, `control_seed`,
    `student_init_blocks`, ... `<axis>_keep` is a share below 1, a count from 1 on, null for all of it."""

    # What it cost in knowledge: means of the training split.

    knowledge_scalars: float
    """Hidden-state values an example; 0 where none were distilled."""
    knowledge_bytes: float
    """Bytes an example of these values, and of what places them."""
    knowledge_token_bits: int
    """Bits of a kept token in a layer: its values and, where it has units of its own, which they are."""
    knowledge_shared_bytes: float
    """Bytes of what all examples share (components, masks, codebooks), divided by their number; not in the above."""
    knowledge_full_scalars: float
    """Hidden-state values an example that this teacher has for this student: full HSK."""
    knowledge_fraction: float
    """Share of full HSK, 0 to 1; above it only where padding is distilled too."""

    # How good it is.

    metric: str
    """The task's metric: accuracy, accuracy_f1, mcc, pearson_spearman."""
    score: float
    """Its headline figure on dev, of the checkpoint that the selection split chose."""
    score_last: float
    """The same of the last checkpoint."""
    score_best: float
    """The better of the two."""
    selection_score: float | None
    """The same figure on the selection split, of the checkpoint that it chose; null where it chose none."""
    dev_examples: int
    """Examples of the first dev split, of which `score` is."""
    teacher_score: float
    """The headline figure of the teacher on dev."""
    dev: Mapping[str, Mapping[str, float]]
    """Every metric of the student by dev split; in tables `dev_<split>_<metric>`."""
    teacher_dev: Mapping[str, Mapping[str, float]]
    """The same of the teacher; in tables `teacher_dev_<split>_<metric>`."""

    # What it cost to make.

    seconds: Mapping[str, float]
    """Seconds of training by stage, those before a kill included: `seconds_hidden`, `seconds_prediction`."""
    steps: Mapping[str, int]
    """Optimiser steps by stage: `steps_hidden`, `steps_prediction`."""
    clipped: Mapping[str, float]
    """The share of these steps whose gradients were clipped, 0 to 1: `clipped_hidden`, `clipped_prediction`."""
    peak_memory_mb: float
    """The most memory that the process had resident, in 10^6 bytes."""
    gpu: str | None
    """The name of the GPU that trained the student; null: none did."""
    peak_gpu_memory_mb: float | None
    """The most memory of it that the cell's tensors took, in 10^6 bytes; null without a GPU."""
    parameters_teacher: int
    """Parameters of the teacher, its head included."""
    parameters_student: int
    """Parameters of the student, its head included."""

    # Where it comes from.

    teacher_weights: str | None
    """A hash of the teacher's weights: one recipe is another teacher on another machine."""
    layer_map: str | None
    """Which state of the student learned from which of the teacher: `1<-2, 2<-4`; null where none did."""
    store: str | None
    """The hash of the store; null: the teacher was in the loop, or not needed."""
    data_digest: str
    """16 hex digits of the data's content."""
    versions: Mapping[str, str]
    """Python and the packages that decide numbers; in tables `versions_<package>`."""
    git_sha: str | None
    """The commit of the code, `-dirty` if it was changed since; null outside a checkout."""

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Result:
        """The result that has these columns.

        Raises:
            TypeError: a column is missing, or there is none of such a name.
        """
        families: dict[str, Any] = {kind: _family(kind, columns) for kind in FAMILIES}
        timed = {f"{kind}_{stage}" for kind, by_stage in families.items() for stage in by_stage}
        options = {name: value for name, value in columns.items() if name.startswith(OPTIONS)}
        own = {name: value for name, value in columns.items() if name not in {*timed, *options}}
        return cls(**own, **families, options=options)

    def columns(self) -> dict[str, Any]:
        """What `of` takes: every column by its name."""
        own = {name: getattr(self, name) for name in COLUMNS}
        return own | dict(self.options) | self._by_stage()

    def figures(self) -> dict[str, float]:
        """What came of the cell in numbers: scores and costs, but none of its axes and amounts."""
        scores = {name: getattr(self, name) for name in FIGURES}
        there = {name: value for name, value in scores.items() if value is not None}
        return there | self._by_stage()

    def _by_stage(self) -> dict[str, float]:
        """The columns of the families that have a value for each stage."""
        return {f"{kind}_{stage}": value for kind in FAMILIES for stage, value in getattr(self, kind).items()}

    def write(self, path: Path, files: Digests) -> None:
        """Write result.json, whole or not at all.

        Args:
            path: result.json.
            files: the digests of the cell's other files, for which it vouches.
        """
        write_json(path, {**self.columns(), FILES: files})

    @classmethod
    def read(cls, path: Path) -> Result:
        """What `write` wrote.

        Raises:
            ConfigError: the file is not what was written, or of another schema.
        """
        return cls.of({name: value for name, value in _read(path).items() if name != FILES})

    def curve(self) -> list[dict[str, float]]:
        """The cell's part of the marginal-utility curve: rows of `curve/fraction` and a score.

        Trackers' line plots know no reference lines, so what belongs to no single fraction of full HSK has a row at
        both ends: the teacher's `curve/teacher`, and a baseline's `curve/logits` or `curve/labels`, with
        `_prediction` or `_hidden` behind it where it has that stage's steps alone. Other cells are points.
        """
        fraction = self.knowledge_fraction
        shorter = f"_{self.baseline}" if self.baseline not in (None, "total") else ""
        name, where = ("score", [fraction]) if fraction else (f"{self.knowledge}{shorter}", [0.0, 1.0])
        teacher = [{"curve/fraction": end, "curve/teacher": self.teacher_score} for end in (0.0, 1.0)]
        return teacher + [{"curve/fraction": at, f"curve/{name}": self.score} for at in where]


COLUMNS = tuple(field.name for field in fields(Result) if field.name not in ("options", *FAMILIES))
"""The columns that every result has."""
FIGURES = (
    *("score", "score_last", "score_best", "selection_score", "teacher_score"),
    *("peak_memory_mb", "peak_gpu_memory_mb", "parameters_teacher", "parameters_student"),
)


def anew(folder: Path) -> str:
    """How the result of a cell is made again; its stages are not trained anew."""
    return f"rm {folder / 'result.json'}, and the same command ends the cell again"


def check_schema(schema: object, where: str, remedy: str) -> None:
    """Refuse columns of another version.

    Raises:
        ConfigError: with both versions.
    """
    if schema != SCHEMA:
        allowed = f"schema {SCHEMA}, which this version of hskd-lightning reads and writes"
        raise ConfigError("schema", f"{schema} in {where}", allowed, remedy)


def read_digests(path: Path) -> Digests:
    """The digests in a result.json of the cell's other files, by relative name.

    Raises:
        ConfigError: the file is not what was written, or of another schema.
    """
    files: Digests = _read(path)[FILES]
    return files


def older(path: Path) -> dict[str, Any] | None:
    """The columns, and the digests, of a result of schema 4; None where there is no such result.

    Raises:
        ConfigError: the file is not what was written.
    """
    if not path.exists():
        return None
    columns = read_json(path, "cell", anew(path.parent), ("cell_id", FILES))
    return columns if columns.get("schema") == SCHEMA - 1 else None


def _read(path: Path) -> dict[str, Any]:
    remedy = anew(path.parent)
    columns = read_json(path, "cell", remedy, ("cell_id", FILES))
    check_schema(columns.get("schema", 1), str(path), remedy)
    if lacking := [name for name in COLUMNS if name not in columns]:
        raise damaged(path, f"it lacks {', '.join(lacking)}", "cell", remedy)
    return columns


def _family(kind: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {stage: columns[f"{kind}_{stage}"] for stage in STAGES if f"{kind}_{stage}" in columns}
