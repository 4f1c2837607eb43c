"""Optimiser, schedule and clipping of a stage, as its yaml says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hskd_lightning.settings.stages import StageSettings

CLIPPED = "clipped"
"""The entry of an optimiser's first group that counts clipped steps."""


def decayed(module: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups: no weight decay on biases and normalisation weights (everything of one dimension)."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim > 1]},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def build_optimizer(module: nn.Module, settings: StageSettings) -> torch.optim.Optimizer:
    """The stage's optimiser over what of `module` wants gradients; it clips them as the stage says."""
    return OPTIMIZERS[settings.optimizer](decayed(module), settings)


def rate_factor(settings: StageSettings, total_steps: int, step: int) -> float:
    """The learning rate's factor at an optimiser step: a function of the step alone, so nothing of it is kept."""
    warm_steps = round(settings.warmup * total_steps)
    if step < warm_steps:
        return step / warm_steps if settings.warmup_from_zero else (step + 1) / (warm_steps + 1)
    if settings.schedule == "constant":
        return 1.0
    return max(0.0, (total_steps - step) / max(1, total_steps - warm_steps))


def clip_divisor(gradients: list[Tensor], limit: float) -> Tensor:
    """() what these gradients are divided by, for their common norm to be at most `limit`; 1 where it is already.

    It stays on the device: whoever divides by it waits for nothing.
    """
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return ((norm + 1e-6) / limit).clamp(min=1.0)


def clip_gradients(gradients: list[Tensor], settings: StageSettings) -> Tensor | None:
    """Clip gradients by their common norm, or each tensor's by its own.

    Returns:
        () the largest number by which one of them was divided, on the device; None where nothing is clipped.
    """
    if settings.clip is None or not gradients:
        return None
    groups = [[gradient] for gradient in gradients] if settings.clip_per_tensor else [gradients]
    divisors = [clip_divisor(group, settings.clip) for group in groups]
    for group, divisor in zip(groups, divisors, strict=True):
        torch._foreach_div_(group, divisor)
    return torch.stack(divisors).max()


def count_clipped(optimizer: torch.optim.Optimizer, divisor: Tensor | None) -> None:
    """Count a step whose gradients were divided by more than 1; nothing waits for the count, which stays on the device.

    It lies in the first group of parameters, so it is part of the optimiser's state and goes on after a kill.
    """
    if divisor is not None:
        first, clipped = optimizer.param_groups[0], (divisor > 1).long()
        before = first.get(CLIPPED)
        first[CLIPPED] = clipped if before is None else before.to(divisor.device) + clipped  # a resumed one: CPU


def clipped_steps(optimizer: torch.optim.Optimizer) -> int:
    """In how many steps a gradient was larger than the stage's limit; whoever asks waits for the device."""
    return int(optimizer.param_groups[0].get(CLIPPED, 0))


class AdamW(torch.optim.Optimizer):
    """AdamW by torch's fused kernel, which clips by the common norm on its way: gradients are read once for their norm
    and once for the update, and scaled nowhere else.

    `torch.optim.AdamW(fused=True)` would do the same in twice the time where tensors are small and many: each has a
    count of steps there, here a group has one, `group["step"]`.
    """

    def __init__(
        self,
        params: Any,
        settings: StageSettings,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": settings.lr, "betas": betas, "eps": eps, "weight_decay": settings.weight_decay}
        super().__init__(params, defaults)
        self.settings = settings
        for group in self.param_groups:
            group["step"] = torch.zeros(())

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = _evaluated(closure)
        gradients = present_gradients(self)
        divisor = None
        if self.settings.clip_per_tensor:
            count_clipped(self, clip_gradients(gradients, self.settings))
        elif self.settings.clip is not None and gradients:
            divisor = clip_divisor(gradients, self.settings.clip)
            count_clipped(self, divisor)
        for group in self.param_groups:
            self._update(group, divisor)
        return loss

    def _update(self, group: dict[str, Any], divisor: Tensor | None) -> None:
        trained = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not trained:
            return
        states = [self._moments(parameter) for parameter in trained]
        group["step"] = group["step"].to(trained[0].device)  # a resumed one comes from the checkpoint, on the CPU
        group["step"] += 1
        torch._fused_adamw_(
            trained,
            [parameter.grad for parameter in trained],
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [group["step"]] * len(trained),
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
            grad_scale=divisor,
        )

    def _moments(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return state


class BertAdam(torch.optim.Optimizer):
    """Adam without bias correction and with decoupled weight decay: the optimiser of the original BERT code.

    Without the correction its first steps are larger: the mean starts at a tenth of the gradient, but the root of the
    mean square at a thirtieth. Kept for `preset=paper`; the defaults of the moments and of eps are that code's.
    """

    def __init__(
        self,
        params: Any,
        settings: StageSettings,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
    ) -> None:
        defaults = {"lr": settings.lr, "betas": betas, "eps": eps, "weight_decay": settings.weight_decay}
        super().__init__(params, defaults)
        self.settings = settings

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = _evaluated(closure)
        count_clipped(self, clip_gradients(present_gradients(self), self.settings))
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


def present_gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The gradients that the last backward pass left; a parameter that no loss has read has none."""
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _evaluated(closure: Callable[[], float] | None) -> float | None:
    """The loss of a closure, with which Lightning runs forward and backward inside of the optimiser's step."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


OPTIMIZERS: dict[str, Callable[[Any, StageSettings], torch.optim.Optimizer]] = {"adamw": AdamW, "bert_adam": BertAdam}
