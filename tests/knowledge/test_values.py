"""Numbers on disk, by hand, and what they lose."""

from __future__ import annotations

import pytest
import torch

from hskd_lightning.errors import ConfigError
from hskd_lightning.knowledge.values import Loss, Meter, Range, check_holds, from_int8, largest, to_int8


def ranged(*rows: list[float]) -> Range:
    found = Range.of_nothing(len(rows[0]))
    for row in rows:
        found.widen(torch.tensor([row]))
    return found


def test_int8_has_254_steps_from_the_least_to_the_largest() -> None:
    found = ranged([0.0, -1.0], [254.0, 1.0])
    assert found.offset.tolist() == [127.0, 0.0]
    torch.testing.assert_close(found.scale, torch.tensor([1.0, 1 / 127]))
    values = torch.tensor([[0.0, -1.0], [127.0, 0.0], [254.0, 1.0], [100.0, 0.5]])
    coded = to_int8(values, found.scale, found.offset)
    assert coded.tolist() == [[-127, -127], [0, 0], [127, 127], [-27, 64]]
    back = from_int8(coded, found.scale, found.offset)
    torch.testing.assert_close(back, torch.tensor([[0.0, -1.0], [127.0, 0.0], [254.0, 1.0], [100.0, 64 / 127]]))


def test_a_unit_that_never_moves_comes_back_as_it_was() -> None:
    found = ranged([3.5], [3.5])
    assert from_int8(to_int8(torch.tensor([[3.5]]), found.scale, found.offset), found.scale, found.offset) == 3.5


def test_a_unit_that_was_never_seen_is_0() -> None:
    found = Range.of_nothing(1)
    assert found.offset.tolist() == [0.0]
    assert found.scale.item() > 0


def test_an_outlier_unit_survives_int8_and_spoils_no_other() -> None:
    """BERT has units near -10 that vary by 0.5, beside units near 0: each has a scale and a middle of its own."""
    drawn = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    values = drawn * torch.tensor([0.5, 0.05]) + torch.tensor([-10.0, 0.0])
    found = Range.of_nothing(2)
    found.widen(values)
    error = (from_int8(to_int8(values, found.scale, found.offset), found.scale, found.offset) - values).square().mean(0)
    assert (error.sqrt() / values.std(dim=0) < 0.01).all()
    symmetric = values.abs().amax(dim=0) / 127  # what a scale without a middle would do to the outlier
    naive = ((values / symmetric).round() * symmetric - values).square().mean(0)
    assert (naive.sqrt() / values.std(dim=0))[0] > 0.04


def test_a_value_too_large_for_half_precision_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"(?s)`store.dtype` = 'fp16'.*7e\+04.*store.dtype=bf16"):
        check_holds("fp16", largest(torch.tensor([1.0, -70_000.0])).item())
    check_holds("bf16", 70_000.0)
    check_holds("fp16", 65_519.0)  # the last that is rounded down to 65,504


def test_a_nan_is_refused_by_every_dtype() -> None:
    with pytest.raises(ConfigError, match="a type that holds nan"):
        check_holds("fp32", largest(torch.tensor([1.0, torch.nan])).item())


def test_loss_is_relative_to_what_the_values_vary_by() -> None:
    meter = Meter(2, centred=True)
    exact = torch.tensor([[10.0, 0.0], [12.0, 4.0]])  # energy: 2 and 8
    meter.add(exact, exact + torch.tensor([[0.1, 0.2], [0.1, 0.2]]))  # error: 0.02 and 0.08
    loss = meter.loss
    assert loss.error == pytest.approx(0.10, rel=1e-5)
    assert loss.energy == pytest.approx(10.0)
    assert loss.relative == pytest.approx(0.1, rel=1e-5)
    assert loss.worst == pytest.approx(0.1, rel=1e-5)


def test_loss_of_masked_values_is_relative_to_their_size() -> None:
    meter = Meter(1, centred=False)
    meter.add(torch.tensor([[3.0], [4.0]]), torch.tensor([[3.0], [4.5]]))
    assert meter.loss == (0.25, 25.0, pytest.approx(0.1))


def test_losses_of_shards_add_up() -> None:
    assert Loss(1.0, 10.0, 0.3).join(Loss(2.0, 20.0, 0.2)) == (3.0, 30.0, 0.3)
    assert Loss(0.0, 0.0, 0.0).relative == 0.0
