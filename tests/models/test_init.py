"""Initialisations: what each promises, and what it does with a teacher in hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.data.examples import Task
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder
from hskd_lightning.models.init.base import FineTuned, StudentInit, choose_blocks
from hskd_lightning.models.init.explicit import ExplicitBlocks
from hskd_lightning.models.init.first import FirstBlocks
from hskd_lightning.models.init.hub import HubWeights
from hskd_lightning.models.init.pruned import Pruned
from hskd_lightning.models.init.random import RandomWeights
from hskd_lightning.models.init.uniform import UniformBlocks
from hskd_lightning.models.prune import BlockScores, Weighing, importance
from hskd_lightning.models.shapes import Checkpoint, FewerBlocks, Rosita, Sizes
from tests.helpers import options

TASK = Task("polarity", "accuracy", ("negative", "positive"))
NARROW = {"num_hidden_layers": 2, "hidden_size": 12, "num_attention_heads": 2, "intermediate_size": 20}
Build = Callable[..., PreTrainedModel]


@pytest.fixture
def fine_tuned(tiny: Build, batch: TokenBatch, tmp_path: Path) -> Callable[..., FineTuned]:
    """A teacher of this kind in a folder, its classes in another order than the task's."""

    def made(kind: str = "bert") -> FineTuned:
        model = tiny(kind, id2label={0: "positive", 1: "negative"}, label2id={"positive": 0, "negative": 1})
        model.save_pretrained(tmp_path / kind)

        def weigh(weighing: Weighing) -> list[BlockScores]:
            return importance(model, weighing, lambda: [batch], seed=0)

        return FineTuned(model.config, [1, 0], lambda: str(tmp_path / kind), weigh)

    return made


def student(init: StudentInit, shape: Any, teacher: FineTuned, seed: int = 0) -> PreTrainedModel:
    config: PreTrainedConfig = shape.config(teacher.config, TASK)
    init.check(config, teacher.config)
    return init.create(config, teacher, seed).eval()


def weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return model.state_dict()


def same(one: PreTrainedModel, other: PreTrainedModel) -> bool:
    return all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


MADE = {
    "first": (lambda path: FirstBlocks(), FewerBlocks(2)),
    "uniform": (lambda path: UniformBlocks(), FewerBlocks(2)),
    "explicit": (lambda path: ExplicitBlocks([0, 2]), FewerBlocks(2)),
    "random, fewer blocks": (lambda path: RandomWeights(), FewerBlocks(2)),
    "random, narrow": (lambda path: RandomWeights(), Sizes("bert", **NARROW)),
    "random, rosita": (lambda path: RandomWeights(), Rosita(2, 2, 10, 4)),
    "pruned": (lambda path: Pruned(), Rosita(2, 2, 10, 4)),
    "pruned at random": (lambda path: Pruned("random"), Rosita(2, 2, 10, 4)),
    "pruned, uniform blocks": (lambda path: Pruned("magnitude", "uniform"), Rosita(2, 2, 10, None)),
    "hub": (lambda path: HubWeights(str(path)), Sizes("bert", **NARROW)),
}


def test_every_initialisation_is_made_here() -> None:
    made = {re.split("[ ,]", name)[0] for name in MADE}
    assert made == {name.partition("_or_")[0] for name in options("student/init")}


@pytest.fixture(params=MADE)
def made(request: pytest.FixtureRequest, fine_tuned: Callable[..., FineTuned], tmp_path: Path) -> tuple:
    """Each initialisation with a shape it can fill, and the teacher."""
    build, shape = MADE[request.param]
    teacher = fine_tuned()
    config = Sizes("bert", **NARROW).config(teacher.config, TASK)
    encoder.build_classifier(config).base_model.save_pretrained(tmp_path / "narrow")
    return build(tmp_path / "narrow"), shape, teacher


def test_the_student_has_the_shape_that_was_promised(made: tuple) -> None:
    init, shape, teacher = made
    model = student(init, shape, teacher)
    promised = shape.config(teacher.config, TASK)
    assert encoder.count_parameters(model) == encoder.count_from_config(promised)
    assert len(encoder.blocks(model)) == 2


def test_the_student_knows_the_tasks_labels(made: tuple) -> None:
    model = student(*made)
    assert model.config.id2label == {0: "negative", 1: "positive"}


def test_the_same_seed_gives_the_same_weights(made: tuple) -> None:
    torch.manual_seed(77)
    one = student(*made)
    torch.manual_seed(78)
    assert same(one, student(*made))


def test_another_seed_gives_others_only_where_something_is_drawn(made: tuple) -> None:
    init = made[0]
    if isinstance(init, Pruned):
        assert init.drawn == (init.weighing.kind == "random")  # what draws there is the importance, tested elsewhere
    else:
        assert same(student(*made, seed=0), student(*made, seed=1)) == (not init.drawn)


def test_the_student_runs(made: tuple, batch: TokenBatch) -> None:
    assert encoder.logits(student(*made), batch).shape == (3, 2)


def test_the_student_survives_the_disk(made: tuple, batch: TokenBatch, tmp_path: Path) -> None:
    model = student(*made)
    model.save_pretrained(tmp_path / "student")
    again = encoder.load_classifier(str(tmp_path / "student")).eval()
    assert torch.equal(encoder.logits(again, batch), encoder.logits(model, batch))


BY_KIND: dict[str, Callable[[Path], StudentInit]] = {
    "first": lambda path: FirstBlocks(),
    "uniform": lambda path: UniformBlocks(),
    "explicit": lambda path: ExplicitBlocks([2, 0]),
    "explicit, the last alone": lambda path: ExplicitBlocks([2]),
    "random": lambda path: RandomWeights(),
    "hub": lambda path: HubWeights(str(path)),
}


@pytest.mark.parametrize("way", BY_KIND)
def test_a_student_of_any_architecture_is_the_same_from_disk(
    kind: str, way: str, fine_tuned: Callable[..., FineTuned], batch: TokenBatch, tmp_path: Path
) -> None:
    teacher = fine_tuned(kind)
    shape: Any = FewerBlocks(1 if "alone" in way else 2)
    if way == "hub":
        encoder.build_classifier(shape.config(teacher.config, TASK)).base_model.save_pretrained(tmp_path / "hub")
        shape = Checkpoint(str(tmp_path / "hub"))
    model = student(BY_KIND[way](tmp_path / "hub"), shape, teacher)
    model.save_pretrained(tmp_path / "student")
    again = encoder.load_classifier(str(tmp_path / "student")).eval()
    assert same(model, again) and same(again, model)
    assert torch.equal(encoder.logits(again, batch), encoder.logits(model, batch))


# From the teacher.


def test_all_blocks_are_the_teacher_in_the_tasks_order(
    kind: str, fine_tuned: Callable[..., FineTuned], batch: TokenBatch
) -> None:
    teacher = fine_tuned(kind)
    own = encoder.logits(encoder.load_classifier(teacher.locate()).eval(), batch)
    for init in (FirstBlocks(), UniformBlocks(), ExplicitBlocks([0, 1, 2])):
        assert torch.equal(encoder.logits(student(init, FewerBlocks(3), teacher), batch), own[:, [1, 0]])


def test_all_heads_and_neurons_are_the_teacher_in_the_tasks_order(
    fine_tuned: Callable[..., FineTuned], batch: TokenBatch
) -> None:
    teacher = fine_tuned()
    own = encoder.logits(encoder.load_classifier(teacher.locate()).eval(), batch)
    model = student(Pruned(), Rosita(3, 4, 48, 32), teacher)
    torch.testing.assert_close(encoder.logits(model, batch), own[:, [1, 0]], rtol=1e-5, atol=1e-5)


def test_explicit_blocks_are_those_named(fine_tuned: Callable[..., FineTuned]) -> None:
    teacher = fine_tuned()
    whole = encoder.blocks(encoder.load_classifier(teacher.locate()))
    kept = encoder.blocks(student(ExplicitBlocks([2, 0]), FewerBlocks(2), teacher))
    for made, number in zip(kept, (2, 0), strict=True):
        assert torch.equal(made.attention.self.query.weight, whole[number].attention.self.query.weight)


CHOICES = [
    ("first", 6, 12, [0, 1, 2, 3, 4, 5]),
    ("uniform", 6, 12, [1, 3, 5, 7, 9, 11]),
    ("uniform", 4, 12, [2, 5, 8, 11]),
    ("uniform", 4, 6, [1, 2, 3, 5]),  # 1.5, 3, 4.5, 6: half to even
    ("uniform", 1, 5, [4]),
    ([3, 0], 2, 4, [3, 0]),
]


@pytest.mark.parametrize(("choice", "count", "available", "kept"), CHOICES)
def test_which_blocks_are_kept(choice: Any, count: int, available: int, kept: list[int]) -> None:
    assert choose_blocks(choice, count, available) == kept


WRONG_BLOCKS = {
    "beyond the last": ([0, 3], "block numbers from 0 to 2"),
    "negative": ([-1, 0], "block numbers from 0 to 2"),
    "a number": (1, "first, uniform, or a list"),
    "another word": ("last", "first, uniform, or a list"),
    "too few": ([0], "student.shape.blocks=1"),
}


@pytest.mark.parametrize("case", WRONG_BLOCKS)
def test_blocks_that_cannot_be_kept(case: str) -> None:
    choice, said = WRONG_BLOCKS[case]
    with pytest.raises(ConfigError, match=rf"`student.init.blocks`(.|\n)*{said}"):
        choose_blocks(choice, 2, 3)


# What does not go together.


def refused(init: StudentInit, shape: Any, teacher: FineTuned, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        init.check(shape.config(teacher.config, TASK), teacher.config)


@pytest.mark.parametrize("init", [FirstBlocks(), UniformBlocks(), ExplicitBlocks([0, 1])])
def test_blocks_of_the_teacher_do_not_fit_another_shape(
    init: StudentInit, fine_tuned: Callable[..., FineTuned]
) -> None:
    refused(init, Sizes("bert", **NARROW), fine_tuned(), r"`student/init` = '\w+'(.|\n)*student/init=random")
    refused(init, Rosita(2, 2, 10, 4), fine_tuned(), r"student/init=pruned")


def test_only_a_rosita_is_pruned(fine_tuned: Callable[..., FineTuned]) -> None:
    refused(Pruned(), FewerBlocks(2), fine_tuned(), r"`student/init` = 'pruned'(.|\n)*student=rosita6")


def test_an_unknown_importance() -> None:
    with pytest.raises(ConfigError, match=r"`student.init.importance` = 'fisher'(.|\n)*taylor, magnitude, random"):
        Pruned("fisher")  # type: ignore[arg-type]


def test_a_checkpoint_of_another_size_is_named_by_its_size(
    fine_tuned: Callable[..., FineTuned], tmp_path: Path
) -> None:
    teacher = fine_tuned()
    shape = Sizes("bert", **NARROW)
    other = Sizes("bert", **{**NARROW, "intermediate_size": 21}).config(teacher.config, TASK)
    encoder.build_classifier(other).save_pretrained(tmp_path / "other")
    init = HubWeights(str(tmp_path / "other"))
    refused(init, shape, teacher, r"`student.path`(.|\n)*intermediate_size = 21(.|\n)*intermediate_size = 20")


def test_a_checkpoint_as_the_general_distilled_one_lies_on_the_hub(
    fine_tuned: Callable[..., FineTuned], tmp_path: Path
) -> None:
    """No `model_type`, weights in a .bin, among them the maps that it was distilled with."""
    teacher = fine_tuned()
    shape = Sizes("bert", **NARROW)
    config = shape.config(teacher.config, TASK)
    model = encoder.build_classifier(config)
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("classifier")}
    state |= {"fit_dense.weight": torch.randn(32, 12), "cls.predictions.bias": torch.randn(100)}
    folder = tmp_path / "hub"
    folder.mkdir()
    torch.save(state, folder / "pytorch_model.bin")
    sizes = {**NARROW, "vocab_size": 100, "hidden_act": "gelu", "emb_size": 12, "cell": {}}
    (folder / "config.json").write_text(json.dumps(sizes))
    made = student(HubWeights(str(folder)), shape, teacher)
    assert all(torch.equal(made.state_dict()[name], value) for name, value in state.items() if name.startswith("bert"))
