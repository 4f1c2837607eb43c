"""What every strategy of conf/depth, length, width and bits promises. A yaml added there is tested too."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from hskd_lightning.choices import build
from hskd_lightning.compress.bits.base import BitsCode, BitsStrategy
from hskd_lightning.compress.compression import Compression
from hskd_lightning.compress.length.base import LengthStrategy, Tokens, kept_counts, select_tokens
from hskd_lightning.compress.width.base import HiddenValues, Moments, UnitCode
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import HiddenTarget, LayerMap, TokenSelection
from hskd_lightning.losses import hidden_losses
from hskd_lightning.settings import Choice
from tests.contracts.strategies import make, node, one_option, with_keep
from tests.helpers import options

UNITS, PAIRS = 12, 2
EVERY = [(axis, name) for axis in ("depth", "length", "width", "bits") for name in options(axis)]


def test_every_axis_has_strategies() -> None:
    assert {"all", "uniform"} <= set(options("depth"))
    assert {"all", "attention_no_sep"} <= set(options("length"))
    assert {"all", "pca", "magnitude_mask"} <= set(options("width"))
    assert {"fp32", "fp16", "int8", "planes", "residual"} <= set(options("bits"))


@pytest.mark.parametrize("preset", ["default", "paper"])
@pytest.mark.parametrize(("axis", "name"), EVERY)
def test_it_builds_from_its_yaml(axis: str, name: str, preset: str) -> None:
    assert build(Choice.of(node(axis, name, preset)), axis) is not None


@pytest.mark.parametrize(("axis", "name"), EVERY)
def test_an_option_that_it_does_not_take_is_refused(axis: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s)`{axis}`.* takes .*unexpected keyword argument 'kepe'"):
        make(axis, name, kepe=3)


# Depth. The student is as deep as its teacher, half as deep, and in no simple ratio to it.

SHAPES = [(4, 4), (12, 6), (12, 4), (10, 3), (4, 2)]


@pytest.mark.parametrize(("teacher", "student"), SHAPES)
@pytest.mark.parametrize("name", options("depth"))
def test_depth_names_states_that_both_models_have(name: str, teacher: int, student: int) -> None:
    pairs = make("depth", name).layer_map(teacher, student).pairs
    assert pairs
    assert all(0 <= low <= student and 0 <= high <= teacher for low, high in pairs)


@pytest.mark.parametrize(("teacher", "student"), SHAPES)
@pytest.mark.parametrize("name", options("depth"))
def test_depth_goes_from_the_bottom_to_the_top(name: str, teacher: int, student: int) -> None:
    layer_map = make("depth", name).layer_map(teacher, student)
    assert list(layer_map.pairs) == sorted(set(layer_map.pairs))
    assert list(layer_map.teacher_states) == sorted(layer_map.teacher_states)


@pytest.mark.parametrize(("teacher", "student"), SHAPES)
@pytest.mark.parametrize("name", with_keep("depth"))
def test_depth_keeps_k_pairs_each_set_inside_the_next(name: str, teacher: int, student: int) -> None:
    every = make("depth", name).layer_map(teacher, student).pairs
    kept = [make("depth", name, keep=count).layer_map(teacher, student).pairs for count in range(1, len(every) + 1)]
    assert [len(pairs) for pairs in kept] == list(range(1, len(every) + 1))
    assert all(set(few) < set(more) for few, more in zip(kept, kept[1:], strict=False))
    assert kept[-1] == every


@pytest.mark.parametrize("name", with_keep("depth"))
def test_depth_refuses_more_pairs_than_there_are(name: str) -> None:
    most = len(make("depth", name).layer_map(12, 4))
    with pytest.raises(ConfigError, match=f"(?s)`depth.keep` = {most + 1} .*from 1 up to {most}"):
        make("depth", name, keep=most + 1).layer_map(12, 4)


# Length. Four examples of 9, 1 to 7 tokens with [CLS] at the start and [SEP] at the end; the longest has two.

LENGTHS = (9, 4, 7, 2)
length_cases = pytest.mark.parametrize(
    ("name", "given"),
    one_option(
        "length",
        ("separators", ["first_row"]),
        ("pin_cls", [True]),
        ("attention_from", ["mapped", "uniform"]),
    ),
)
keep_cases = pytest.mark.parametrize("keep", [None, 1, 3, 50, 0.4, 1.0])


def tokens(rows: tuple[int, ...] = (0, 1, 2, 3), width: int = 9) -> Tokens:
    """Some of the four examples, padded to `width`; padding scores higher than any token."""
    lengths = torch.tensor(LENGTHS)
    column = torch.arange(width)
    real = column < lengths[:, None]  # (4, T)
    special = real & ((column == 0) | (column == lengths[:, None] - 1))
    special[0, 4] = True
    attention = torch.full((4, PAIRS, width), 1e3)
    attention[..., :9] = torch.randn(4, PAIRS, 9, generator=torch.Generator().manual_seed(0))
    attention = attention.masked_fill(~real[:, None], 1e3)
    index = list(rows)
    return Tokens(torch.tensor([40, 41, 42, 43])[index], real[index], special[index], attention[index])


def strategy_of(name: str, keep: Any, given: dict[str, Any]) -> LengthStrategy:
    """With this `keep`, where it has one."""
    strategy = make("length", name, **given)
    if name in with_keep("length"):
        strategy = make("length", name, keep=keep, **given)
    return strategy


def chosen(strategy: LengthStrategy, seen: Tokens) -> list[list[list[int]]]:
    """The kept positions of each example and pair, best first."""
    selection = select_tokens(strategy, seen, PAIRS)
    return [
        [positions[valid].tolist() for positions, valid in zip(*example, strict=True)]
        for example in zip(selection.positions, selection.valid, strict=True)
    ]


@keep_cases
@length_cases
def test_length_selects_real_tokens_and_none_twice(name: str, given: dict[str, Any], keep: Any) -> None:
    kept = chosen(strategy_of(name, keep, given), tokens(width=14))
    for length, pairs in zip(LENGTHS, kept, strict=True):
        assert all(len(set(positions)) == len(positions) for positions in pairs)
        assert all(0 <= position < length for positions in pairs for position in positions)


@keep_cases
@length_cases
def test_length_selects_as_many_as_are_counted(name: str, given: dict[str, Any], keep: Any) -> None:
    strategy, seen = strategy_of(name, keep, given), tokens()
    counts = kept_counts(strategy.keep, seen.real, strategy.eligible(seen)).tolist()
    assert [[len(positions) for positions in pairs] for pairs in chosen(strategy, seen)] == [
        [count] * PAIRS for count in counts
    ]
    assert min(counts) >= 1


@length_cases
def test_length_counts_need_no_attention(name: str, given: dict[str, Any]) -> None:
    strategy, seen = make("length", name, **given), tokens()
    without = strategy.eligible(seen._replace(attention=None))
    assert torch.equal(without, strategy.eligible(seen))


@pytest.mark.parametrize("name", with_keep("length"))
def test_length_keeping_fewer_is_a_prefix_of_keeping_more(name: str) -> None:
    few, more = (chosen(make("length", name, keep=keep), tokens()) for keep in (2, 5))
    for pairs_few, pairs_more in zip(few, more, strict=True):
        assert all(low == high[: len(low)] for low, high in zip(pairs_few, pairs_more, strict=True))


@keep_cases
@length_cases
def test_length_stored_selections_do_not_depend_on_the_batch(name: str, given: dict[str, Any], keep: Any) -> None:
    strategy = strategy_of(name, keep, given)
    together = chosen(strategy, tokens())
    alone = [chosen(strategy, tokens((row,)))[0] for row in range(4)]
    backwards = chosen(strategy, tokens((3, 2, 1, 0)))[::-1]
    depends = not together == alone == backwards
    assert not (depends and strategy.offline)


@keep_cases
@length_cases
def test_length_selections_do_not_depend_on_padding(name: str, given: dict[str, Any], keep: Any) -> None:
    strategy = strategy_of(name, keep, given)
    assert chosen(strategy, tokens(width=9)) == chosen(strategy, tokens(width=30))


@length_cases
def test_length_leaves_the_batch_as_it_was(name: str, given: dict[str, Any]) -> None:
    strategy, seen = make("length", name, **given), tokens()
    select_tokens(strategy, seen, PAIRS)
    assert all(torch.equal(after, before) for after, before in zip(seen, tokens(), strict=True))


@pytest.mark.parametrize("keep", [0, 1.5])
@pytest.mark.parametrize("name", with_keep("length"))
def test_length_refuses_a_keep_that_makes_no_sense(name: str, keep: Any) -> None:
    with pytest.raises(ConfigError, match=f"(?s)`length.keep` = {keep} .*a whole number from 1"):
        make("length", name, keep=keep)


# Width. Two examples of 3 and 2 kept tokens, two layer pairs, twelve units.

width_cases = pytest.mark.parametrize(
    ("name", "given"),
    one_option(
        "width", ("masked", ["ignore", "zero"]), ("scope", ["token", "example", "batch"]), ("counts", ["truncated"])
    ),
)
VALID = torch.tensor([[[True, True, True]] * PAIRS, [[True, True, False]] * PAIRS])  # (2, P, 3)


def states(seed: int) -> Tensor:
    """(2, P, 3, D) with a mean and an unequal spread."""
    drawn = torch.randn(2, PAIRS, 3, UNITS, generator=torch.Generator().manual_seed(seed))
    return drawn * torch.linspace(0.5, 2.0, UNITS) + 3


def moments() -> Moments:
    drawn = torch.randn(PAIRS, 60, UNITS, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    centred = drawn - drawn.mean(dim=1, keepdim=True)
    return Moments(drawn.mean(dim=1) + 3, centred.transpose(1, 2) @ centred / 60)


def code_of(name: str, keep: Any = None, **given: Any) -> UnitCode:
    """Fitted, with this `keep` where it has one."""
    if name in with_keep("width"):
        given["keep"] = keep
    return make("width", name, **given).fit(UNITS, moments())


def kept_of(code: UnitCode, teacher: Tensor, valid: Tensor) -> HiddenValues:
    """What a student is compared with, where bits lose nothing."""
    return code.recall(code.encode(teacher), valid, UNITS)


def target(code: UnitCode, teacher: Tensor, valid: Tensor) -> HiddenTarget:
    values, units = kept_of(code, teacher, valid)
    return HiddenTarget(values, TokenSelection(torch.zeros(valid.shape, dtype=torch.int64), valid), units)


keep_units = pytest.mark.parametrize("keep", [None, 1, 4, 12, 0.25, 1.0])


@keep_units
@width_cases
def test_width_looks_at_teacher_and_student_in_one_shape(name: str, given: dict[str, Any], keep: Any) -> None:
    code = code_of(name, keep, **given)
    values, units = kept_of(code, states(0), VALID)
    assert code.view(states(1)).shape == values.shape
    assert units is None or units.shape == values.shape


@keep_units
@width_cases
def test_width_a_student_that_is_its_teacher_has_no_loss(name: str, given: dict[str, Any], keep: Any) -> None:
    code = code_of(name, keep, **{**given, **({"masked": "ignore"} if "masked" in given else {})})
    assert hidden_losses(code.view(states(0)), target(code, states(0), VALID)).tolist() == [0.0, 0.0]


def summed_gradients(seen: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Of a sum in which every value counts otherwise."""
    return torch.autograd.grad((seen * torch.arange(1, seen.numel() + 1).view(seen.shape)).sum(), inputs)


@keep_units
@width_cases
def test_width_the_learned_map_and_the_view_are_one_map(name: str, given: dict[str, Any], keep: Any) -> None:
    code, kept = code_of(name, keep, **given), torch.randn(2, PAIRS, 40, 5, requires_grad=True)
    widen = torch.nn.Linear(5, UNITS)
    found = Compression(LayerMap(()), make("length", "all"), code).view(kept, widen)
    expected = code.view(widen(kept))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    is_one = code.joined(widen.weight, widen.bias, rows=80) is not None
    assert is_one or expected.shape[-1] == UNITS
    both = (summed_gradients(seen, kept, widen.weight, widen.bias) for seen in (found, expected))
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-2)  # sums of 80 rows, up to 2,000 times each


@keep_units
@width_cases
def test_width_what_the_teacher_says_off_the_kept_tokens_is_never_heard(
    name: str, given: dict[str, Any], keep: Any
) -> None:
    code = code_of(name, keep, **given)
    loud = states(0).masked_fill(~VALID[..., None], 1e4)
    before = hidden_losses(code.view(states(1)), target(code, states(0), VALID))
    after = hidden_losses(code.view(states(1)), target(code, loud, VALID))
    assert torch.equal(before, after)


@pytest.mark.parametrize("keep", [None, 1, 4, 12, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("name", options("width"))
def test_width_counts_the_values_that_count(name: str, keep: Any) -> None:
    code = code_of(name, keep)
    values, units = kept_of(code, states(0), VALID)
    per_token = torch.full(VALID.shape, values.shape[-1]) if units is None else units.sum(dim=-1)
    assert set(per_token[VALID].tolist()) == {code.scalars(UNITS)}


@keep_units
@width_cases
def test_width_counts_the_values_that_count_on_average(name: str, given: dict[str, Any], keep: Any) -> None:
    code = code_of(name, keep, **given)
    values, units = kept_of(code, states(0), VALID)
    everywhere = torch.ones_like(values, dtype=torch.bool)
    heard = (everywhere if units is None else units) & VALID[..., None]
    # masked=zero compares all units, those off the mask with 0: what the teacher says is what is not 0.
    said = heard & (values != 0)
    assert said.sum() == code.scalars(UNITS) * VALID.sum()


@width_cases
def test_width_stored_targets_do_not_depend_on_the_batch(name: str, given: dict[str, Any]) -> None:
    strategy = make("width", name, **given, **({"keep": 3} if name in with_keep("width") else {}))
    code = strategy.fit(UNITS, moments())
    together, units = kept_of(code, states(0), VALID)
    counted = VALID[..., None] if units is None else units & VALID[..., None]
    alone = [kept_of(code, states(0)[row : row + 1], VALID[row : row + 1]) for row in range(2)]
    for row, (values, own) in enumerate(alone):
        own_counted = VALID[row, ..., None] if own is None else own[0] & VALID[row, ..., None]
        same = torch.equal(values[0] * own_counted, together[row] * counted[row])
        depends = not (same and torch.equal(own_counted, counted[row]))
        assert not depends or strategy.reach == "batch"


@pytest.mark.parametrize("name", [name for name in with_keep("width") if re.search("pca|random", name)])
def test_width_keeping_fewer_is_a_prefix_of_keeping_more(name: str) -> None:
    few, more = (code_of(name, keep).encode(states(0)) for keep in (3, 7))
    torch.testing.assert_close(few, more[..., :3])


@pytest.mark.parametrize("name", with_keep("width"))
def test_width_fitted_twice_is_the_same(name: str) -> None:
    first, second = (kept_of(code_of(name, 5), states(0), VALID)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", with_keep("width"))
def test_width_refuses_more_units_than_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s)`width.keep` = {UNITS + 1} .*from 1 up to {UNITS}"):
        code_of(name, UNITS + 1)


@pytest.mark.parametrize("keep", [0, 1.5])
@pytest.mark.parametrize("name", with_keep("width"))
def test_width_refuses_a_keep_that_makes_no_sense(name: str, keep: Any) -> None:
    with pytest.raises(ConfigError, match=f"(?s)`width.keep` = {keep} .*a whole number from 1"):
        make("width", name, keep=keep)


# Bits. Every strategy behind every width and length, for two layer pairs.

BUDGETS = {"planes": (2, 7, 24), "residual": (1, 4, 7)}
"""Of a token of few units, for the strategies that have one."""
GIVEN = [
    pytest.param(name, keep, id=name if keep is None else f"{name}-{keep}")
    for name in options("bits")
    for keep in BUDGETS.get(name, (None,))
]
bits_cases = pytest.mark.parametrize(("name", "keep"), GIVEN)


def coder_of(name: str, keep: int | None) -> BitsStrategy:
    """With this budget, where it has one."""
    if name == "residual":
        pytest.importorskip("faiss")
    made: BitsStrategy = make("bits", name, **({} if keep is None else {"keep": keep}))
    return made


@cache
def seen_states() -> Tensor:
    """(P, N, D) of a teacher that repeats itself, as text does."""
    generator = torch.Generator().manual_seed(3)
    words = torch.randn(PAIRS, 80, UNITS, generator=generator) * torch.linspace(0.5, 2.0, UNITS) + 3
    drawn = words[:, torch.randint(80, (600,), generator=generator)]
    return drawn + 0.1 * torch.randn(drawn.shape, generator=generator)


def coded(name: str, keep: int | None, code: UnitCode, units: int = UNITS) -> BitsCode:
    """Fitted on the values that a width has of the sample."""
    coder = coder_of(name, keep)
    return coder.code(
        coder.fit(code.encode(seen_states().transpose(0, 1)[:, :, None]).squeeze(2).transpose(0, 1)), units
    )


def at_rest(name: str, keep: int | None, width: str, **given: Any) -> tuple[UnitCode, BitsCode, BitsStrategy, int]:
    """Width and bits as a plan would have them; W."""
    code, coder = code_of(width, None if width == "all" else 4, **given), coder_of(name, keep)
    units = code.encode(states(0)).shape[-1]
    return code, coded(name, keep, code, units), coder, units


bits_widths = pytest.mark.parametrize(
    ("width", "given"), one_option("width", ("masked", ["zero"]), ("scope", ["example"]))
)


@bits_cases
@bits_widths
def test_bits_codes_are_of_the_shape_that_is_said(name: str, keep: int | None, width: str, given: dict) -> None:
    code, bits, coder, units = at_rest(name, keep, width, **given)
    codes = bits.encode(code.encode(states(0)))
    assert codes.dtype == coder.dtype
    assert codes.shape == (2, PAIRS, 3, coder.columns(units))
    assert bits.decode(codes).shape == (2, PAIRS, 3, units)
    assert bits.decode(codes).dtype == torch.float32


@bits_cases
def test_bits_fits_are_of_the_layout_that_is_said(name: str, keep: int | None) -> None:
    coder = coder_of(name, keep)
    found = coder.fit(seen_states())
    assert {key: (tensor.dtype, tuple(tensor.shape)) for key, tensor in found.items()} == coder.layout(PAIRS, UNITS)
    assert coder.fault(found) is None
    assert bool(found) == coder.needs_sample


@bits_cases
def test_bits_of_a_token_hang_on_no_other(name: str, keep: int | None) -> None:
    bits = coded(name, keep, code_of("all"))
    together = bits.encode(states(0))
    alone = torch.cat([bits.encode(states(0)[row : row + 1, :, :1]) for row in range(2)])
    assert torch.equal(together[:, :, :1], alone)
    torch.testing.assert_close(bits.decode(together)[:, :, :1], bits.decode(alone))


@bits_cases
def test_bits_said_again_are_the_same(name: str, keep: int | None) -> None:
    """What is read from a store and coded anew is not changed again."""
    bits = coded(name, keep, code_of("all"))
    once = bits.decode(bits.encode(states(0)))
    again = bits.decode(bits.encode(once))
    changed, lost = (float((one - other).square().sum()) for one, other in ((again, once), (once, states(0))))
    # A sum of vectors may be found as another one that is nearly the same; the others are found to the last bit.
    assert changed <= (0.1 * lost if name == "residual" else 1e-6 * float(once.square().sum()))


@bits_cases
def test_bits_of_nothing_are_nothing(name: str, keep: int | None) -> None:
    bits = coded(name, keep, code_of("all"))
    codes = bits.encode(torch.zeros(2, PAIRS, 0, UNITS))
    assert bits.decode(codes).shape == (2, PAIRS, 0, UNITS)


@bits_cases
def test_bits_of_an_outlier_stay_finite(name: str, keep: int | None) -> None:
    bits = coded(name, keep, code_of("all"))
    assert bits.decode(bits.encode(states(0) * 1e3)).isfinite().all()


@pytest.mark.parametrize("name", list(BUDGETS))
@bits_widths
def test_bits_of_a_smaller_budget_are_the_first_of_a_larger_one(name: str, width: str, given: dict) -> None:
    """Fitted anew at the smaller budget, too: nothing is lost by having kept more."""
    few, *_, many = BUDGETS[name]
    code, small, coder, units = at_rest(name, few, width, **given)
    _, large, larger, _ = at_rest(name, many, width, **given)
    values = code.encode(states(0))
    sample = code.encode(seen_states().transpose(0, 1)[:, :, None]).squeeze(2).transpose(0, 1)
    inside = coder.code(larger.fit(sample), units)
    taken = large.encode(values)[..., : coder.columns(units)]
    assert torch.equal(inside.decode(taken), small.decode(small.encode(values)))


@pytest.mark.parametrize("name", list(BUDGETS))
def test_bits_lose_less_the_more_they_are(name: str) -> None:
    sample = seen_states().transpose(0, 1)[:, :, None]
    lost = []
    for keep in BUDGETS[name]:
        bits = coded(name, keep, code_of("all"))
        lost.append(float((bits.decode(bits.encode(sample)) - sample).square().sum()))
    assert lost == sorted(lost, reverse=True) and len(set(lost)) == len(lost)
