"""Makes, once, what cells share: vocabulary, tokens, teacher, moments.

data -> tokens -> teacher -> moments       each a folder of artifacts/, named by the hash of what made it
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hskd_lightning import config as configuration
from hskd_lightning.artifacts import Recipe, build_once, checked, read_manifest
from hskd_lightning.compress.width.base import Moments
from hskd_lightning.data.loader import BucketedBatches, Collate, Reader, ResumableLoader, eval_loader, train_loader
from hskd_lightning.data.split import Splits, hold_out, limit
from hskd_lightning.data.tokens import TokenCorpus, TokenSplit, read_tokens, tokenize_corpus, write_tokens
from hskd_lightning.data.vocabulary import load_tokenizer, texts_of, tokenizer_digest, train_wordpiece
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.integrity import fingerprint
from hskd_lightning.knowledge.teacher_source import measure_moments
from hskd_lightning.models.teacher import Teacher
from hskd_lightning.models.teacher_init import ScratchTeacher
from hskd_lightning.training import fit
from hskd_lightning.training.evaluate import pick_device, score
from hskd_lightning.training.module import FineTuner, plain_config
from hskd_lightning.training.optim import StageSettings

log = logging.getLogger(__name__)
EVAL_BATCH = 64
FIT_EXAMPLES = 2048
"""Examples that PCA and its like are fitted on: some 20,000 tokens, 30 for each unit of BERT-base."""


class Workshop:
    """An experiment's artifacts, each made when it is first asked for.

    Args:
        experiment: whose.
        trained: False for those of its teacher before fine-tuning, which is another teacher with moments and stores of
            its own.
    """

    def __init__(self, experiment: Experiment, trained: bool = True) -> None:
        self.experiment = experiment
        self.trained = trained
        self.config = experiment.config
        self.root = Path(self.config["paths"]["artifacts"])
        self.device = pick_device(self.config["trainer"]["accelerator"])

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The teacher's, and so the student's, unless the student has another and learns from labels alone."""
        own = self.experiment.student_init.path
        if own is None:
            return self.teacher_tokenizer
        students = load_tokenizer(own, self.experiment.student_config)
        if tokenizer_digest(students) == tokenizer_digest(self.teacher_tokenizer):
            return self.teacher_tokenizer
        if self.config["knowledge"]["target"] == "labels":
            return students
        remedy = "choose a student with the teacher's tokenizer, or knowledge=labels"
        raise ConfigError("student", own, "a student whose tokenizer is the teacher's: tokens must match", remedy)

    @cached_property
    def teacher_tokenizer(self) -> PreTrainedTokenizerBase:
        init = self.experiment.teacher_init
        if not isinstance(init, ScratchTeacher):
            return load_tokenizer(init.path)
        recipe = {"data": self.experiment.source.digest(), "size": init.vocabulary}
        return load_tokenizer(str(build_once(self.root, "vocabulary", recipe, self._train_vocabulary)))

    def _train_vocabulary(self, folder: Path) -> Recipe:
        texts = list(texts_of(self.experiment.source.load().train))
        init = self.experiment.teacher_init
        assert isinstance(init, ScratchTeacher)
        tokenizer = train_wordpiece(texts, init.vocabulary)
        tokenizer.save_pretrained(folder)
        return {"entries": len(tokenizer)}

    @cached_property
    def corpus(self) -> TokenCorpus:
        """The student's tokens."""
        return self._tokens(self.tokenizer)

    @cached_property
    def teacher_corpus(self) -> TokenCorpus:
        """The teacher's tokens: the same ones, unless the student learns from labels with a tokenizer of its own."""
        same = self.tokenizer is self.teacher_tokenizer
        return self.corpus if same else self._tokens(self.teacher_tokenizer)

    def _tokens(self, tokenizer: PreTrainedTokenizerBase) -> TokenCorpus:
        return read_tokens(build_once(self.root, "tokens", self._tokens_recipe(tokenizer), self._tokenize(tokenizer)))

    def _tokens_recipe(self, tokenizer: PreTrainedTokenizerBase) -> Recipe:
        return {
            "data": self.experiment.source.digest(),
            "tokenizer": tokenizer_digest(tokenizer),
            "max_length": self.config["data"]["max_length"],
        }

    def _tokenize(self, tokenizer: PreTrainedTokenizerBase):  # type: ignore[no-untyped-def]
        def build(folder: Path) -> Recipe:
            corpus = self.experiment.source.load()
            tokens = tokenize_corpus(corpus, tokenizer, self.config["data"]["max_length"])
            write_tokens(tokens, folder)
            return {"train_examples": len(tokens.train), "train_tokens": len(tokens.train.input_ids)}

        return build

    def splits(self, corpus: TokenCorpus) -> Splits:
        """Train and selection: held out by the data's seed, the same for the teacher and all its students."""
        data = self.config["data"]
        whole = limit(corpus.train, data["limit"], data["split_seed"])
        return hold_out(whole, data["selection"], data["split_seed"])

    @cached_property
    def student_splits(self) -> Splits:
        """What the student trains and is selected on: `data.distil_limit` may leave it fewer examples."""
        train, selection = self.splits(self.corpus)
        data = self.config["data"]
        return Splits(limit(train, data["distil_limit"], data["split_seed"]), selection)

    @property
    def pad_to(self) -> int | None:
        """The length to pad to: only the released code's distillation of [PAD] needs one."""
        padding = self.config["preset"]["padding"]
        return self.config["data"]["max_length"] if padding == "distill" else None

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
        make = Collate(split, self.tokenizer.pad_token_id, pad_to, read)
        return train_loader(make, batches, self.config["workers"])

    def eval_batches(self, split: TokenSplit, pad_to: int | None = None, read: Reader | None = None) -> DataLoader[Any]:
        """Every example of a split once."""
        return eval_loader(Collate(split, self.tokenizer.pad_token_id, pad_to, read), EVAL_BATCH)

    @cached_property
    def teacher_path(self) -> str:
        """The fine-tuned teacher: the user's checkpoint, or the one trained here."""
        given = self.config["teacher"]["checkpoint"]
        if given is not None:
            return str(given)
        make = self._fine_tune if self.trained else self._begin
        return str(build_once(self.root, "teacher", self.teacher_recipe, make))

    @property
    def teacher_at_hand(self) -> str | None:
        """The fine-tuned teacher, if it need not be trained first."""
        given = self.config["teacher"]["checkpoint"]
        if given is not None:
            return str(given)
        folder = self._own_teacher
        return str(checked(folder)) if folder.is_dir() else None

    @property
    def teacher_weights(self) -> str | None:
        """A hash of the trained teacher's weights; None while it is not there, or not ours."""
        folder = self._own_teacher
        if self.config["teacher"]["checkpoint"] is not None or not folder.is_dir():
            return None
        weights: str = read_manifest(folder)["facts"]["weights"]
        return weights

    @property
    def _own_teacher(self) -> Path:
        """Where the teacher that is trained here is, or will be."""
        return self.root / "teacher" / fingerprint(self.teacher_recipe)

    @property
    def teacher_recipe(self) -> Recipe:
        """What decides the teacher's weights."""
        teacher, data = self.config["teacher"], self.config["data"]
        return {
            "tokens": self._tokens_recipe(self.teacher_tokenizer),
            "split": {key: data[key] for key in ("limit", "selection", "split_seed")},
            "init": configuration.by_content(teacher["init"]),
            "training": teacher["training"] if self.trained else None,
            "precision": self.config["trainer"]["precision"],
            "seed": teacher["seed"],
        }

    def _fine_tune(self, folder: Path) -> Recipe:
        task, seed = self.experiment.task, self.config["teacher"]["seed"]
        training = dict(self.config["teacher"]["training"])
        split = self.splits(self.teacher_corpus)
        batches = self.train_batches(split.train, training.pop("batch_size"), seed)
        settings = StageSettings(**training)
        model = self.experiment.teacher_init.create(task, seed)
        module = FineTuner(
            stage="teacher",
            config=plain_config(model.config),
            task=dataclasses.asdict(task),
            settings=dataclasses.asdict(settings),
            total_steps=settings.steps(len(batches)),
            seed=seed,
        )
        module.model.load_state_dict(model.state_dict())
        log.info("teacher: fine-tuning on %d examples, %d steps", len(split.train), module.total_steps)
        facts = fit.fit_stage(module, batches, folder / "fit", self.config["trainer"])
        weights = self._save_teacher(module.model, folder)
        shutil.rmtree(folder / "fit")
        return {**facts, **weights}

    def _begin(self, folder: Path) -> Recipe:
        """The weights that `_fine_tune` begins with."""
        teacher = self.experiment.teacher_init.create(self.experiment.task, self.config["teacher"]["seed"])
        return self._save_teacher(teacher, folder)

    def _save_teacher(self, model: PreTrainedModel, folder: Path) -> Recipe:
        model.save_pretrained(folder)
        self.teacher_tokenizer.save_pretrained(folder)
        return {"weights": Teacher(str(folder), self.experiment.label_order).digest()}

    def load_teacher(self) -> Teacher:
        """The teacher in memory."""
        dropout = self.config["preset"]["teacher_dropout"]
        return Teacher(self.teacher_path, self.experiment.label_order, dropout).to(self.device)

    @cached_property
    def teacher_scores(self) -> dict[str, dict[str, float]]:
        """The teacher's figures on each dev split."""
        recipe = {"teacher": self.teacher_identity, "tokens": self._tokens_recipe(self.teacher_tokenizer)}
        folder = build_once(self.root, "teacher_score", recipe, self._score_teacher)
        scores: dict[str, dict[str, float]] = read_manifest(folder)["facts"]
        return scores

    def _score_teacher(self, folder: Path) -> Recipe:
        teacher = Teacher(self.teacher_path, self.experiment.label_order).to(self.device)
        return {
            name: score(teacher.logits, self.eval_batches(split), self.experiment.task, self.device)
            for name, split in self.teacher_corpus.dev.items()
        }

    @property
    def teacher_identity(self) -> Any:
        """The trained teacher's recipe, or the given checkpoint's content and label order."""
        given = self.config["teacher"]["checkpoint"]
        if given is None:
            return self.teacher_recipe
        return {"checkpoint": configuration.identity(given), "label_order": self.experiment.label_order}

    def moments(self, teacher: Teacher, states: tuple[int, ...]) -> Moments:
        """The teacher's moments, for strategies that are fitted.

        Over a sample of the student's training split, and for every state at once: all cells share them, whatever
        layers they keep, and a store costs one teacher pass rather than two.
        """
        recipe = {"origin": self.origin, "dropout": teacher.dropout, "examples": FIT_EXAMPLES}

        def build(folder: Path) -> Recipe:
            sample = limit(self.student_splits.train, FIT_EXAMPLES, self.config["data"]["split_seed"])
            every = tuple(range(self.experiment.teacher_config.num_hidden_layers + 1))
            measured = measure_moments(teacher, every, self.eval_batches(sample))
            save_file({"mean": measured.mean, "covariance": measured.covariance}, folder / "moments.safetensors")
            return {"examples": len(sample)}

        found = load_file(build_once(self.root, "moments", recipe, build) / "moments.safetensors")
        return Moments(**{name: tensor[list(states)] for name, tensor in found.items()})

    @property
    def origin(self) -> Recipe:
        """What decides the teacher's full hidden states on the student's examples."""
        data = self.config["data"]
        return {
            "teacher": self.teacher_identity,
            "tokens": self._tokens_recipe(self.tokenizer),
            "split": {key: data[key] for key in ("limit", "selection", "split_seed", "distil_limit")},
            "precision": self.config["trainer"]["precision"],
            "padding": self.config["preset"]["padding"],
        }
