"""An experiment's text as token ids: tokenised once, divided into splits, drawn as batches."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from hskd_lightning.artifacts import Recipe, build_once
from hskd_lightning.data.loader import BucketedBatches, Collate, Reader, ResumableLoader, eval_loader, train_loader
from hskd_lightning.data.split import Splits, hold_out, limit
from hskd_lightning.data.tokens import TokenCorpus, TokenSplit, read_tokens, tokenize_corpus, write_tokens
from hskd_lightning.data.vocabulary import load_tokenizer, texts_of, tokenizer_digest, train_wordpiece
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.models.teacher_init import ScratchTeacher

EVAL_BATCH = 64
TILE = 8


class Corpus:
    """The text of an experiment by one tokenizer.

    Args:
        experiment: whose.
        tokenizer: the teacher's, and so the student's, unless the student has its own and learns from labels alone.
    """

    def __init__(self, experiment: Experiment, tokenizer: PreTrainedTokenizerBase) -> None:
        self.experiment = experiment
        self.tokenizer = tokenizer
        self.data = experiment.settings.data

    def __reduce__(self) -> tuple[Any, ...]:
        """It travels to other processes without its tokens, which are among the artifacts."""
        return Corpus, (self.experiment, self.tokenizer)

    @property
    def recipe(self) -> Recipe:
        """What decides the tokens."""
        return {
            "data": self.experiment.dataset.digest(),
            "tokenizer": tokenizer_digest(self.tokenizer),
            "max_length": self.data.max_length,
        }

    @cached_property
    def tokens(self) -> TokenCorpus:
        """Every split as token ids."""
        return read_tokens(build_once(artifacts(self.experiment), "tokens", self.recipe, self._tokenize))

    def _tokenize(self, folder: Path) -> Recipe:
        tokens = tokenize_corpus(self.experiment.dataset.load(), self.tokenizer, self.data.max_length)
        write_tokens(tokens, folder)
        return {"train_examples": len(tokens.train), "train_tokens": len(tokens.train.input_ids)}

    @cached_property
    def teacher_splits(self) -> Splits:
        """Train and selection: held out by the data's seed, the same for the teacher and all its students."""
        whole = limit(self.tokens.train, self.data.limit, self.data.split_seed)
        return hold_out(whole, self.data.selection, self.data.split_seed)

    @cached_property
    def student_splits(self) -> Splits:
        """What the student trains and is selected on: `data.distil_limit` may leave it fewer examples."""
        train, selection = self.teacher_splits
        return Splits(limit(train, self.data.distil_limit, self.data.split_seed), selection)

    @property
    def split_recipe(self) -> Recipe:
        """What decides the teacher's splits."""
        return {"limit": self.data.limit, "selection": self.data.selection, "split_seed": self.data.split_seed}

    @property
    def pad_to(self) -> int | None:
        """The length to pad to: only the released code's distillation of [PAD] needs one."""
        return self.data.max_length if self.experiment.settings.preset.padding == "distill" else None

    def train_batches(
        self,
        split: TokenSplit,
        batch_size: int,
        seed: int,
        drop_last: bool = False,
        pad_to: int | None = None,
        read: Reader | None = None,
    ) -> ResumableLoader:
        """Shuffled batches of a split."""
        batches = BucketedBatches(split.lengths, batch_size, seed, drop_last)
        make = Collate(split, self.tokenizer.pad_token_id, pad_to, read, self._multiple)
        device = self.experiment.settings.trainer.device
        return train_loader(make, batches, self.experiment.settings.workers, device if device.type == "cuda" else None)

    def eval_batches(self, split: TokenSplit, pad_to: int | None = None, read: Reader | None = None) -> DataLoader[Any]:
        """Every example of a split once."""
        return eval_loader(Collate(split, self.tokenizer.pad_token_id, pad_to, read, self._multiple), EVAL_BATCH)

    @property
    def _multiple(self) -> int:
        """Of what a batch's length is a multiple: on a GPU of 8, which its matrix units take in one bite."""
        fits = self.data.max_length % TILE == 0  # else the longest example would outgrow the model
        return TILE if fits and self.experiment.settings.trainer.device.type == "cuda" else 1


def artifacts(experiment: Experiment) -> Path:
    """The folder of what cells share."""
    return Path(experiment.settings.paths.artifacts)


def teacher_corpus(experiment: Experiment) -> Corpus:
    """The text by the teacher's tokenizer, which is trained on it for a teacher from scratch."""
    init = experiment.teacher_init
    if not isinstance(init, ScratchTeacher):
        return Corpus(experiment, load_tokenizer(init.path))
    size = init.vocabulary

    def train(folder: Path) -> Recipe:
        tokenizer = train_wordpiece(list(texts_of(experiment.dataset.load().train)), size)
        tokenizer.save_pretrained(folder)
        return {"entries": len(tokenizer)}

    recipe = {"data": experiment.dataset.digest(), "size": size}
    return Corpus(experiment, load_tokenizer(str(build_once(artifacts(experiment), "vocabulary", recipe, train))))


def student_corpus(experiment: Experiment, teachers: Corpus) -> Corpus:
    """The text by the student's tokenizer: the teacher's corpus itself, where the two agree.

    Raises:
        ConfigError: they do not, and the student learns from the teacher, token by token.
    """
    own = experiment.student_init.path
    if own is None:
        return teachers
    tokenizer = load_tokenizer(own, experiment.student_config)
    if tokenizer_digest(tokenizer) == tokenizer_digest(teachers.tokenizer):
        return teachers
    if experiment.settings.knowledge.target == "labels":
        return Corpus(experiment, tokenizer)
    remedy = "choose a student with the teacher's tokenizer, or knowledge=labels"
    raise ConfigError("student", own, "a student whose tokenizer is the teacher's: tokens must match", remedy)
