"""What a store answers, and the least store that answers two."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hskd_lightning.compress.keep import Count, Keep, Share
from hskd_lightning.knowledge.request import Request

ORIGIN = {"teacher": {"seed": 0, "training": {"lr": 0.1}}, "tokens": {"data": "abc", "tokenizer": "t"}}
STORE = Request(
    ORIGIN,
    layers=((8, 5), (10, 7), (12, 9)),
    length={"name": "attention_no_sep", "pin_cls": False},
    tokens=Count(32),
    width={"name": "pca"},
    units=77,
    bits={"name": "fp32"},
)


def other(**changes: object) -> Request:
    return replace(STORE, **changes)


def test_a_store_answers_what_it_was_built_for() -> None:
    assert STORE.missing_from(STORE) is None


@pytest.mark.parametrize(
    "fewer",
    [
        {"layers": ((10, 7),)},
        {"tokens": Count(4)},
        {"units": 8},
        {"bits": {"name": "fp16"}},
        {"bits": {"name": "bf16"}},
        {"layers": ((8, 5),), "tokens": Count(1), "units": 1, "bits": {"name": "fp16"}},
        {"layers": ()},
    ],
)
def test_a_store_answers_for_less(fewer: dict) -> None:
    assert other(**fewer).missing_from(STORE) is None


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"layers": ((6, 3), (8, 5))}, "depth"),
        ({"layers": ((8, 4),)}, "depth"),
        ({"tokens": Count(33)}, "length.keep"),
        ({"tokens": None}, "length.keep"),
        ({"tokens": Share(0.5)}, "length.keep"),
        ({"units": 78}, "width.keep"),
        ({"bits": {"name": "int8"}}, "bits.name"),
        ({"length": {"name": "random", "seed": 0}}, "length.name"),
        ({"length": {"name": "attention_no_sep", "pin_cls": True}}, "length.pin_cls"),
        ({"width": {"name": "random_mask", "seed": 0}}, "width.name"),
        ({"origin": {**ORIGIN, "tokens": {"data": "xyz", "tokenizer": "t"}}}, "tokens.data"),
        ({"origin": {**ORIGIN, "tokens": {"data": "abc", "tokenizer": "u"}}}, "tokens.tokenizer"),
        ({"origin": {**ORIGIN, "teacher": {"seed": 1, "training": {"lr": 0.1}}}}, "teacher.seed"),
        ({"origin": {**ORIGIN, "teacher": {"seed": 0, "training": {"lr": 0.2}}}}, "teacher.training.lr"),
    ],
)
def test_the_differing_field_is_named_with_both_values(more: dict, field: str) -> None:
    difference = other(**more).missing_from(STORE)
    assert difference is not None
    name, found, asked = difference
    assert name == field
    assert found != asked


@pytest.mark.parametrize(("narrow", "wide"), [("fp16", "bf16"), ("fp32", "fp16"), ("fp16", "int8"), ("int8", "fp32")])
def test_a_dtype_is_not_had_from_one_that_says_less(narrow: str, wide: str) -> None:
    assert other(bits={"name": narrow}).missing_from(other(bits={"name": wide})) is not None


def test_a_share_is_answered_by_a_larger_share_or_by_everything() -> None:
    share = other(tokens=Share(0.25))
    assert share.missing_from(other(tokens=Share(0.5))) is None
    assert share.missing_from(other(tokens=None)) is None
    assert share.missing_from(other(tokens=Share(0.2))) is not None


def test_units_without_an_order_must_be_just_these() -> None:
    unordered = other(ordered=False, width={"name": "uniform_mask", "keep": 77})
    assert unordered.missing_from(unordered) is None
    assert replace(unordered, units=8).missing_from(unordered) is not None
    assert replace(unordered, tokens=Count(4)).missing_from(unordered) is None


def test_units_chosen_over_an_example_hang_on_its_tokens() -> None:
    over_example = other(ordered=False, per_token=False, masks=True)
    assert over_example.missing_from(over_example) is None
    assert replace(over_example, tokens=Count(4)).missing_from(over_example) is not None


def test_masks_are_of_bits_of_one_kind() -> None:
    masks = other(masks=True, width={"name": "magnitude_mask", "scope": "token"})
    assert replace(masks, units=8).missing_from(masks) is None
    assert replace(masks, bits={"name": "fp16"}).missing_from(masks) is not None
    eight = replace(masks, bits={"name": "int8"})
    assert replace(eight, units=8).missing_from(eight) is None


@pytest.mark.parametrize("bits", ["fp32", "int8", "planes"])
def test_a_store_of_any_shard_size_answers(bits: str) -> None:
    coded = other(bits={"name": bits})
    assert replace(coded, shard_tokens=1).missing_from(coded) is None


PLANES = other(bits={"name": "planes"}, budget=512, ordered=False)


def test_a_smaller_budget_is_part_of_a_larger_one() -> None:
    assert replace(PLANES, budget=64, tokens=Count(4)).missing_from(PLANES) is None
    assert replace(PLANES, budget=513).missing_from(PLANES) == ("bits.keep", 512, 513)


def test_values_that_are_coded_together_are_just_these() -> None:
    assert replace(PLANES, units=8).missing_from(PLANES) == ("width.keep", 77, 8)


def test_two_budgets_are_joined_in_the_larger_one() -> None:
    few, many = replace(PLANES, budget=64, tokens=Count(40)), replace(PLANES, budget=256, tokens=Count(4))
    assert few.joined(many) == replace(PLANES, budget=256, tokens=Count(40))


def test_two_ways_of_coding_are_two_stores() -> None:
    assert PLANES.joined(replace(PLANES, bits={"name": "residual"}, budget=16)) is None


def test_the_union_of_two_requests_answers_both_with_no_more_than_needed() -> None:
    one = other(layers=((8, 5),), tokens=Count(4), units=77, bits={"name": "fp16"})
    two = other(layers=((12, 9),), tokens=Count(32), units=8, bits={"name": "bf16"})
    both = one.joined(two)
    assert both == other(layers=((8, 5), (12, 9)), tokens=Count(32), units=77, bits={"name": "fp32"})


def test_a_count_and_a_share_are_both_in_everything() -> None:
    both = other(tokens=Count(4)).joined(other(tokens=Share(0.5)))
    assert both is not None and both.tokens is None


def test_logits_alone_join_any_store_of_the_same_teacher() -> None:
    logits = Request(ORIGIN)
    assert logits.joined(STORE) == STORE.joined(logits) == STORE
    assert logits.joined(other(origin={"teacher": {}})) is None


@pytest.mark.parametrize(
    "stranger", [{"width": {"name": "all"}}, {"length": {"name": "all"}}, {"bits": {"name": "int8"}}, {"origin": {}}]
)
def test_what_no_one_store_can_hold_is_not_joined(stranger: dict) -> None:
    assert STORE.joined(other(**stranger)) is None


@pytest.mark.parametrize(
    "request_", [STORE, Request(ORIGIN), other(tokens=Share(0.1 + 0.2), ordered=False), other(tokens=Count(1))]
)
def test_a_recipe_is_read_back_as_it_was(request_: Request) -> None:
    assert Request.read(request_.recipe) == request_
    assert Request.read(request_.recipe).name == request_.name


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (Count(1), "1 token"),
        (Count(10), "10 tokens"),
        (Share(0.25), "25% of the tokens"),
        (None, "all tokens"),
    ],
)
def test_a_request_says_itself_in_a_line(tokens: Keep, words: str) -> None:
    said = f"teacher states 8; {words} by attention_no_sep; 77 values by pca; fp32"
    assert str(other(layers=((8, None),), tokens=tokens)) == said


def test_one_value_is_not_said_as_several() -> None:
    assert "; 1 value by pca;" in str(other(units=1))


def test_a_request_for_logits_says_so() -> None:
    assert str(Request(ORIGIN)) == "logits alone"


# One token and all tokens: 1 == 1.0 in Python, and both come out of JSON.


def manifest(keep: object) -> Request:
    """As a manifest has it that says `length.keep` so."""
    recipe = other(tokens=Count(1)).recipe
    return Request.read(
        {**recipe, "hidden": {**recipe["hidden"], "length": {**recipe["hidden"]["length"], "keep": keep}}}
    )


@pytest.mark.parametrize(
    ("stored", "asked", "answers"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, None, False),
        (1, 0.5, False),
        (1.0, 1, True),
        (1.0, 1.0, True),
        (1.0, None, True),
        (1.0, 0.5, True),
        (None, 1.0, True),
        (0.5, 1, False),
        (0.5, 1.0, False),
        (2, 1, True),
    ],
)
def test_one_token_is_not_all_tokens(stored: object, asked: object, answers: bool) -> None:
    assert (manifest(asked).missing_from(manifest(stored)) is None) == answers


def test_the_refusal_says_one_token_and_all_tokens() -> None:
    assert manifest(1.0).missing_from(manifest(1)) == ("length.keep", "1 token", "all tokens")


def test_a_cell_of_one_token_and_one_of_all_share_a_store_of_all() -> None:
    both = manifest(1).joined(manifest(1.0))
    assert both is not None and both.recipe["hidden"]["length"]["keep"] is None


@pytest.mark.parametrize(("stored", "asked"), [(1, 1.0), (1.0, 1), (1, True), (0, False), ([1], [1.0])])
def test_options_are_told_apart_as_json_spells_them(stored: object, asked: object) -> None:
    one, two = (other(ordered=False, width={"name": "uniform_mask", "option": value}) for value in (stored, asked))
    assert two.missing_from(one) == ("width.option", stored, asked)


@pytest.mark.parametrize(
    ("keep", "spelled"), [(Count(1), "1"), (Count(10), "10"), (Share(0.25), "0.25"), (None, "null")]
)
def test_a_recipe_spells_a_keep_as_yaml_does(keep: Keep, spelled: str) -> None:
    assert json.dumps(other(tokens=keep).recipe["hidden"]["length"]["keep"]) == spelled


def test_the_name_of_a_store_is_what_it_was() -> None:
    """A store that was built before counts and shares had types is found, not built again."""
    assert (STORE.name, other(tokens=Share(0.25)).name) == ("9372edcf8cf7e23f", "c896871351702997")
