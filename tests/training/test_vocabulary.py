"""The rows of the word embedding that a stage never reads: left out of its steps, and as they would be after it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from hskd_lightning.data.examples import Task
from hskd_lightning.data.loader import BucketedBatches, Collate, collate, eval_loader, train_loader
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder
from hskd_lightning.models.rosita import RositaConfig
from hskd_lightning.settings.groups import TrainerSettings
from hskd_lightning.settings.stages import StageSettings
from hskd_lightning.training import fit, vocabulary
from hskd_lightning.training.metrics_csv import MetricsCsv
from hskd_lightning.training.module import FineTuner, plain_config
from hskd_lightning.training.vocabulary import RowsInUse, keep_rows_in_use, named
from tests.models.tiny_models import COMMON, CONFIGS

WORDS, PADDING = 2000, 0
TRAIN, SELECTION = range(10, 40), range(50, 60)
"""The words of each split. Words 40 to 49, and those from 60 on, nobody reads."""
STEPS = 8
TASK = Task("sst2", "accuracy", ("negative", "positive"))


def config(kind: str) -> PreTrainedConfig:
    made = RositaConfig(**COMMON, head_size=8, embedding_rank=32) if kind == "rosita" else CONFIGS[kind]()
    made.vocab_size = WORDS
    return made


def split(words: range, examples: int) -> TokenSplit:
    """Examples of 3, 4, 5, 3, 4, ... words; the label is whether the first word's number is odd."""
    lengths = torch.arange(examples) % 3 + 3
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    total = int(offsets[-1])
    input_ids = words.start + torch.arange(total, dtype=torch.int32) * 7 % len(words)
    return TokenSplit(
        ids=torch.arange(examples),
        labels=input_ids[offsets[:-1]].long() % 2,
        offsets=offsets,
        input_ids=input_ids,
        token_type_ids=torch.zeros(total, dtype=torch.int8),
        special=torch.zeros(total, dtype=torch.bool),
    )


def module(kind: str = "bert", made: type[FineTuner] = FineTuner, **settings: Any) -> FineTuner:
    chosen = StageSettings(**{"epochs": 1.0, "lr": 1e-3, "weight_decay": 0.5, "clip": 0.5, **settings})
    return made("teacher", plain_config(config(kind)), dataclasses.asdict(TASK), dataclasses.asdict(chosen), STEPS, 0)


def train(stage: FineTuner, folder: Path) -> list[tuple[str, int, float]]:
    """Fit a stage of eight steps in two epochs; all that it logged."""
    examples, held_out = split(TRAIN, 4 * STEPS), split(SELECTION, 12)
    batches = train_loader(Collate(examples, PADDING), BucketedBatches(examples.lengths, 8, seed=0))
    selection = fit.Selection(eval_loader(Collate(held_out, PADDING), 5), "teacher/selection_accuracy", every_steps=1)
    logged = MetricsCsv(folder / "metrics.csv")
    trainer = TrainerSettings(
        accelerator="cpu", devices=1, precision="32-true", log_every=1, checkpoint_every=3, graphs=True
    )
    fit.fit_stage(stage, batches, folder, trainer, selection, [logged])
    return logged.rows()


def words(path: Path) -> Tensor:
    """(2000, 32) the word embedding in a checkpoint."""
    (table,) = (
        value for name, value in torch.load(path, weights_only=True)["state_dict"].items() if value.shape == (WORDS, 32)
    )
    return table


def start(stage: FineTuner) -> Tensor:
    return stage.model.get_input_embeddings().weight.detach().clone()


# With and without: the same losses, selection scores and weights.

WAYS = [
    pytest.param("bert", "adamw", "constant", id="adamw"),
    pytest.param("bert", "adamw", "linear", id="adamw at a falling rate"),
    pytest.param("bert", "bert_adam", "constant", id="bert_adam"),
    pytest.param("bert", "bert_adam", "linear", id="bert_adam at a falling rate"),
    pytest.param("rosita", "adamw", "linear", id="factors of an embedding"),
    pytest.param("deberta-v2", "adamw", "linear", id="relative positions"),
    pytest.param("roberta", "adamw", "linear", id="positions counted from the ids"),
]


@pytest.mark.parametrize(("kind", "optimizer", "schedule"), WAYS)
def test_losses_scores_and_weights_are_those_of_the_whole_table(
    kind: str, optimizer: str, schedule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"optimizer": optimizer, "schedule": schedule, "warmup": 0.25}
    ours = train(module(kind, **given), tmp_path / "in_use")
    monkeypatch.setattr(vocabulary, "WORTH", math.inf)
    theirs = train(module(kind, **given), tmp_path / "whole")
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    assert [row[2] for row in ours] == pytest.approx([row[2] for row in theirs], rel=1e-5)
    for name in (fit.LAST, fit.BEST):
        one, other = (torch.load(tmp_path / way / name, weights_only=True)["state_dict"] for way in ("in_use", "whole"))
        assert list(one) == list(other)
        for weight, expected in other.items():
            torch.testing.assert_close(one[weight], expected, rtol=1e-5, atol=1e-6, msg=weight)


# What nobody reads. At a rate of 0.1 and a decay of 0.5 a step leaves 0.95 of it.


@pytest.mark.parametrize("optimizer", ["adamw", "bert_adam"])
def test_a_row_that_nobody_reads_is_decayed_at_every_step(optimizer: str, tmp_path: Path) -> None:
    stage = module(lr=0.1, optimizer=optimizer)
    before = start(stage)
    train(stage, tmp_path)
    torch.testing.assert_close(words(tmp_path / fit.LAST)[40:50], before[40:50] * 0.95**STEPS)


def test_the_padding_row_is_decayed_and_never_learns(tmp_path: Path) -> None:
    stage = module("rosita", lr=0.1)
    table = stage.model.get_input_embeddings()
    nn.init.ones_(table.weight)
    train(stage, tmp_path)
    torch.testing.assert_close(words(tmp_path / fit.LAST)[PADDING], torch.full((32,), 0.95**STEPS))


def test_a_word_of_the_selection_split_alone_is_decayed_like_one_that_nobody_reads(tmp_path: Path) -> None:
    stage = module(lr=0.1)
    before = start(stage)
    train(stage, tmp_path)
    torch.testing.assert_close(words(tmp_path / fit.LAST)[50:60], before[50:60] * 0.95**STEPS)


def test_without_weight_decay_a_row_that_nobody_reads_stays_to_the_bit(tmp_path: Path) -> None:
    stage = module(weight_decay=0.0)
    before = start(stage)
    train(stage, tmp_path)
    assert torch.equal(words(tmp_path / fit.LAST)[60:], before[60:])


def test_a_decay_too_small_for_single_precision_is_not_lost() -> None:
    rows = RowsInUse(nn.Embedding(3, 2), torch.tensor([0]))
    optimizer = torch.optim.SGD([{"params": [rows.weight], "weight_decay": 1e-8}], lr=1.0)
    rows.follow(optimizer)
    for _ in range(1000):
        optimizer.step()
    assert rows.decay == pytest.approx(1 - 1e-5, rel=1e-9)


def test_the_best_checkpoint_has_the_decay_of_its_own_step(tmp_path: Path) -> None:
    stage = module(lr=0.1)
    before = start(stage)
    train(stage, tmp_path)
    step = torch.load(tmp_path / fit.BEST, weights_only=True)["global_step"]
    assert step < STEPS
    torch.testing.assert_close(words(tmp_path / fit.BEST)[60:], before[60:] * 0.95**step)


# Who reads a checkpoint, or the module after its stage, finds the whole model.


class Dies(FineTuner):
    """Is killed in its sixth step of eight: the last checkpoint to go on from is of the third."""

    def loss(self, batch: TokenBatch) -> Tensor:
        if self.global_step == 5:
            raise KeyboardInterrupt
        return super().loss(batch)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    with pytest.raises(SystemExit):
        train(module(made=Dies), tmp_path)
    return tmp_path


def shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def test_checkpoints_are_those_of_the_whole_model(killed: Path) -> None:
    resume = torch.load(killed / fit.RESUME, weights_only=True)
    expected = shapes(module().state_dict())
    train(module(), killed)
    found = [resume, *(torch.load(killed / name, weights_only=True) for name in (fit.LAST, fit.BEST))]
    assert [shapes(each["state_dict"]) for each in found] == [expected] * 3
    assert FineTuner.load_from_checkpoint(killed / fit.BEST, weights_only=True).state_dict().keys() == expected.keys()


def test_the_optimisers_state_is_of_the_rows_in_use(killed: Path) -> None:
    (optimizer,) = torch.load(killed / fit.RESUME, weights_only=True)["optimizer_states"]
    rows = len(TRAIN) + len(SELECTION) + 1  # and padding
    assert (rows, 32) in [tuple(moments["mean"].shape) for moments in optimizer["state"].values()]


def test_killed_and_resumed_ends_as_the_unbroken_stage(killed: Path, tmp_path: Path) -> None:
    resumed, unbroken = train(module(), killed), train(module(), tmp_path / "unbroken")
    assert resumed == unbroken
    for name in (fit.LAST, fit.BEST):
        one, other = (torch.load(folder / name, weights_only=True) for folder in (killed, tmp_path / "unbroken"))
        assert one["global_step"] == other["global_step"]
        assert all(torch.equal(value, other["state_dict"][key]) for key, value in one["state_dict"].items())


def test_after_its_stage_the_module_has_the_whole_table(tmp_path: Path) -> None:
    stage = module()
    train(stage, tmp_path)
    table = stage.model.get_input_embeddings()
    assert (type(table), table.num_embeddings, table.padding_idx) == (nn.Embedding, WORDS, PADDING)
    assert torch.equal(table.weight, words(tmp_path / fit.LAST))
    assert table.weight.requires_grad


# Which rows are in use.


MADE = [Collate(split(TRAIN, 32), PADDING)]


def test_the_rows_of_all_splits_and_of_padding_are_in_use() -> None:
    made = [Collate(split(numbers, 64), pad_id=5) for numbers in (TRAIN, SELECTION)]
    ids = named(made, nn.Embedding(WORDS, 2, padding_idx=PADDING))
    assert ids.tolist() == [PADDING, 5, *TRAIN, *SELECTION]


@pytest.mark.parametrize("kind", [*encoder.SUPPORTED, "rosita"])
def test_every_architecture_finds_its_words(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "WORTH", 1)
    model, batch = module(kind).model.eval(), collate(split(TRAIN, 4), torch.arange(4), PADDING)
    expected = encoder.logits(model, batch)
    assert keep_rows_in_use(model, MADE) is model.get_input_embeddings()
    assert torch.equal(encoder.logits(model, batch), expected)


def test_a_row_is_looked_up_by_the_id_of_the_whole_table() -> None:
    rows = RowsInUse(nn.Embedding.from_pretrained(torch.arange(5.0)[:, None]), torch.tensor([1, 4]))
    assert rows(torch.tensor([[4, 1, 4]])).flatten().tolist() == [4, 1, 4]


@pytest.mark.parametrize("word", [0, 2, 5])
def test_an_id_whose_row_is_not_there_is_no_other_row(word: int) -> None:
    rows = RowsInUse(nn.Embedding(5, 1), torch.tensor([1, 4]))
    with pytest.raises(IndexError, match="out of "):
        rows(torch.tensor([[1, word]]))


def test_a_word_beyond_the_table_is_found_before_the_first_step() -> None:
    with pytest.raises(IndexError, match="39|30"):
        named(MADE, nn.Embedding(30, 2))


def test_a_large_table_is_left_the_rows_in_use() -> None:
    rows = keep_rows_in_use(module().model, MADE)
    assert rows is not None
    assert rows.ids.tolist() == [PADDING, *TRAIN]


def test_a_table_of_few_words_is_left_alone() -> None:
    assert keep_rows_in_use(encoder.build_classifier(CONFIGS["bert"]()), MADE) is None


def test_a_frozen_table_is_left_alone() -> None:
    model = module().model
    model.get_input_embeddings().weight.requires_grad_(False)
    assert keep_rows_in_use(model, MADE) is None
    assert type(model.get_input_embeddings()) is nn.Embedding


def test_a_table_that_another_part_has_too_is_left_alone() -> None:
    model = module().model
    model.decoder = nn.Linear(32, WORDS, bias=False)
    model.decoder.weight = model.get_input_embeddings().weight
    assert keep_rows_in_use(model, MADE) is None
    assert type(model.get_input_embeddings()) is nn.Embedding
