"""Several processes as one: shares of a batch, and means over all of it."""

from __future__ import annotations

import pytest
import torch

from hskd_lightning import ranks
from hskd_lightning.hsk import HiddenTarget, TokenSelection
from hskd_lightning.losses import hidden_losses
from hskd_lightning.ranks import Launched, launched, share
from hskd_lightning.training.module import step_seed


@pytest.mark.parametrize(
    ("batch", "shares"),
    [
        ([7, 8, 9, 10], [[7, 9], [8, 10]]),
        ([7, 8, 9], [[7, 9], [8]]),
        ([7], [[7], [7]]),  # one for each is not there: all have all
    ],
)
def test_each_rank_takes_every_nth_row(batch: list[int], shares: list[list[int]]) -> None:
    assert [share(torch.tensor(batch), (rank, 2)).tolist() for rank in (0, 1)] == shares


def test_a_process_by_itself_takes_all_and_reduces_nothing() -> None:
    values = torch.tensor([1.0, 2.0])
    assert share(torch.tensor([7, 8]), (0, 1)).tolist() == [7, 8]
    assert ranks.mean(values) is values and ranks.part_of_mean(values, 3) is values
    assert (ranks.rank(), ranks.size()) == (0, 1)


def target(rows: list[list[bool]]) -> HiddenTarget:
    """One pair and one unit of zeros, with these tokens: (B, K) -> (B, 1, K, 1)."""
    valid = torch.tensor(rows)[:, None]
    return HiddenTarget(torch.zeros(*valid.shape, 1), TokenSelection(torch.zeros_like(valid).long(), valid), None)


def test_ranks_with_uneven_counts_of_tokens_have_the_mean_of_all_tokens() -> None:
    """Errors of 1, 1, 1 and of 2: (3 * 1 + 4) / 4 tokens, and not the mean of the ranks' means, (1 + 4) / 2."""
    mine, theirs = torch.ones(1, 1, 3, 1), torch.full((1, 1, 3, 1), 2.0)

    def mean_count(own: torch.Tensor) -> torch.Tensor:
        return torch.full_like(own, (3 + 1) / 2)

    parts = [
        hidden_losses(mine, target([[True, True, True]]), mean_count),
        hidden_losses(theirs, target([[True, False, False]]), mean_count),
    ]
    whole = hidden_losses(torch.cat([mine, theirs]), target([[True] * 3, [True, False, False]]))
    assert sum(parts) / 2 == whole == torch.tensor([7 / 4])


def test_a_pair_of_which_no_rank_has_a_token_has_no_loss() -> None:
    assert hidden_losses(torch.ones(1, 1, 1, 1), target([[False]]), lambda own: own).tolist() == [0.0]


def test_one_token_of_two_ranks_is_a_mean_of_one() -> None:
    """Half a token a rank: the rank that has it counts its error twice, and the mean over both ranks once."""
    loss = hidden_losses(torch.full((1, 1, 1, 1), 3.0), target([[True]]), lambda own: own / 2)
    assert loss.tolist() == [18.0]


def test_ranks_with_uneven_numbers_of_examples_have_the_mean_of_all_examples() -> None:
    """Losses 1, 1, 1 and 5: 2 each, and not (1 + 5) / 2."""
    parts = [
        ranks.part_of_mean(torch.tensor(own), examples, lambda n: torch.full_like(n, (3 + 1) / 2))
        for own, examples in ((1.0, 3), (5.0, 1))
    ]
    assert sum(parts) / 2 == 2.0


def test_each_rank_draws_its_own_dropout_and_the_first_draws_what_one_process_draws() -> None:
    assert step_seed(0, "hidden", 7, rank=0) == step_seed(0, "hidden", 7)
    assert step_seed(0, "hidden", 7, rank=1) != step_seed(0, "hidden", 7)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4"}
SRUN = {"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "cell"}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        (TORCHRUN, Launched("torchrun", 3, 4)),
        (SRUN, Launched("srun", 1, 2)),
        ({**SRUN, "SLURM_NNODES": "2"}, Launched("srun", 1, 2, nodes=2)),
        ({**SRUN, "SLURM_JOB_NAME": "bash"}, None),  # a shell of an allocation: one process, whatever was allocated
        ({**SRUN, "SLURM_NTASKS": "1"}, None),
    ],
)
def test_a_launcher_is_known_by_its_variables(environment: dict[str, str], found: Launched | None) -> None:
    assert launched(environment) == found
