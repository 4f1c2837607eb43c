"""Tokenizers: the one a checkpoint brings, or a WordPiece vocabulary trained on a task's own text."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, BertTokenizerFast, PreTrainedConfig, PreTrainedTokenizerBase

from hskd_lightning.data.examples import Examples
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import fingerprint

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The special tokens: ids 0 to 4, in this order."""


def texts_of(examples: Examples) -> Iterator[str]:
    """Every text of a split."""
    yield from examples.first
    yield from examples.second or ()


def train_wordpiece(texts: list[str], size: int) -> PreTrainedTokenizerBase:
    """An uncased WordPiece tokenizer of about `size` entries, the same in every process.

    The trainer meets the letters in the order of a hash that changes from process to process, and settles ties between
    merges by that order. Naming every letter beforehand, as if it were a special token, fixes both; the trained
    tokenizer itself is dropped, because it would cut such letters out of words.

    Raises:
        ConfigError: `size` has no room for the letters: each is an entry at a word's beginning and another inside one.
    """
    lowered = [text.lower() for text in texts]
    letters = sorted(set("".join(lowered)) - set(" \t\n"))
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fixed = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    if size < len(fixed):
        allowed = f"{len(fixed):,} or more: the texts have {len(letters):,} different letters"
        remedy = f"write teacher.init.vocabulary={2 * len(fixed)}, or take a pretrained teacher: teacher=minilm"
        raise ConfigError("teacher.init.vocabulary", size, allowed, remedy)
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=fixed, show_progress=False)
    trained.train_from_iterator(lowered, trainer)
    return BertTokenizerFast(vocab=trained.get_vocab(), do_lower_case=True)


def load_tokenizer(path: str, config: PreTrainedConfig | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id.

    Args:
        config: the model's, where the folder itself does not say what its vocabulary is for (TinyBERT's does not).

    Raises:
        ConfigError: there is none, or its files cannot be read.
    """
    try:
        return AutoTokenizer.from_pretrained(path, config=config)
    except Exception as error:  # out of reach, or a file that is there and none: each fails in its own way
        first = next(iter(str(error).splitlines()), type(error).__name__)
        remedy = f"check the spelling and the network, or fetch the folder again ({first})"
        raise ConfigError("path", path, "a folder or hub id with a tokenizer's files", remedy) from error


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Two tokenizers with one digest give the same ids for every text."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    for set_by_use in ("truncation", "padding"):
        state.pop(set_by_use)
    return fingerprint(state)
