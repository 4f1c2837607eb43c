"""Lines of progress come by the clock, not by the step."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hskd_lightning.training.step_progress import PlainProgress, TerminalProgress


def said(seconds_a_step: float, steps: int, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a stage of so many steps says."""
    now: Iterator[float] = (seconds_a_step * tick for tick in range(steps + 1))
    progress = PlainProgress("hidden", steps, clock=lambda: next(now))
    module: Any = None
    trainer: Any = SimpleNamespace(global_step=0)
    with caplog.at_level("INFO", logger="hskd_lightning"):
        progress.on_train_start(trainer, module)
        for step in range(1, steps + 1):
            trainer.global_step = step
            progress.on_train_batch_end(trainer, module, {"loss": torch.tensor(0.5)}, None, step - 1)
    return caplog.messages


def test_a_small_stage_says_its_last_step_alone(caplog: pytest.LogCaptureFixture) -> None:
    assert said(0.01, 90, caplog) == ["hidden: step 90 of 90, loss 0.5000, 0.010 s a step"]


def test_a_long_stage_says_something_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    steps = [message.split(",")[0] for message in said(0.5, 50, caplog)]
    assert steps == ["hidden: step 20 of 50", "hidden: step 40 of 50", "hidden: step 50 of 50"]


def test_steps_slower_than_that_are_said_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    assert len(said(12.0, 4, caplog)) == 4


class Unread:
    """A loss that counts how often somebody asks for its number."""

    def __init__(self) -> None:
        self.reads = 0

    def __float__(self) -> float:
        self.reads += 1
        return 0.5


@pytest.mark.parametrize(
    ("seconds_a_step", "reads"),
    [
        pytest.param(0.001, 2, id="at the first step and the last"),
        pytest.param(0.125, 6, id="twice a second"),
        pytest.param(1.0, 20, id="at every step that takes as long"),
    ],
)
def test_the_bar_waits_for_a_loss_only_where_it_shows_it(seconds_a_step: float, reads: int) -> None:
    now: Iterator[float] = (seconds_a_step * tick for tick in range(20))
    bar, loss = TerminalProgress("hidden", 20, clock=lambda: next(now)), Unread()
    trainer: Any = SimpleNamespace(global_step=0)
    module: Any = None
    for step in range(1, 21):
        trainer.global_step = step
        bar.on_train_batch_end(trainer, module, {"loss": loss}, None, step - 1)
    assert loss.reads == reads
