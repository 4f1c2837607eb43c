"""Text becomes token ids once: ragged, no padding, kept as an artifact and read back memory-mapped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hskd_lightning.data.examples import Corpus, Examples, Task

CHUNK = 4096


@dataclass(frozen=True)
class TokenSplit:
    """One split as token ids: example i owns the slice offsets[i] : offsets[i+1] of the flat tensors."""

    ids: Tensor  # (N,) int64
    labels: Tensor  # (N,) int64 or float32
    offsets: Tensor  # (N + 1,) int64
    input_ids: Tensor  # (sum of lengths,) int32
    token_type_ids: Tensor  # (sum of lengths,) int8
    special: Tensor  # (sum of lengths,) bool

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> Tensor:
        """(N,) int64: real tokens of each example."""
        return self.offsets.diff()

    def take(self, rows: Tensor) -> TokenSplit:
        """The examples at these positions, in this order, as a split of their own."""
        starts, lengths = self.offsets[rows], self.lengths[rows]
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        within = torch.arange(int(offsets[-1])) - offsets[:-1].repeat_interleave(lengths)
        flat = starts.repeat_interleave(lengths) + within
        return TokenSplit(
            ids=self.ids[rows],
            labels=self.labels[rows],
            offsets=offsets,
            input_ids=self.input_ids[flat],
            token_type_ids=self.token_type_ids[flat],
            special=self.special[flat],
        )


def concatenate(first: TokenSplit, second: TokenSplit) -> TokenSplit:
    """The examples of two splits as one."""
    joined = {name: torch.cat([getattr(first, name), getattr(second, name)]) for name in vars(first)}
    joined["offsets"] = torch.cat([first.offsets, first.offsets[-1] + second.offsets[1:]])
    return TokenSplit(**joined)


@dataclass(frozen=True)
class TokenCorpus:
    """A task with its splits as token ids."""

    task: Task
    train: TokenSplit
    dev: dict[str, TokenSplit]


def tokenize(examples: Examples, tokenizer: PreTrainedTokenizerBase, max_length: int) -> TokenSplit:
    """Tokenise one split. Examples longer than `max_length` tokens are cut, the longer text of a pair first."""
    input_ids: list[int] = []
    types: list[int] = []
    special: list[int] = []
    lengths: list[int] = []
    for start in range(0, len(examples), CHUNK):
        part = slice(start, start + CHUNK)
        encoded = tokenizer(
            examples.first[part],
            None if examples.second is None else examples.second[part],
            truncation="longest_first",
            max_length=max_length,
            return_token_type_ids=True,
            return_special_tokens_mask=True,
        )
        for row, row_types, row_special in zip(
            encoded["input_ids"], encoded["token_type_ids"], encoded["special_tokens_mask"], strict=True
        ):
            input_ids += row
            types += row_types
            special += row_special
            lengths.append(len(row))
    regression = bool(examples.labels) and isinstance(examples.labels[0], float)
    return TokenSplit(
        ids=torch.tensor(examples.ids, dtype=torch.int64),
        labels=torch.tensor(examples.labels, dtype=torch.float32 if regression else torch.int64),
        offsets=torch.tensor([0, *lengths]).cumsum(0),
        input_ids=torch.tensor(input_ids, dtype=torch.int32),
        token_type_ids=torch.tensor(types, dtype=torch.int8),
        special=torch.tensor(special, dtype=torch.bool),
    )


def tokenize_corpus(corpus: Corpus, tokenizer: PreTrainedTokenizerBase, max_length: int) -> TokenCorpus:
    """Tokenise every split of a corpus."""
    return TokenCorpus(
        task=corpus.task,
        train=tokenize(corpus.train, tokenizer, max_length),
        dev={name: tokenize(split, tokenizer, max_length) for name, split in corpus.dev.items()},
    )


def write_tokens(corpus: TokenCorpus, folder: Path) -> None:
    """Write a corpus into `folder`: task.json, and one safetensors file a split."""
    task = corpus.task
    splits = {"train": corpus.train, **corpus.dev}
    described = {"name": task.name, "metric": task.metric, "labels": task.labels, "dev": list(corpus.dev)}
    (folder / "task.json").write_text(json.dumps(described, indent=2))
    for name, split in splits.items():
        save_file(dict(vars(split)), folder / f"{name}.safetensors")


def read_tokens(folder: Path) -> TokenCorpus:
    """Read what `write_tokens` wrote; the tensors stay on disk until they are touched."""
    described = json.loads((folder / "task.json").read_text())
    labels = described["labels"]
    task = Task(described["name"], described["metric"], None if labels is None else tuple(labels))
    dev = {name: _read_split(folder / f"{name}.safetensors") for name in described["dev"]}
    return TokenCorpus(task, _read_split(folder / "train.safetensors"), dev)


def _read_split(path: Path) -> TokenSplit:
    with safe_open(path, "pt") as file:
        return TokenSplit(**{name: file.get_tensor(name) for name in file.keys()})
