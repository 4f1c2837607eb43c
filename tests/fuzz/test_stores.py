"""Whatever is kept of whatever text: a store says what a teacher in the loop does, and counts what it has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from hypothesis import assume, given
from hypothesis import strategies as draw

from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import HiddenTarget
from hskd_lightning.knowledge.store import Store
from tests.fuzz.drawn import Case, cases, examples, heard

PROJECTIONS = ("pca", "random_projection")
"""Matrix products hang on the shape of a batch in their last bit; a code may then be the next one."""


@contextmanager
def a_folder() -> Iterator[Path]:
    """Of one case: a test's own `tmp_path` is shared by all."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def built(case: Case, root: Path, order: list[int] | None = None) -> Path:
    """Its store, where the case makes sense."""
    try:
        return case.store(root, order)
    except ConfigError:
        assume(False)
        raise


def assert_same(case: Case, one: HiddenTarget, other: HiddenTarget) -> None:
    kept = one.tokens.valid
    assert torch.equal(kept, other.tokens.valid)
    assert torch.equal(one.tokens.positions[kept], other.tokens.positions[kept])
    if case.chosen["width"]["name"] not in PROJECTIONS:
        assert torch.equal(heard(one), heard(other))
        assert torch.equal(one.values[heard(one)], other.values[heard(other)])
    elif case.chosen["bits"]["name"] == "fp32":
        most = float(one.values[heard(one)].abs().max())
        torch.testing.assert_close(one.values[heard(one)], other.values[heard(one)], rtol=1e-4, atol=1e-4 * most)


@examples(400, in_ci=40)
@given(cases, draw.lists(draw.integers(0, 50), max_size=4), draw.permutations(range(6)))
def test_a_store_says_what_its_teacher_does_whoever_asks_for_which_rows(
    case: Case, order: list[int], asked: list[int]
) -> None:
    with a_folder() as root:
        source = case.source(built(case, root, order))
        rows = [row for row in asked if row < len(case.lengths)]
        batch, live = case.batch(rows), case.live()
        assert_same(case, source.hidden(batch), live.hidden(batch))
        assert torch.equal(source.logits(batch), live.logits(batch))


@examples(200, in_ci=20)
@given(cases)
def test_the_amount_that_is_counted_is_what_is_kept(case: Case) -> None:
    with a_folder() as root:
        store = Store(built(case, root))
        facts, request = store.facts, case.request
        target = case.source(store.folder).hidden(case.batch(range(len(case.lengths))))
        layers = len(request.layers)
        tokens = int(target.tokens.valid[:, 0].sum())
        assert facts["examples"] == len(case.lengths)
        assert facts["bytes"] == sum(path.stat().st_size for path in store.folder.glob("shard-*"))
        assert facts["values"] == layers * tokens * request.units or request.masks
        if request.masks:
            mapped = [case.plan.layers.index(layer) for layer in request.layers]
            assert facts["values"] == int(heard(target)[:, mapped].sum())


@draw.composite
def less(drawn: draw.DrawFn, case: Case) -> Case:
    """The same teacher asked for something else, often for less."""
    axis = drawn(draw.sampled_from(["length", "width", "bits"]))
    given = dict(case.chosen[axis])
    if "keep" in given:
        given["keep"] = drawn(draw.sampled_from([1, 2, 3, 0.1, 0.5, None] if axis != "bits" else [1, 2, 4, 9]))
    else:
        given = {"name": drawn(draw.sampled_from(["fp16", "bf16", "int8"] if axis == "bits" else ["all"]))}
    return replace(case, chosen={**case.chosen, axis: given})


@examples(300, in_ci=15)
@given(draw.data(), cases)
def test_a_store_that_covers_a_request_serves_it_as_one_of_its_own_would(data: draw.DataObject, case: Case) -> None:
    asked = data.draw(less(case))
    with a_folder() as root, a_folder() as other:
        large, own = built(case, root), built(asked, other)
        assume(asked.request.missing_from(case.request) is None)
        batch = case.batch(range(len(case.lengths)))
        assert_same(asked, asked.source(large).hidden(batch), asked.source(own).hidden(batch))


@examples(500, in_ci=30)
@given(cases, cases)
def test_what_joins_two_requests_covers_both(one: Case, other: Case) -> None:
    try:
        first, second = one.request, other.request
    except ConfigError:
        assume(False)
    both = first.joined(second)
    assert first.missing_from(first) is None
    assert both is None or (first.missing_from(both) is None and second.missing_from(both) is None)
    if first.missing_from(second) is None:
        assert both is not None and both.missing_from(second) is None
