"""A fine-tuned teacher in memory: always eval, always without gradients, never part of another module."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hskd_lightning.compress.length.base import AttentionRequest
from hskd_lightning.data.examples import Task
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder
from hskd_lightning.models.attention import AttentionProbe, from_probabilities, reads_probabilities


class Teacher:
    """Runs a fine-tuned encoder. A plain class, so that no LightningModule can swallow it as a submodule.

    Args:
        path: a Hugging Face folder or hub id with a classification head.
        order: the checkpoint's class id of each of the task's labels, see `label_order`.
        dropout: leave the teacher's dropout on, as the released code does (`preset.teacher_dropout`).
    """

    def __init__(self, path: str, order: Sequence[int], dropout: bool = False) -> None:
        self.model = encoder.load_classifier(path).train(dropout).requires_grad_(False)
        self.order = None if list(order) == list(range(len(order))) else torch.tensor(order)  # None: the task's own
        self.dropout = dropout
        self._probabilities = False

    def to(self, device: torch.device) -> Teacher:
        """Move the teacher's weights to a device."""
        self.model.to(device)
        if self.order is not None:
            self.order = self.order.to(device)
        return self

    def digest(self) -> str:
        """A hash of all weights, the same on every device and in every file format."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy())
        return digest.hexdigest()[:16]

    @torch.inference_mode()
    def logits(self, batch: TokenBatch) -> Tensor:
        """The teacher's logits (B, C), in the order of the task's labels."""
        self._check_mode()
        return self._ordered(encoder.logits(self.model, batch))

    @torch.inference_mode()
    def states(
        self,
        batch: TokenBatch,
        wanted: tuple[int, ...],
        attention: AttentionRequest | None = None,
        attention_blocks: tuple[int, ...] | None = None,
    ) -> tuple[list[Tensor], Tensor | None]:
        """The wanted hidden states, each (B, T, D), and (B, P, T) attention scores if they are asked for.

        No block runs above the highest that is needed for these.
        """
        self._check_mode()
        if attention is None or not attention_blocks:
            return encoder.hidden_states(self.model, batch, wanted), None
        if reads_probabilities(self.model):
            return self._with_probabilities(batch, wanted, attention, attention_blocks)[:2]
        with AttentionProbe(self.model, attention_blocks, attention.statistic) as probe:
            states = encoder.hidden_states(self.model, batch, (*wanted, *_made_by(attention_blocks)))
        return states[: len(wanted)], probe.scores(batch)

    @torch.inference_mode()
    def everything(
        self,
        batch: TokenBatch,
        wanted: tuple[int, ...],
        attention: AttentionRequest | None = None,
        attention_blocks: tuple[int, ...] | None = None,
    ) -> tuple[list[Tensor], Tensor | None, Tensor]:
        """`states`, and `logits`, by one forward."""
        self._check_mode()
        if attention is None or not attention_blocks:
            states, logits = encoder.states_and_logits(self.model, batch, wanted)
            return states, None, self._ordered(logits)
        if reads_probabilities(self.model):
            return self._with_probabilities(batch, wanted, attention, attention_blocks)
        # The last block would compute [CLS] alone, whose row is enough for one statistic and not for the other.
        whole = _made_by(attention_blocks) if attention.statistic == "received" else ()
        with AttentionProbe(self.model, attention_blocks, attention.statistic) as probe:
            states, logits = encoder.states_and_logits(self.model, batch, (*wanted, *whole))
        return states[: len(wanted)], probe.scores(batch), self._ordered(logits)

    def _with_probabilities(
        self,
        batch: TokenBatch,
        wanted: tuple[int, ...],
        attention: AttentionRequest,
        attention_blocks: tuple[int, ...],
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        if not self._probabilities:
            self.model.set_attn_implementation("eager")
            self._probabilities = True
        inputs = encoder.model_inputs(self.model, batch)
        output = self.model(**inputs, output_hidden_states=True, output_attentions=True)
        scores = from_probabilities(output.attentions, attention_blocks, attention.statistic, batch)
        return [output.hidden_states[number] for number in wanted], scores, self._ordered(output.logits)

    def _ordered(self, logits: Tensor) -> Tensor:
        """The checkpoint's logits (B, C) in the order of the task's labels; a list as index would make a GPU wait."""
        return logits if self.order is None else logits.index_select(1, self.order)

    def _check_mode(self) -> None:
        assert self.model.training == self.dropout, "someone changed the teacher's train/eval mode"


def _made_by(blocks: Sequence[int]) -> tuple[int, ...]:
    """The hidden states that these blocks (0-based) make."""
    return tuple(block + 1 for block in blocks)


def label_order(id2label: Mapping[int, str], task: Task, label_map: Mapping[str, int] | None = None) -> list[int]:
    """Which of the checkpoint's logits is each of the task's classes, matched by name.

    MNLI checkpoints are known to disagree on the order: by position, a good teacher scores 7%.

    Raises:
        ConfigError: names that do not match, or LABEL_k without `teacher.label_map`.
    """
    if task.labels is None:
        if len(id2label) != 1:
            value = f"{len(id2label)} outputs"
            raise ConfigError("teacher", value, "one output for a regression task", "choose another checkpoint")
        return [0]
    if label_map is not None:
        known = {str(name).lower(): int(number) for name, number in label_map.items()}
        key, value = "teacher.label_map", str(dict(label_map))
    else:
        known = {str(name).lower(): int(number) for number, name in id2label.items()}
        key, value = "teacher.checkpoint", ", ".join(map(str, id2label.values()))
    order = [known.get(label.lower(), -1) for label in task.labels]
    if sorted(order) != list(range(len(id2label))):
        example = ", ".join(f"{label}: {number}" for number, label in enumerate(task.labels))
        remedy = f"say which logit is which: 'teacher.label_map={{{example}}}'"
        raise ConfigError(key, value, f"the task's classes: {', '.join(task.labels)}", remedy)
    return order
