"""What width and bits find in a teacher's states: fitted once, for stores and for teachers in the loop alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hskd_lightning.artifacts import Recipe, build_once, folder_of
from hskd_lightning.assets.corpus import artifacts
from hskd_lightning.assets.teacher import TeacherStates
from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.compress.width.base import UnitCode
from hskd_lightning.data.split import limit
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.teacher_source import sampled_states
from hskd_lightning.models.teacher import Teacher

KIND = "fit"
FILE = "fit.safetensors"
TOKENS = 32_768
"""Real tokens, about, that bits are fitted on: of examples drawn by the seed of the data's splits, whatever `length`
keeps, so that the fit stays the same along the length axis.
"""
MEMORY = 2**28
"""Bytes of states that are in memory together; of more layers the teacher runs again."""
Tensors = dict[str, Tensor]


def fit(states: TeacherStates, teacher: Teacher, plan: HskPlan, request: Request) -> Tensors:
    """The tensors of the fits of width and bits for a plan's layers, each (P, ...) or (1, ...).

    Args:
        request: what the plan needs of a store: it names the fits.

    Raises:
        ConfigError: there is too little to fit on, or a state is not finite.
    """
    mapped = plan.layer_map.teacher_states
    if not plan.bits.needs_sample:
        return dict(_width(states, teacher, plan, mapped).fitted)
    each = {
        state: tensors
        for group in _groups(plan, mapped)
        for state, tensors in _fits(states, teacher, plan, request, group)
    }
    found = {name: [each[state][name] for state in mapped] for name in each[mapped[0]]}
    shared = {name for name, tensor in plan.unfitted.code.fitted.items() if len(tensor) == 1}  # by all layers
    return {name: tensors[0] if name in shared else torch.cat(tensors) for name, tensors in found.items()}


def check_ready(states: TeacherStates, plan: HskPlan, request: Request) -> None:
    """Refuse a fit that cannot be made here, before a teacher is trained for it. One that is there needs nothing.

    Raises:
        ConfigError: a package is missing.
    """
    recipes = (_recipe(states, request, state) for state in plan.layer_map.teacher_states)
    if plan.bits.needs_sample and not all(folder_of(_root(states), KIND, recipe).is_dir() for recipe in recipes):
        plan.bits.check_ready()


def _groups(plan: HskPlan, mapped: Sequence[int]) -> list[list[int]]:
    """The states, as many together as memory is meant to hold."""
    unique = sorted(set(mapped))
    size = max(1, MEMORY // (4 * TOKENS * plan.shape.teacher_width))
    return [unique[start : start + size] for start in range(0, len(unique), size)]


def _fits(
    states: TeacherStates, teacher: Teacher, plan: HskPlan, request: Request, group: Sequence[int]
) -> list[tuple[int, Tensors]]:
    """The fits of some states, from one pass of the teacher."""

    @cache
    def sample() -> Tensor:
        batches = states.corpus.eval_batches(_drawn(states))
        return sampled_states(teacher, tuple(group), batches)  # (P, N, D)

    def make(state: int) -> Callable[[Path], Recipe]:
        def build(folder: Path) -> Recipe:
            code = _width(states, teacher, plan, (state,))
            values = code.encode(sample()[group.index(state)][None, None])[0]  # (1, N, W)
            found = {**code.fitted, **plan.bits.fit(values)}
            save_file({name: tensor.contiguous() for name, tensor in found.items()}, folder / FILE)
            return {"tokens": values.shape[1]}

        return build

    folders = [
        (state, build_once(_root(states), KIND, _recipe(states, request, state), make(state))) for state in group
    ]
    return [(state, load_file(folder / FILE)) for state, folder in folders]


def _root(states: TeacherStates) -> Path:
    return artifacts(states.teacher.experiment)


def _recipe(states: TeacherStates, request: Request, state: int) -> dict[str, Any]:
    dropout = states.teacher.experiment.settings.preset.teacher_dropout
    bits = {**(request.bits or {}), "keep": request.budget}
    width = {**(request.width or {}), "units": request.units}
    common = {"origin": request.origin, "dropout": dropout, "tokens": TOKENS, "width": width, "bits": bits}
    return {**common, "state": state}


def _width(states: TeacherStates, teacher: Teacher, plan: HskPlan, mapped: tuple[int, ...]) -> UnitCode:
    moments = states.moments(teacher, mapped) if plan.width.needs_moments else None
    return plan.width.fit(plan.shape.teacher_width, moments)


def _drawn(states: TeacherStates) -> TokenSplit:
    """Examples of the training split with some `TOKENS` tokens."""
    train = states.corpus.student_splits.train
    mean = float(train.lengths.double().mean())
    return limit(train, max(1, round(TOKENS / mean)), states.teacher.experiment.settings.data.split_seed)
