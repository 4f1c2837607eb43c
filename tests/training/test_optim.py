"""Schedules, optimisers and clipping, by hand."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hskd_lightning.settings.stages import StageSettings
from hskd_lightning.training.optim import (
    AdamW,
    BertAdam,
    build_optimizer,
    clip_gradients,
    clipped_steps,
    count_clipped,
    decayed,
    rate_factor,
)
from tests.emulated_device import CUDA, emulated


def settings(**given) -> StageSettings:
    return StageSettings(**{"epochs": 1, "lr": 0.1, **given})


# Steps.


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        pytest.param(3, 300, id="whole epochs"),
        pytest.param(0.5, 50, id="half an epoch"),
        pytest.param(0.001, 1, id="at least one step"),
    ],
)
def test_steps_of_100_an_epoch(epochs: float, expected: int) -> None:
    assert settings(epochs=epochs).steps(100) == expected


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        pytest.param(199, 199, id="too short to be saved on the way"),
        pytest.param(200, 199, id="saved before the 200th update"),
        pytest.param(201, 199, id="one more is lost"),
        pytest.param(399, 199, id="a tail of 200 is lost"),
        pytest.param(400, 399, id="saved twice"),
        pytest.param(1, 1, id="a single step"),
    ],
)
def test_weights_saved_every_200_updates_have_seen_one_less(steps: int, kept: int) -> None:
    assert settings(saved_every=200).kept(steps) == kept


def test_without_saving_on_the_way_the_end_is_kept() -> None:
    assert settings().kept(399) == 399


def test_the_schedule_runs_over_steps_that_are_not_kept() -> None:
    assert factors(4, schedule="linear", saved_every=2) == [1.0, 0.75, 0.5, 0.25]


# Schedules: the learning-rate factor of steps 0, 1, 2, ...


def factors(total: int, **given) -> list[float]:
    return [rate_factor(settings(**given), total, step) for step in range(total)]


def test_constant_is_one() -> None:
    assert factors(4) == [1.0, 1.0, 1.0, 1.0]


def test_linear_falls_towards_zero() -> None:
    assert factors(4, schedule="linear") == [1.0, 0.75, 0.5, 0.25]


def test_linear_is_zero_after_the_last_step() -> None:
    assert [rate_factor(settings(schedule="linear"), 4, step) for step in (4, 9)] == [0.0, 0.0]


def test_warmup_rises_to_the_full_rate() -> None:
    assert factors(6, warmup=0.5) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]  # three steps of six


def test_the_released_codes_warmup_begins_at_zero() -> None:
    found = factors(6, warmup=0.5, warmup_from_zero=True)
    assert found == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1])  # three steps of six


def test_the_released_codes_warmup_then_linear() -> None:
    assert factors(4, warmup=0.25, warmup_from_zero=True, schedule="linear") == pytest.approx([0, 1, 2 / 3, 1 / 3])


def test_no_warmup_begins_at_the_full_rate_whichever_way() -> None:
    assert factors(2, warmup_from_zero=True) == [1.0, 1.0]


def test_warmup_then_linear() -> None:
    assert factors(4, warmup=0.25, schedule="linear") == pytest.approx([0.5, 1.0, 2 / 3, 1 / 3])


def test_warmup_of_all_steps_never_divides_by_zero() -> None:
    assert factors(2, warmup=1.0, schedule="linear") == pytest.approx([1 / 3, 2 / 3])


# Optimisers. The gradient is 2 at the first step and 4 at the second; the weight starts at 1.


def two_steps(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> list[float]:
    weights = []
    for gradient in (2.0, 4.0):
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
        weights.append(parameter.item())
    return weights


def test_bert_adams_first_two_steps_by_hand() -> None:
    parameter = nn.Parameter(torch.tensor([[1.0]]))
    weights = two_steps(BertAdam([parameter], settings(weight_decay=0.0, clip=None)), parameter)
    first = 1 - 0.1 * 0.2 / (math.sqrt(0.004) + 1e-6)  # moments 0.1 * 2 and 0.001 * 4
    second = first - 0.1 * (0.9 * 0.2 + 0.1 * 4) / (math.sqrt(0.999 * 0.004 + 0.001 * 16) + 1e-6)
    assert weights == pytest.approx([first, second], rel=1e-5)


def test_bert_adams_first_step_is_larger_than_adamws() -> None:
    moved = []
    for optimizer in ("bert_adam", "adamw"):
        module = nn.Linear(1, 1, bias=False)
        nn.init.ones_(module.weight)
        built = build_optimizer(module, settings(optimizer=optimizer, weight_decay=0.0, clip=None))
        moved.append(1 - two_steps(built, module.weight)[0])
    assert moved == pytest.approx([0.1 * math.sqrt(10), 0.1], rel=1e-4)  # 0.1 / sqrt(0.001), and 1


def test_bert_adam_decays_the_weight_by_its_rate() -> None:
    parameter = nn.Parameter(torch.tensor([[1.0]]))
    parameter.grad = torch.zeros_like(parameter)
    BertAdam([parameter], settings(weight_decay=0.5)).step()
    assert parameter.item() == pytest.approx(0.95)  # 1 - 0.1 * 0.5 * 1


def test_bert_adam_leaves_parameters_without_gradient() -> None:
    parameter = nn.Parameter(torch.tensor([[1.0]]))
    BertAdam([parameter], settings(weight_decay=0.5)).step()
    assert parameter.item() == 1.0


@pytest.mark.parametrize("kind", [AdamW, BertAdam])
def test_an_optimiser_goes_on_where_its_state_says(kind: type) -> None:
    whole, resumed = nn.Parameter(torch.tensor([[1.0]])), nn.Parameter(torch.tensor([[1.0]]))
    straight = kind([whole], settings())
    two_steps(straight, whole)
    state, weight = copy.deepcopy(straight.state_dict()), whole.item()
    two_steps(straight, whole)
    again = kind([resumed], settings())
    again.load_state_dict(state)
    resumed.data.fill_(weight)
    two_steps(again, resumed)
    assert resumed.item() == whole.item()


def test_biases_and_norms_are_not_decayed() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    with_decay, without = decayed(module)
    assert [tuple(parameter.shape) for parameter in with_decay["params"]] == [(3, 2)]
    assert [tuple(parameter.shape) for parameter in without["params"]] == [(3,), (3,), (3,)]
    assert without["weight_decay"] == 0.0


def test_frozen_parameters_are_not_optimised() -> None:
    module = nn.Linear(2, 3)
    module.weight.requires_grad_(False)
    with_decay, without = decayed(module)
    assert (len(with_decay["params"]), len(without["params"])) == (0, 1)


@pytest.mark.parametrize("optimizer", ["adamw", "bert_adam"])
def test_a_zero_gradient_decays_weights_and_not_biases(optimizer: str) -> None:
    module = nn.Linear(1, 1)
    nn.init.ones_(module.weight)
    nn.init.ones_(module.bias)
    built = build_optimizer(module, settings(optimizer=optimizer, weight_decay=0.5))
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    built.step()
    assert (module.weight.item(), module.bias.item()) == (pytest.approx(0.95), 1.0)


# Clipping: gradients (3, 4) of norm 5 and (0, 12) of norm 12; together 13.


def clipped(**given) -> list[list[float]]:
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(2)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 12.0])
    clip_gradients([parameter.grad for parameter in parameters], settings(**given))
    return [parameter.grad.tolist() for parameter in parameters]


def test_clipping_by_the_common_norm_keeps_the_direction() -> None:
    assert clipped(clip=6.5) == [pytest.approx([1.5, 2.0]), pytest.approx([0.0, 6.0])]


def test_clipping_per_tensor_leaves_the_smaller_alone() -> None:
    assert clipped(clip=6.0, clip_per_tensor=True) == [pytest.approx([3.0, 4.0]), pytest.approx([0.0, 6.0])]


def test_a_norm_below_the_limit_is_not_stretched() -> None:
    assert clipped(clip=100.0) == [[3.0, 4.0], [0.0, 12.0]]


def test_no_clip() -> None:
    assert clipped(clip=None) == [[3.0, 4.0], [0.0, 12.0]]


# Clipped steps are counted: gradients (2, 0) in the first step, (4, 0) in the second.


def clipped_of_two(**given) -> int:
    parameter = nn.Parameter(torch.zeros(1))
    built = build_optimizer(nn.ParameterList([parameter, nn.Parameter(torch.zeros(1))]), settings(**given))
    two_steps(built, parameter)
    return clipped_steps(built)


KINDS = [(optimizer, per_tensor) for optimizer in ("adamw", "bert_adam") for per_tensor in (False, True)]


@pytest.mark.parametrize(("optimizer", "per_tensor"), KINDS)
@pytest.mark.parametrize(
    ("clip", "count"),
    [
        pytest.param(1.0, 2, id="both"),
        pytest.param(3.0, 1, id="the second"),
        pytest.param(5.0, 0, id="none"),
        pytest.param(None, 0, id="no limit"),
    ],
)
def test_a_step_is_counted_where_its_norm_is_above_the_limit(
    optimizer: str, per_tensor: bool, clip: float | None, count: int
) -> None:
    assert clipped_of_two(optimizer=optimizer, clip_per_tensor=per_tensor, clip=clip) == count


def test_a_step_is_counted_once_however_many_tensors_are_clipped() -> None:
    module = nn.Linear(2, 2)
    built = build_optimizer(module, settings(clip=0.1, clip_per_tensor=True))
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    built.step()
    assert clipped_steps(built) == 1


def test_the_count_goes_on_where_the_state_says() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    before, after = AdamW([parameter], settings(clip=3.0)), AdamW([parameter], settings(clip=3.0))
    two_steps(before, parameter)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    two_steps(after, parameter)
    assert clipped_steps(after) == 2


def test_counting_waits_for_no_device() -> None:
    optimizer = BertAdam([nn.Parameter(torch.zeros(1))], settings())
    with emulated() as waits:
        divisors = [torch.tensor(value).pin_memory().to(CUDA, non_blocking=True) for value in (2.0, 1.0, 1.5)]
        waits.clear()
        for divisor in divisors:
            count_clipped(optimizer, divisor)
        assert not waits
        assert clipped_steps(optimizer) == 2


# One pass: clipping inside of the fused kernel is torch's clip_grad_norm_, then its AdamW.


def trained(step: Callable[[nn.Module], Callable[[], None]], scale: float) -> list[Tensor]:
    """The weights after five steps of one set of gradients a step, drawn at this scale."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    update = step(module)
    for _ in range(5):
        for parameter in module.parameters():
            parameter.grad = scale * torch.randn_like(parameter)
        update()
    return [parameter.detach() for parameter in module.parameters()]


def torchs_way(module: nn.Module) -> Callable[[], None]:
    theirs = torch.optim.AdamW(decayed(module), lr=0.1, weight_decay=0.01, fused=True)

    def update() -> None:
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        theirs.step()

    return update


@pytest.mark.parametrize("scale", [pytest.param(10.0, id="clipped"), pytest.param(0.01, id="below the limit")])
def test_one_pass_makes_the_weights_of_two(scale: float) -> None:
    ours = trained(lambda module: build_optimizer(module, settings(clip=1.0)).step, scale)
    torch.testing.assert_close(ours, trained(torchs_way, scale), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "bert_adam"])
def test_every_optimiser_clips_as_the_stage_says(optimizer: str, per_tensor: bool) -> None:
    given = {"optimizer": optimizer, "clip_per_tensor": per_tensor}

    def clipped_before(module: nn.Module) -> Callable[[], None]:
        built = build_optimizer(module, settings(**given, clip=None))

        def update() -> None:
            clip_gradients([parameter.grad for parameter in module.parameters()], settings(**given, clip=0.5))
            built.step()

        return update

    ours = trained(lambda module: build_optimizer(module, settings(**given, clip=0.5)).step, 1.0)
    torch.testing.assert_close(ours, trained(clipped_before, 1.0), rtol=1e-5, atol=1e-6)


def test_a_parameter_that_no_loss_reads_stays_as_it_is() -> None:
    module = nn.Linear(2, 1)
    before = module.bias.detach().clone()
    built = build_optimizer(module, settings())
    module.weight.grad = torch.ones_like(module.weight)
    built.step()
    assert torch.equal(module.bias, before)


def test_without_any_gradient_nothing_moves() -> None:
    module = nn.Linear(2, 1)
    before = module.weight.detach().clone()
    build_optimizer(module, settings()).step()
    assert torch.equal(module.weight, before)
