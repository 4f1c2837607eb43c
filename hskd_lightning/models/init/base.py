"""What an initialisation is, and the choice of teacher blocks that several of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.errors import ConfigError
from hskd_lightning.models import encoder
from hskd_lightning.models.prune import BlockScores, Weighing
from hskd_lightning.models.shorten import keep_blocks

Blocks = str | Sequence[int]


@dataclass(frozen=True)
class FineTuned:
    """The fine-tuned teacher, as far as a student's beginning may need it."""

    config: PreTrainedConfig
    order: Sequence[int]
    """The teacher's class id of each of the task's labels."""
    locate: Callable[[], str]
    """The teacher's folder or hub id. It is trained first if it does not exist, so call this only for its weights."""
    weigh: Callable[[Weighing], list[BlockScores]]
    """Computes the importance of the teacher's heads and neurons."""

    def load(self) -> PreTrainedModel:
        """The teacher's weights, with the classes of the head in the task's order."""
        model = encoder.load_classifier(self.locate())
        encoder.reorder_classes(model, self.order)
        return model


class StudentInit(Protocol):
    """Gives a student of a known shape its first weights."""

    path: str | None
    """A folder or hub id whose weights and tokenizer the student brings along, or None."""
    drawn: bool
    """Whether the run's seed decides any of the weights."""
    weighing: Weighing | None
    """How the teacher's heads and neurons are to be weighed; None where no importance is needed."""

    def check(self, student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
        """Refuse what cannot be made, before any download of weights and any training.

        Raises:
            ConfigError: this shape cannot get its weights this way.
        """
        ...

    def create(self, student: PreTrainedConfig, teacher: FineTuned, seed: int) -> PreTrainedModel:
        """The student with its first weights."""
        ...


def choose_blocks(choice: Blocks, count: int, available: int) -> list[int]:
    """Which of the teacher's blocks, 0-based.

    Args:
        choice: `first`; `uniform` (12 -> 6 keeps blocks 1,3,...,11: the ones whose outputs are the teacher states of
            `depth=all`); or a list of block numbers.
        count: the student's blocks.
        available: the teacher's.

    Raises:
        ConfigError: a block that the teacher does not have, or another number of blocks than the student's.
    """
    if choice == "first":
        return list(range(count))
    if choice == "uniform":
        return [round((number + 1) * available / count) - 1 for number in range(count)]
    if not isinstance(choice, list | tuple) or any(
        type(each) is not int or not 0 <= each < available for each in choice
    ):
        allowed = f"first, uniform, or a list of block numbers from 0 to {available - 1}"
        raise ConfigError("student.init.blocks", choice, allowed, "name blocks that the teacher has")
    if len(choice) != count:
        remedy = f"write student.shape.blocks={len(choice)}, or name {count} blocks"
        raise ConfigError("student.init.blocks", list(choice), f"as many blocks as the student has: {count}", remedy)
    return list(choice)


def take_blocks(choice: Blocks, student: PreTrainedConfig, teacher: FineTuned) -> PreTrainedModel:
    """The teacher with some of its blocks only."""
    model = teacher.load()
    kept = choose_blocks(choice, student.num_hidden_layers, model.config.num_hidden_layers)
    model = keep_blocks(model, kept)
    model.config.update({"id2label": student.id2label, "label2id": student.label2id})
    return model


BY_BLOCKS = {"num_hidden_layers", "layer_types", "id2label", "label2id", "architectures", "problem_type"}
"""Fields in which a student made of the teacher's blocks may differ from it."""


def check_blocks(name: str, choice: Blocks, student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
    """Refuse a student that is not the teacher with fewer blocks."""
    mine, theirs = student.to_dict(), teacher.to_dict()
    differing = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
    own_names = {teacher.attribute_map.get(key, key) for key in BY_BLOCKS}  # DistilBERT's n_layers
    foreign = [key for key in differing if key not in own_names and not key.startswith("_")]
    if foreign:
        allowed = f"a student of the teacher's own blocks (this one has another {foreign[0]})"
        remedy = "write student/init=random, student/init=pruned for a ROSITA, or student=layer_drop"
        raise ConfigError("student/init", name, allowed, remedy)
    choose_blocks(choice, student.num_hidden_layers, teacher.num_hidden_layers)
