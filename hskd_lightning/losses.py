"""The losses, as pure functions of tensors. All are computed in float32, whatever the models run in."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from hskd_lightning.hsk import HiddenTarget


def hidden_losses(student: Tensor, target: HiddenTarget, over: Callable[[Tensor], Tensor] = lambda n: n) -> Tensor:
    """Mean squared error of each kept layer pair: (B, P, K, W) against the target -> (P,).

    The hidden stage's loss is the sum of these (Liu et al. 2021, training of the hidden stage). The mean runs over
    what was kept, real tokens and counted units, so neither padding nor the richest example of a batch moves it.
    The released code averages over padding too.

    Args:
        over: how many values the mean is over, given how many these examples have in each pair: (P,) -> (P,). Others
            where other processes have a part of the batch, see `ranks.mean`.
    """
    error = (student.float() - target.values.float()).square()  # (B, P, K, W)
    counted = target.tokens.valid[..., None].to(error)  # (B, P, K, 1)
    if target.units is not None:
        counted = counted * target.units  # (B, P, K, W)
    total = (error * counted).sum(dim=(0, 2, 3))  # (P,)
    count = over(counted.expand_as(error).sum(dim=(0, 2, 3)))  # (P,)
    return total / count.where(count > 0, 1)


def soft_cross_entropy(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, mean_over: str = "examples"
) -> Tensor:
    """Cross entropy of the student's logits (B, C) with the teacher's softened prediction (B, C).

    Args:
        temperature: both are divided by it; the loss is multiplied by its square, so that the gradient's size does
            not depend on it (Hinton et al. 2015, section 2).
        mean_over: `examples`, or `elements` for the released code's way: the mean is taken over the classes too, and
            the temperature's square is left out.
    """
    soft = F.softmax(teacher.float() / temperature, dim=-1)
    each = -(soft * F.log_softmax(student.float() / temperature, dim=-1))  # (B, C)
    if mean_over == "elements":
        return each.mean()
    return each.sum(dim=-1).mean() * temperature**2


def score_loss(student: Tensor, score: Tensor) -> Tensor:
    """Mean squared error of a regression student's output (B, 1) with the scores (B,): the teacher's, or gold."""
    return F.mse_loss(student.float().squeeze(-1), score.float())


def label_loss(student: Tensor, labels: Tensor) -> Tensor:
    """Gold labels: cross entropy for class ids (B,), squared error for scores (B,)."""
    if labels.is_floating_point():
        return score_loss(student, labels)
    return F.cross_entropy(student.float(), labels)
