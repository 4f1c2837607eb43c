"""Optimiser, schedule and clipping of a stage, as its yaml says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from hskd_lightning.settings.stages import StageSettings


def decayed(module: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups: no weight decay on biases and normalisation weights (everything of one dimension)."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim > 1]},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def build_optimizer(module: nn.Module, settings: StageSettings) -> torch.optim.Optimizer:
    """The stage's optimiser over what of `module` wants gradients."""
    return OPTIMIZERS[settings.optimizer](decayed(module), lr=settings.lr, weight_decay=settings.weight_decay)


def build_schedule(optimizer: torch.optim.Optimizer, settings: StageSettings, total_steps: int) -> LambdaLR:
    """Learning-rate factor by optimiser step."""
    warm_steps = round(settings.warmup * total_steps)

    def factor(step: int) -> float:
        if step < warm_steps:
            return step / warm_steps if settings.warmup_from_zero else (step + 1) / (warm_steps + 1)
        if settings.schedule == "constant":
            return 1.0
        return max(0.0, (total_steps - step) / max(1, total_steps - warm_steps))

    return LambdaLR(optimizer, factor)


def clip_gradients(parameters: Iterable[Tensor], settings: StageSettings) -> None:
    """Clip gradients by their common norm, or each tensor's by its own."""
    if settings.clip is None:
        return
    groups = [[parameter] for parameter in parameters] if settings.clip_per_tensor else [list(parameters)]
    for group in groups:
        nn.utils.clip_grad_norm_(group, settings.clip)


class BertAdam(torch.optim.Optimizer):
    """Adam without bias correction and with decoupled weight decay: the optimiser of the original BERT code.

    Without the correction its first steps are larger: the mean starts at a tenth of the gradient, but the root of the
    mean square at a thirtieth. Kept for `preset=paper`; the defaults of the moments and of eps are that code's.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        first, second = group["betas"]
        state["mean"].lerp_(parameter.grad, 1 - first)
        state["square"].mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
        update = state["mean"] / (state["square"].sqrt() + group["eps"])
        parameter.add_(update + group["weight_decay"] * parameter, alpha=-group["lr"])


def _adamw(params: Any, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(params, lr=lr, weight_decay=weight_decay, fused=True)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adamw": _adamw, "bert_adam": BertAdam}
