"""GLUE, from the Hugging Face hub or from a folder laid out as GLUE itself is distributed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hskd_lightning.data import cells, table_files
from hskd_lightning.data.examples import Corpus, Examples, Task
from hskd_lightning.data.source_file import SourceFile, digest
from hskd_lightning.data.table_files import Labelled
from hskd_lightning.errors import ConfigError, shown

if TYPE_CHECKING:
    from datasets import Dataset

_SCORES = (0.0, 5.0)  # from unrelated to equivalent, on STS-B, GLUE's one regression task


@dataclass(frozen=True)
class _Spec:
    """Where one task keeps its text and labels, on the hub and in GLUE's own folder."""

    folder: str
    metric: str
    labels: tuple[str, ...] | None
    """Class names in the hub's order of ids, which the folder's reader follows; None: scores."""
    text: tuple[str, ...]
    """The hub's text columns."""
    label: str = "label"
    """The label's column in the folder's files; on the hub it is always `label`."""
    local_text: tuple[str, ...] | None = None
    """The text columns of the folder's files, where they have other names than the hub's."""
    header: tuple[str, ...] | None = None
    """The columns of files without a header line."""
    numbered: bool = True
    """Whether the folder's files write a class as its id rather than its name."""
    skip_broken: bool = False
    """Whether the files, as distributed, hold rows with a wrong number of columns."""
    dev: dict[str, tuple[str, str]] = field(default_factory=lambda: {"dev": ("validation", "dev.tsv")})
    """Each dev split's name on the hub and file in the folder."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read from the folder's files: the text, then the label."""
        return (*(self.local_text or self.text), self.label)

    @property
    def written(self) -> list[str]:
        """The classes as the folder's files write them, in the order of their ids."""
        return [str(number) if self.numbered else name for number, name in enumerate(self.labels or ())]

    @property
    def legend(self) -> str:
        """`written`, explained to a reader."""
        pairs = zip(self.written, self.labels or (), strict=True)
        return ", ".join(name if code == name else f"{code} ({name})" for code, name in pairs)


_PAIR = ("sentence1", "sentence2")
_ENTAILED = ("entailment", "not_entailment")

_SPECS = {
    "cola": _Spec(
        folder="CoLA",
        metric="mcc",
        labels=("unacceptable", "acceptable"),
        text=("sentence",),
        header=("source", "label", "star", "sentence"),
    ),
    "sst2": _Spec(folder="SST-2", metric="accuracy", labels=("negative", "positive"), text=("sentence",)),
    "mrpc": _Spec(
        folder="MRPC",
        metric="accuracy_f1",
        labels=("not_equivalent", "equivalent"),
        text=_PAIR,
        local_text=("#1 String", "#2 String"),
        label="Quality",
    ),
    "stsb": _Spec(folder="STS-B", metric="pearson_spearman", labels=None, text=_PAIR, label="score"),
    "qqp": _Spec(
        folder="QQP",
        metric="accuracy_f1",
        labels=("not_duplicate", "duplicate"),
        text=("question1", "question2"),
        label="is_duplicate",
        skip_broken=True,
    ),
    "qnli": _Spec(folder="QNLI", metric="accuracy", labels=_ENTAILED, text=("question", "sentence"), numbered=False),
    "mnli": _Spec(
        folder="MNLI",
        metric="accuracy",
        labels=("entailment", "neutral", "contradiction"),
        text=("premise", "hypothesis"),
        local_text=_PAIR,
        label="gold_label",
        numbered=False,
        dev={
            "dev": ("validation_matched", "dev_matched.tsv"),
            "dev_mm": ("validation_mismatched", "dev_mismatched.tsv"),
        },
    ),
    "rte": _Spec(folder="RTE", metric="accuracy", labels=_ENTAILED, text=_PAIR, numbered=False),
}


def tasks_in(root: Path) -> list[str]:
    """The tasks that have a folder below this one."""
    return [task for task, spec in _SPECS.items() if (root / spec.folder).is_dir()]


def _folder(root: str) -> Path:
    if not isinstance(root, str) or not root.strip():
        remedy = "set data.root=path/to/glue, or data.root=null for the hub"
        raise ConfigError("data.root", root, "the path of a folder that holds CoLA/train.tsv and its like", remedy)
    return Path(os.path.expanduser(root))  # Path.expanduser fails of a user that there is not


class Glue:
    """One GLUE task.

    An example's id is its `idx` on the hub and its row, from 0, in a local file. The two agree where the hub
    kept the order of GLUE's files, which for MRPC it did not. The text is delivered as it is, empty questions
    of QQP included, so that scores compare with published ones.

    Args:
        task: cola, sst2, mrpc, stsb, qqp, qnli, mnli or rte.
        root: the folder that holds CoLA/train.tsv and its like; None reads from the hub.
        revision: the hub commit, branch or tag; without meaning for a local folder.
        hub: the dataset on the hub, for a mirror of the original.

    Raises:
        ConfigError: there is no such task, or `root` is no path.
    """

    def __init__(
        self, task: str, root: str | None = None, revision: str | None = None, hub: str = "nyu-mll/glue"
    ) -> None:
        if task not in tuple(_SPECS):
            raise ConfigError("data.task", task, ", ".join(_SPECS), "choose one of these tasks")
        self._spec = _SPECS[task]
        self._root = None if root is None else _folder(root)
        self._revision = revision
        self._hub = hub
        self.task = Task(name=task, metric=self._spec.metric, labels=self._spec.labels)

    def load(self) -> Corpus:
        """Read the train and dev splits.

        Raises:
            ConfigError: the hub is out of reach, or the data are missing, broken or unlabelled.
        """
        return self._from_hub() if self._root is None else self._from_folder(self._root)

    def digest(self) -> str:
        """A short name for the data: from the files' bytes or, without asking the hub, from its address."""
        if self._root is None:
            return digest([self._hub, self.task.name, self._revision])
        return digest([self.task.name], [self._source(self._root, file) for file in self._files])

    @property
    def _files(self) -> list[str]:
        return ["train.tsv", *(file for _, file in self._spec.dev.values())]

    def check_beginnings(self) -> None:
        """Read the first example of each of a local folder's files: a moment, where `load` may take a minute.

        Raises:
            ConfigError: a file is missing, has no example, or its first one is none of this task.
        """
        assert self._root is not None, "the hub has no files to begin with"
        for file in self._files:
            source = self._source(self._root, file)
            if next(self._rows(source), None) is None:
                raise table_files.no_rows(source)

    def _from_folder(self, root: Path) -> Corpus:
        train = self._read(self._source(root, "train.tsv"))
        sources = {name: self._source(root, file) for name, (_, file) in self._spec.dev.items()}
        dev = {name: table_files.scorable(source, self.task, self._read(source)) for name, source in sources.items()}
        return Corpus(self.task, train, dev)

    def _source(self, root: Path, file: str) -> SourceFile:
        if not root.is_dir():
            allowed = f"an existing folder with {self._spec.folder}/{file}"
            remedy = f"correct it (a relative path starts at {Path.cwd()}), or set data.root=null for the hub"
            fault = f"{root}: {'a file' if root.exists() else 'no such folder'}"
            raise ConfigError("data.root", fault, allowed, remedy)
        return SourceFile(root / self._spec.folder / file, "data.root")

    def _read(self, source: SourceFile) -> Examples:
        return table_files.collect(source, self._rows(source))

    def _rows(self, source: SourceFile) -> Iterator[Labelled]:
        spec = self._spec
        classes = {name: number for number, name in enumerate(spec.written)}
        for record in table_files.unquoted(source, spec.columns, spec.header, spec.skip_broken):
            *texts, written = (str(value) for value in record.values)
            label = self._score(source, record.line, written) if spec.labels is None else classes.get(written)
            if label is None:
                fault = f"the label {shown(written)}"
                raise source.error(fault, spec.legend, "use the labelled files of the task", record.line)
            yield Labelled(record.row, tuple(texts), label)

    def _score(self, source: SourceFile, line: int, written: str) -> float:
        value = cells.score(source, line, written)
        if not _SCORES[0] <= value <= _SCORES[1]:
            allowed = f"{_SCORES[0]} to {_SCORES[1]}"
            raise source.error(f"the score {written}", allowed, "use the labelled files of the task", line)
        return value

    def _from_hub(self) -> Corpus:
        import datasets  # here, since its import takes seconds that a local folder need not cost

        try:
            splits = datasets.load_dataset(self._hub, self.task.name, revision=self._revision)
        except OSError as error:
            fault = f"{self._hub}: {error}"
            remedy = "check the network and the revision, or give data.root a folder with GLUE's files"
            raise ConfigError("data.hub", fault, "a dataset within reach", remedy) from error
        dev = {name: self._convert(splits[split], split) for name, (split, _) in self._spec.dev.items()}
        return Corpus(self.task, self._convert(splits["train"], "train"), dev)

    def _convert(self, split: Dataset, name: str) -> Examples:
        first, *second = (split[column][:] for column in self._spec.text)
        ids, labels = split["idx"][:], split["label"][:]
        for number, label in zip(ids, labels, strict=True):
            # The hub writes -1 for the labels of the test splits, which GLUE's server keeps to itself.
            if label < 0:
                fault = f"{self._hub}, {self.task.name}, {name}: the label {label} at idx {number}"
                remedy = "use the train and validation splits: a test split cannot be scored"
                raise ConfigError("data.hub", fault, "labelled examples", remedy)
        return Examples(ids=ids, first=first, second=second[0] if second else None, labels=labels)
