"""Losses are read when somebody looks, and the first that is no number is named."""

from __future__ import annotations

import contextlib
import math

import pytest
import torch

from hskd_lightning.errors import TrainingError
from hskd_lightning.training.finite import Losses, check_weights
from tests.emulated_device import CUDA, emulated


def after(*losses: float, first: int = 0) -> Losses:
    watched = Losses()
    for step, loss in enumerate(losses, start=first):
        watched.add(step, torch.tensor(loss))
    return watched


def test_the_last_loss_is_told() -> None:
    assert after(3.0, 2.0, 1.0).read("hidden") == 1.0


def test_what_was_read_is_read_no_more() -> None:
    watched = after(3.0)
    watched.read("hidden")
    assert math.isnan(watched.read("hidden"))


def test_the_first_bad_step_is_named_and_not_the_last() -> None:
    with pytest.raises(TrainingError, match="became inf in stage hidden, step 41: lower"):
        after(1.0, math.inf, math.nan, 2.0, first=40).read("hidden")


def test_a_loss_holds_no_graph() -> None:
    watched, weight = Losses(), torch.ones((), requires_grad=True)
    watched.add(0, weight * 2)
    assert not watched._losses[0].requires_grad


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_weights_that_are_no_numbers_are_not_kept(bad: float) -> None:
    state = {"fine": torch.ones(2), "rows": torch.arange(3), "bad": torch.tensor([0.0, bad])}
    with pytest.raises(TrainingError, match="stage hidden, by step 7"):
        check_weights(state, "hidden", 7)


def test_weights_that_are_numbers_are() -> None:
    check_weights({"weight": torch.ones(2), "rows": torch.arange(3)}, "hidden", 7)


@pytest.mark.parametrize("bad", [1.0, math.nan])
def test_weights_of_two_devices(bad: float) -> None:
    """As those of a stage on a GPU whose table is where the rows that are not in use are."""
    with emulated():
        state = {"table": torch.tensor([bad]), "weight": torch.ones(2).to(CUDA)}
        with contextlib.nullcontext() if bad == 1 else pytest.raises(TrainingError):
            check_weights(state, "hidden", 7)
