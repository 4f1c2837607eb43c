"""The randomness of a step is a function of the seed, the stage and the step."""

from __future__ import annotations

import torch

from hskd_lightning.training.module import reseed, step_seed


def test_reseeding_one_device_draws_as_torch_does() -> None:
    torch.manual_seed(7)
    expected = torch.rand(5)
    torch.rand(3)
    reseed(7, torch.device("cpu"))
    assert torch.equal(torch.rand(5), expected)


def test_every_step_has_a_seed_of_its_own() -> None:
    seeds = {step_seed(seed, stage, at) for seed in (0, 1) for stage in ("hidden", "prediction") for at in range(50)}
    assert len(seeds) == 200
