"""Text becomes token ids once: ragged, no padding, kept as an artifact and read back memory-mapped."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hskd_lightning.data.examples import Corpus, Examples, Task

CHUNK = 4096
FLAT = ("input_ids", "token_type_ids", "special")
"""The tensors of a split that have a number for each token."""
_NO_TOKENS = tuple(torch.zeros(0, dtype=kind) for kind in (torch.int64, torch.int32, torch.int8, torch.bool))
"""No lengths, and no numbers in the tensors that FLAT names: chunks are of these types, a sixth of Python's numbers."""


@dataclass(frozen=True)
class TokenSplit:
    """One split as token ids: example i owns `lengths[i]` neighbours from `starts[i]` on in each of the flat tensors.

    Splits of one corpus share the flat tensors, which stay on disk until they are touched: an example of a split weighs
    four numbers in memory, however long its text is.
    """

    ids: Tensor  # (N,) int64
    labels: Tensor  # (N,) int64 or float32
    offsets: Tensor  # (N + 1,) int64: tokens of the examples before
    input_ids: Tensor  # (all tokens,) int32
    token_type_ids: Tensor  # (all tokens,) int8
    special: Tensor  # (all tokens,) bool
    begin: Tensor | None = None  # (N,) int64; None: the flat tensors have these examples alone, one after another

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> Tensor:
        """(N,) int64: real tokens of each example."""
        return self.offsets.diff()

    def lengths_of(self, rows: Tensor) -> Tensor:
        """(n,) int64: real tokens of the examples at (n,) positions, without looking at the others."""
        return self.offsets[rows + 1] - self.offsets[rows]

    @property
    def starts(self) -> Tensor:
        """(N,) int64: where each example's tokens begin."""
        return self.offsets[:-1] if self.begin is None else self.begin

    def take(self, rows: Tensor) -> TokenSplit:
        """The examples at these positions, in this order, as a split of their own; no token is copied."""
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), self.lengths_of(rows).cumsum(0)])
        return replace(self, ids=self.ids[rows], labels=self.labels[rows], offsets=offsets, begin=self.starts[rows])


def concatenate(first: TokenSplit, second: TokenSplit) -> TokenSplit:
    """The examples of two splits as one; tokens are copied where the two share none."""
    flat = {name: getattr(first, name) for name in FLAT}
    shift = 0
    if first.input_ids.data_ptr() != second.input_ids.data_ptr():
        flat = {name: torch.cat([tensor, getattr(second, name)]) for name, tensor in flat.items()}
        shift = len(first.input_ids)
    return TokenSplit(
        ids=torch.cat([first.ids, second.ids]),
        labels=torch.cat([first.labels, second.labels]),
        offsets=torch.cat([first.offsets, first.offsets[-1] + second.offsets[1:]]),
        begin=torch.cat([first.starts, second.starts + shift]),
        **flat,
    )


@dataclass(frozen=True)
class TokenCorpus:
    """A task with its splits as token ids."""

    task: Task
    train: TokenSplit
    dev: dict[str, TokenSplit]


def tokenize(examples: Examples, tokenizer: PreTrainedTokenizerBase, max_length: int) -> TokenSplit:
    """Tokenise one split. Examples longer than `max_length` tokens are cut, the longer text of a pair first."""
    starts = range(0, len(examples), CHUNK)
    parts = [_tokenize(examples, slice(start, start + CHUNK), tokenizer, max_length) for start in starts]
    lengths, *flat = (torch.cat(column) for column in zip(*(parts or [_NO_TOKENS]), strict=True))
    regression = bool(examples.labels) and isinstance(examples.labels[0], float)
    return TokenSplit(
        ids=torch.tensor(examples.ids, dtype=torch.int64),
        labels=torch.tensor(examples.labels, dtype=torch.float32 if regression else torch.int64),
        offsets=torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
        **dict(zip(FLAT, flat, strict=True)),
    )


def _tokenize(
    examples: Examples, part: slice, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[Tensor, ...]:
    """(n,) lengths of some examples, and their flat tensors, in the order of FLAT."""
    encoded = tokenizer(
        examples.first[part],
        None if examples.second is None else examples.second[part],
        truncation="longest_first",
        max_length=max_length,
        return_token_type_ids=True,
        return_special_tokens_mask=True,
    )
    lengths = torch.tensor([len(row) for row in encoded["input_ids"]], dtype=torch.int64)
    columns = ("input_ids", "token_type_ids", "special_tokens_mask")
    flat = [list(chain.from_iterable(encoded[name])) for name in columns]
    return lengths, *(torch.tensor(column, dtype=none.dtype) for column, none in zip(flat, _NO_TOKENS[1:], strict=True))


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
        written = {key: tensor for key, tensor in vars(split).items() if key != "begin"}  # they begin at `offsets`
        save_file(written, folder / f"{name}.safetensors")


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
