"""What a student looks like, before anyone says where its weights come from: the `shape` of conf/student/.

A shape is asked for the student's configuration, given the teacher's; nothing is allocated.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

from transformers import PreTrainedConfig

from hskd_lightning.data.examples import Task
from hskd_lightning.errors import ConfigError
from hskd_lightning.models import encoder
from hskd_lightning.models.rosita import RositaConfig
from hskd_lightning.models.written_out import head, written_out


class StudentShape(Protocol):
    """A student's configuration as a function of its teacher's."""

    def config(self, teacher: PreTrainedConfig, task: Task) -> PreTrainedConfig:
        """The student's configuration, with a classification head for the task.

        Raises:
            ConfigError: a shape that cannot be had with this teacher.
        """
        ...


class Sizes:
    """A student of sizes written out; the vocabulary and the longest input are the teacher's.

    Args:
        model_type: the architecture, as transformers calls it.
        sizes: its configuration.
    """

    def __init__(self, model_type: str, **sizes: Any) -> None:
        self.sizes = {"model_type": model_type, **sizes}

    def config(self, teacher: PreTrainedConfig, task: Task) -> PreTrainedConfig:
        return written_out(
            self.sizes,
            task,
            "student.shape",
            vocab_size=teacher.vocab_size,
            pad_token_id=teacher.pad_token_id,
            max_position_embeddings=teacher.max_position_embeddings,
        )


class FewerBlocks:
    """The teacher's own architecture and sizes, with fewer blocks.

    Args:
        blocks: how many, or null for half of the teacher's.
    """

    def __init__(self, blocks: int | None = None) -> None:
        self.blocks = blocks

    def config(self, teacher: PreTrainedConfig, task: Task) -> PreTrainedConfig:
        count = max(1, teacher.num_hidden_layers // 2) if self.blocks is None else self.blocks
        check_size("blocks", count, teacher.num_hidden_layers)
        config = copy.deepcopy(teacher)
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:count]
        config.num_hidden_layers = count
        config.update(head(task))
        return config


class Rosita:
    """What structured pruning leaves of a BERT teacher (ROSITA, arXiv 2103.11367; Liu et al. 2021, students).

    The hidden size stays the teacher's. Sizes are free within the teacher's own.

    Args:
        blocks: transformer blocks.
        heads: attention heads of each, of the teacher's head size.
        ffn: neurons of each block's feed-forward.
        embedding_rank: of the word embedding; null leaves it whole.
    """

    def __init__(self, blocks: int, heads: int, ffn: int, embedding_rank: int | None) -> None:
        self.blocks = blocks
        self.heads = heads
        self.ffn = ffn
        self.embedding_rank = embedding_rank

    def config(self, teacher: PreTrainedConfig, task: Task) -> RositaConfig:
        if teacher.model_type != "bert":
            allowed = "a teacher of the architecture `bert`, which is what ROSITA prunes"
            raise ConfigError("teacher", teacher.model_type, allowed, "choose student=layer_drop, or another teacher")
        check_size("blocks", self.blocks, teacher.num_hidden_layers)
        check_size("heads", self.heads, teacher.num_attention_heads)
        check_size("ffn", self.ffn, teacher.intermediate_size)
        if self.embedding_rank is not None:
            check_size("embedding_rank", self.embedding_rank, min(teacher.hidden_size, teacher.vocab_size))
        own = ("model_type", "dtype", "embedding_size")  # the last follows from the rank
        inherited = {key: value for key, value in teacher.to_dict().items() if key not in own}
        sizes = {
            "num_hidden_layers": self.blocks,
            "num_attention_heads": self.heads,
            "intermediate_size": self.ffn,
            "embedding_rank": self.embedding_rank,
            "head_size": teacher.hidden_size // teacher.num_attention_heads,
            "architectures": None,
        }
        return RositaConfig(**{**inherited, **sizes, **head(task)})


class Checkpoint:
    """The shape that a checkpoint has.

    Args:
        path: a Hugging Face folder or hub id.

    Raises:
        ConfigError: no path, or one of a file, or of a folder without a model.
    """

    def __init__(self, path: str) -> None:
        self.path = encoder.model_path(path, "student.path")

    def config(self, teacher: PreTrainedConfig, task: Task) -> PreTrainedConfig:
        config = encoder.load_config(self.path, "student.path")
        config.update(head(task))
        return config


def check_size(name: str, value: object, most: int) -> None:
    """Refuse a size that the teacher does not have.

    Raises:
        ConfigError: not a whole number from 1 to `most`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        remedy = "choose a smaller student or a larger teacher"
        raise ConfigError(f"student.shape.{name}", value, f"1 to {most}, the teacher's", remedy)
