"""ROSITA: its size, its life as a Hugging Face model, and pruning by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from hskd_lightning.data.examples import Task
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder
from hskd_lightning.models.prune import BlockScores, Weighing, factorise, importance, prune
from hskd_lightning.models.rosita import RositaConfig, RositaForSequenceClassification
from hskd_lightning.models.shapes import Rosita

TASK = Task("polarity", "accuracy", ("negative", "positive"))
SHAPE = {"vocab_size": 60, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40}


@pytest.fixture
def teacher() -> BertForSequenceClassification:
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(**SHAPE, num_labels=2)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture
def batch() -> TokenBatch:
    ids = torch.randint(1, 60, (4, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    return TokenBatch(torch.arange(4), ids, mask, torch.zeros_like(ids), ids < 3, torch.tensor([0, 1, 1, 0]))


PAPER = {
    "BERT-base": (BertConfig(num_labels=2), 109_483_778),
    "ROSITA6": (RositaConfig(num_labels=2), 14_465_282),
    "ROSITA8": (RositaConfig(num_labels=2, num_hidden_layers=8, intermediate_size=512), 14_474_754),
    "TinyBERT4": (
        BertConfig(num_labels=2, num_hidden_layers=4, hidden_size=312, intermediate_size=1200),
        14_350_874,
    ),
}


@pytest.mark.parametrize("name", PAPER)
def test_parameters_are_as_many_as_the_paper_says(name: str) -> None:
    config, parameters = PAPER[name]
    assert encoder.count_from_config(config) == parameters


def test_it_is_saved_and_loaded_by_transformers(tmp_path: Path, batch: TokenBatch) -> None:
    torch.manual_seed(0)
    config = RositaConfig(**{**SHAPE, "num_attention_heads": 2}, head_size=8, embedding_rank=5, num_labels=2)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert isinstance(again, RositaForSequenceClassification)
    assert AutoConfig.from_pretrained(tmp_path).embedding_rank == 5
    assert torch.equal(encoder.logits(again, batch), encoder.logits(model, batch))


def test_sdpa_and_eager_attention_agree(batch: TokenBatch) -> None:
    config = RositaConfig(**{**SHAPE, "num_attention_heads": 2}, head_size=8, embedding_rank=5, num_labels=2)
    model = RositaForSequenceClassification(config).eval()
    fast = encoder.logits(model, batch)
    model.set_attn_implementation("eager")
    torch.testing.assert_close(encoder.logits(model, batch), fast)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
def test_gradients_reach_every_part_with_and_without_checkpointing(batch: TokenBatch) -> None:
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        config = RositaConfig(**SHAPE, head_size=8, embedding_rank=5, num_labels=2)
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
        model = RositaForSequenceClassification(config).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        encoder.logits(model, batch).square().sum().backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    plain, saved = found
    assert all(gradient is not None for gradient in plain.values())
    for name, gradient in plain.items():
        torch.testing.assert_close(saved[name], gradient)


def test_the_word_embedding_to_resize_is_the_long_one() -> None:
    model = RositaForSequenceClassification(RositaConfig(**SHAPE, head_size=8, embedding_rank=5))
    assert model.get_input_embeddings().weight.shape == (60, 5)


# Any number of heads: 5, 7, 9, 10 and 11 of 12 do not divide the hidden size of 24.

TWELVE = {**SHAPE, "num_hidden_layers": 1, "num_attention_heads": 12}


@pytest.fixture(params=range(1, 13))
def heads(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def pruned(heads: int, batch: TokenBatch) -> RositaForSequenceClassification:
    torch.manual_seed(0)
    teacher = BertForSequenceClassification(BertConfig(**TWELVE, num_labels=2)).eval()
    scores = importance(teacher, Weighing("taylor"), lambda: [batch], seed=0)
    config = Rosita(blocks=1, heads=heads, ffn=10, embedding_rank=5).config(teacher.config, TASK)
    return prune(teacher, config, [0], scores).eval()


def test_any_number_of_heads_is_pruned_to_and_runs(
    heads: int, pruned: RositaForSequenceClassification, batch: TokenBatch
) -> None:
    assert pruned.bert.encoder.layer[0].attention.self.query.weight.shape == (2 * heads, 24)
    assert encoder.logits(pruned, batch).shape == (4, 2)


def test_any_number_of_heads_is_counted_from_the_configuration(pruned: RositaForSequenceClassification) -> None:
    assert encoder.count_from_config(pruned.config) == encoder.count_parameters(pruned)


def test_any_number_of_heads_is_saved_and_loaded(
    heads: int, pruned: RositaForSequenceClassification, batch: TokenBatch, tmp_path: Path
) -> None:
    pruned.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert again.config.num_attention_heads == heads
    assert torch.equal(encoder.logits(again, batch), encoder.logits(pruned, batch))
    assert "embedding_size" not in json.loads((tmp_path / "config.json").read_text())


# Pruning.


@pytest.mark.parametrize("kind", ["taylor", "magnitude", "random"])
def test_pruning_with_everything_kept_is_the_teacher(
    teacher: BertForSequenceClassification, batch: TokenBatch, kind: str
) -> None:
    before = encoder.logits(teacher, batch)
    scores = importance(teacher, Weighing(kind), lambda: [batch], seed=0)  # type: ignore[arg-type]
    for rank in (24, None):
        config = RositaConfig(**SHAPE, head_size=8, embedding_rank=rank, num_labels=2)
        student = prune(teacher, config, [0, 1, 2], scores).eval()
        torch.testing.assert_close(encoder.logits(student, batch), before, rtol=1e-5, atol=1e-5)


def test_the_best_heads_and_neurons_are_kept_in_their_order(teacher: BertForSequenceClassification) -> None:
    smaller = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 3}
    config = RositaConfig(**{**SHAPE, **smaller}, head_size=8, embedding_rank=None, num_labels=2)
    neurons = torch.zeros(40)
    neurons[[30, 4, 17]] = torch.tensor([1.0, 3.0, 2.0])
    scores = [BlockScores(torch.tensor([5.0, 1.0, 9.0]), neurons)] * 3
    student = prune(teacher, config, [2, 0], scores)
    for made, number in zip(student.bert.encoder.layer, (2, 0), strict=True):
        block = teacher.bert.encoder.layer[number]
        columns = [*range(0, 8), *range(16, 24)]  # heads 0 and 2 of 8
        assert torch.equal(made.attention.self.query.weight, block.attention.self.query.weight[columns])
        assert torch.equal(made.attention.self.value.bias, block.attention.self.value.bias[columns])
        assert torch.equal(made.attention.output.dense.weight, block.attention.output.dense.weight[:, columns])
        assert torch.equal(made.attention.output.dense.bias, block.attention.output.dense.bias)
        assert torch.equal(made.intermediate.dense.weight, block.intermediate.dense.weight[[4, 17, 30]])
        assert torch.equal(made.output.dense.weight, block.output.dense.weight[:, [4, 17, 30]])


def test_a_head_without_influence_goes_first(teacher: BertForSequenceClassification, batch: TokenBatch) -> None:
    with torch.no_grad():
        teacher.bert.encoder.layer[1].attention.output.dense.weight[:, 8:16] = 0  # head 1 says nothing
        teacher.bert.encoder.layer[0].output.dense.weight[:, 7] = 0  # neuron 7 neither,
        teacher.bert.encoder.layer[0].intermediate.dense.weight[7] = 0  # nor does it hear
    for kind in ("taylor", "magnitude"):
        scores = importance(teacher, Weighing(kind), lambda: [batch], seed=0)  # type: ignore[arg-type]
        assert scores[1].heads.argmin() == 1 and scores[1].heads[1] == 0
        assert scores[0].neurons.argmin() == 7 and scores[0].neurons[7] == 0


def test_taylor_counts_batches_whose_gradients_cancel(
    teacher: BertForSequenceClassification, batch: TokenBatch
) -> None:
    one = TokenBatch(*(part[:1] for part in batch[:6]))
    with torch.no_grad():
        teacher.classifier.bias -= encoder.logits(teacher, one)[0]  # even odds: each label pulls as hard as the other
    opposed = [one._replace(labels=torch.tensor([label])) for label in (0, 1)]
    (scores, *_) = importance(teacher, Weighing("taylor"), lambda: opposed, seed=0)
    weight = teacher.bert.encoder.layer[0].attention.output.dense.weight.requires_grad_()
    losses = [torch.nn.functional.cross_entropy(encoder.logits(teacher, each), each.labels) for each in opposed]
    first, second = (torch.autograd.grad(loss, weight)[0] for loss in losses)
    torch.testing.assert_close(first, -second)
    by_hand = (weight * first).abs().sum(dim=0)[:8].sum() * 2  # |W g| + |W -g|, the columns of head 0
    torch.testing.assert_close(scores.heads[0], by_hand)


def test_weighing_changes_nothing_and_needs_no_seed(teacher: BertForSequenceClassification, batch: TokenBatch) -> None:
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    one, other = (importance(teacher, Weighing("taylor"), lambda: [batch], seed=seed) for seed in (0, 1))
    assert torch.equal(one[0].heads, other[0].heads)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_with_the_released_codes_dropout_taylor_is_the_seeds(
    teacher: BertForSequenceClassification, batch: TokenBatch
) -> None:
    weighing = Weighing("taylor", dropout=True)
    one, same, other = (importance(teacher, weighing, lambda: [batch], seed)[0].heads for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_random_importance_is_the_seeds(teacher: BertForSequenceClassification) -> None:
    one, same, other = (importance(teacher, Weighing("random"), list, seed=seed)[0].heads for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_factors_are_the_best_of_their_rank() -> None:
    matrix = torch.randn(200, 12, generator=torch.Generator().manual_seed(0))
    _, singular, _ = torch.linalg.svd(matrix, full_matrices=False)
    for rank in (1, 5, 12):
        factors, widen = factorise(matrix, rank)
        assert factors.shape == (200, rank) and widen.shape == (12, rank)
        lost = (factors @ widen.T - matrix).square().sum()
        torch.testing.assert_close(lost, singular[rank:].square().sum(), rtol=1e-4, atol=1e-6)
