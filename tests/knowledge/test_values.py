"""What bits lose, by hand."""

from __future__ import annotations

import pytest
import torch

from hskd_lightning.errors import ConfigError
from hskd_lightning.knowledge.values import Loss, Meter, check_holds, largest


def test_a_value_too_large_for_half_precision_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"(?s)`bits` = 'fp16'.*7e\+04.*bits=bf16"):
        check_holds(torch.float16, largest(torch.tensor([1.0, -70_000.0])).item(), "fp16")
    check_holds(torch.bfloat16, 70_000.0, "bf16")
    check_holds(torch.float16, 65_519.0, "fp16")  # the last that is rounded down to 65,504


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8])
def test_a_nan_is_refused_whatever_the_bits(dtype: torch.dtype) -> None:
    with pytest.raises(ConfigError, match="a type that holds nan"):
        check_holds(dtype, largest(torch.tensor([1.0, torch.nan])).item(), "planes 8")


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
