"""A store says what its teacher says: for every strategy, every dtype, and for less than it was built for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from hskd_lightning.assets import Assets
from hskd_lightning.assets.fits import fit
from hskd_lightning.assets.stores import Stores
from hskd_lightning.config import plain
from hskd_lightning.data.loader import Collate, eval_loader
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.hsk import HiddenTarget
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.knowledge.teacher_source import TeacherSource
from tests.contracts.strategies import EXAMPLES, one_option
from tests.helpers import batch_of, options

Small = Callable[..., DictConfig]
MANY = ("store.shard_tokens=200",)
"""Seven shards of the small run's 126 examples."""
FP32 = ("bits=fp32",)


def assets_of(small: Small, *overrides: str) -> Assets:
    return Assets(Experiment.resolve(plain(small(*overrides))))


def stored(assets: Assets) -> StoreSource:
    return assets.stores.source()


def live(assets: Assets) -> TeacherSource:
    teacher, plan = assets.teacher.load(), assets.experiment.plan
    assert plan is not None
    return TeacherSource(teacher, plan, lambda: fit(assets.taught_states, teacher, plan, assets.stores.request))


def counted(target: HiddenTarget) -> Tensor:
    """The values that the loss looks at, zero elsewhere."""
    heard = target.tokens.valid[..., None].expand_as(target.values)
    return target.values * (heard if target.units is None else heard & target.units)


def assert_same(one: HiddenTarget, other: HiddenTarget, tolerance: float = 1e-5) -> None:
    assert torch.equal(one.tokens.valid, other.tokens.valid)
    kept = one.tokens.valid
    assert torch.equal(one.tokens.positions[kept], other.tokens.positions[kept])
    assert (one.units is None) == (other.units is None)
    if one.units is not None and other.units is not None:
        assert torch.equal(one.units[kept], other.units[kept])
    torch.testing.assert_close(counted(one), counted(other), rtol=tolerance, atol=tolerance)


def given(axis: str, name: str, options: dict) -> list[str]:
    """A strategy by overrides, as a user names it."""
    missing = [f"{key}={value}" for key, value in EXAMPLES.items() if key.startswith(f"{axis}.") and name == "explicit"]
    return [f"{axis}={name}", *missing, *(f"{axis}.{option}={value}" for option, value in options.items())]


ROWS = [17, 3, 80, 41, 5]
length_cases = one_option("length", ("attention_from", ["mapped", "uniform"]), ("pin_cls", ["true"]))
width_cases = one_option(
    "width", ("masked", ["ignore", "zero"]), ("scope", ["token", "example"]), ("counts", ["truncated"])
)


@pytest.mark.parametrize("name", options("depth"))
def test_every_depth_is_stored_as_the_teacher_says(small: Small, name: str) -> None:
    assets = assets_of(small, *given("depth", name, {}), *FP32, *MANY)
    batch = batch_of(assets, ROWS)
    assert_same(stored(assets).hidden(batch), live(assets).hidden(batch))


@pytest.mark.parametrize("keep", ["null", "3", "0.4"])
@pytest.mark.parametrize(("name", "options"), length_cases)
def test_every_length_is_stored_as_the_teacher_says(small: Small, name: str, options: dict, keep: str) -> None:
    kept = [] if name == "all" else [f"length.keep={keep}"]
    assets = assets_of(small, *given("length", name, options), *kept, "hsk.amount=null", "width.keep=4", *FP32, *MANY)
    batch = batch_of(assets, ROWS)
    assert_same(stored(assets).hidden(batch), live(assets).hidden(batch))


@pytest.mark.parametrize("keep", ["null", "5", "0.3"])
@pytest.mark.parametrize(("name", "options"), width_cases)
def test_every_width_is_stored_as_the_teacher_says(small: Small, name: str, options: dict, keep: str) -> None:
    kept = [] if name == "all" else [f"width.keep={keep}"]
    assets = assets_of(small, *given("width", name, options), *kept, "hsk.amount=null", *FP32, *MANY)
    batch = batch_of(assets, ROWS)
    assert_same(stored(assets).hidden(batch), live(assets).hidden(batch))


CODED = {
    "fp16": ("bits=fp16",),
    "int8": ("bits=int8",),
    "int4": ("bits=int4",),
    "planes": ("bits=planes", "bits.keep=12"),
    "residual": ("bits=residual", "bits.keep=3"),
}
"""A budget of few bits: the teacher is 16 wide."""
WIDTHS = {
    "all": ("width=all",),
    "pca": ("width=pca", "width.keep=6"),
    "a fixed mask": ("width=random_mask", "width.keep=5", "width.masked=zero"),
    "a mask a token": ("width=magnitude_mask", "width.keep=4"),
    "a mask an example": ("width=magnitude_mask", "width.scope=example", "width.keep=0.3"),
}


@pytest.mark.parametrize("bits", CODED)
@pytest.mark.parametrize("width", WIDTHS)
def test_coded_values_are_stored_as_the_teacher_in_the_loop_says_them(small: Small, width: str, bits: str) -> None:
    needs_faiss(bits)
    assets = assets_of(small, *WIDTHS[width], *CODED[bits], "hsk.amount=null", "length.keep=0.6", *MANY)
    batch = batch_of(assets, ROWS)
    assert_same(stored(assets).hidden(batch), live(assets).hidden(batch))


def needs_faiss(bits: str) -> None:
    if bits == "residual":
        pytest.importorskip("faiss")


@pytest.mark.parametrize("bits", ["planes", "residual"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_smaller_budget_and_fewer_tokens_are_served_as_by_a_store_of_their_own(
    small: Small, tmp_path: Path, width: str, bits: str
) -> None:
    needs_faiss(bits)
    common = (*WIDTHS[width], f"bits={bits}", "hsk.amount=null", "length=attention", *MANY)
    fewer, tokens = ("bits.keep=2", "length.keep=2"), "length.keep=5"
    if width == "a mask an example":  # which hangs on the example's other tokens
        fewer, tokens = ("bits.keep=2", "length.keep=5"), "length.keep=5"
    less, more = assets_of(small, *common, *fewer), assets_of(small, *common, "bits.keep=7", tokens)
    own, large = (build(assets.stores, tmp_path / name) for assets, name in ((less, "own"), (more, "large")))
    less.stores.check(large)
    batch, plan, request = batch_of(less, ROWS), less.experiment.plan, less.stores.request
    one, other = (StoreSource(Store(folder), plan, request).hidden(batch) for folder in (own, large))
    assert_same(one, other, 0.0)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (("bits=planes", "bits.keep=13"), "bits.keep"),
        (("bits=residual", "bits.keep=1"), "bits.name"),
        (("bits=planes", "bits.keep=4", "width.keep=5"), "width.keep"),
    ],
)
def test_a_store_of_other_bits_is_refused_by_the_field(small: Small, tmp_path: Path, asked: tuple, field: str) -> None:
    common = ("width=pca", "width.keep=6", "hsk.amount=null")
    there = build(assets_of(small, *common, *CODED["planes"]).stores, tmp_path)
    with pytest.raises(ConfigError, match=field):
        assets_of(small, *common, *asked, f"store.path={there}").stores.source()


def test_a_budget_that_the_values_do_not_hold_is_refused(small: Small) -> None:
    with pytest.raises(ConfigError, match=r"(?s)`bits.keep` = 37.*from 1 up to 36"):
        assets_of(small, "width=pca", "width.keep=6", "hsk.amount=null", "bits=planes", "bits.keep=37")


def test_too_few_tokens_for_a_codebook_are_refused_before_training(small: Small) -> None:
    needs_faiss("residual")
    with pytest.raises(ConfigError, match="256 tokens to fit on"):
        stored(assets_of(small, "bits=residual", "bits.keep=2", "data.distil_limit=12"))


def test_distilled_padding_is_stored_too(small: Small) -> None:
    assets = assets_of(small, "preset.padding=distill", "length.keep=0.5", *FP32)
    batch = batch_of(assets, ROWS)
    source = stored(assets)
    assert source.hidden(batch).tokens.valid.sum() == len(ROWS) * 32  # half of max_length
    assert_same(source.hidden(batch), live(assets).hidden(batch))


LOSSES = [("fp16", 1e-3), ("bf16", 1e-2), ("int8", 2e-2), ("int4", 0.3), ("planes", 0.8), ("residual", 0.9)]


@pytest.mark.parametrize(("bits", "allowed"), LOSSES)
@pytest.mark.parametrize("width", ["all", "pca", "magnitude_mask"])
def test_few_bits_lose_as_little_as_the_manifest_says(
    small: Small, tmp_path: Path, width: str, bits: str, allowed: float
) -> None:
    needs_faiss(bits)
    chosen = CODED.get(bits, (f"bits={bits}",))
    assets, exact_assets = (assets_of(small, f"width={width}", *given, *MANY) for given in (chosen, FP32))
    room = assets.stores
    source = StoreSource(Store(build(room, tmp_path)), assets.experiment.plan, room.request)
    every = batch_of(assets, list(range(96)))
    exact, read = counted(live(exact_assets).hidden(every)), counted(source.hidden(every))
    (loss,) = source.store.facts["reconstruction"].values()
    assert 0 < loss["relative"] < allowed
    if width == "pca":  # of masks rounding may choose others, and units have means
        error = float((exact - read).square().sum().sqrt() / exact.square().sum().sqrt())
        assert error < 1.5 * loss["relative"]


LESS = {
    "fewer layers": ("depth.keep=1", "depth.keep=3"),
    "fewer tokens": ("length.keep=2", "length.keep=5"),
    "a smaller share": ("length.keep=0.2", "length.keep=0.7"),
    "fewer units": ("width.keep=3", "width.keep=9"),
    "less of all": ("depth.keep=1 length.keep=2 width.keep=3", "depth.keep=3 length.keep=5 width.keep=9"),
}
BOTH = ("length=attention", "hsk.amount=null", *MANY)


NESTED = ("pca", "random_projection", "random_mask", "variance_mask", "magnitude_mask")
ASKED = [(case, width, "fp16") for case in LESS for width in NESTED]
ASKED += [("less of all", width, dtype) for width in NESTED for dtype in ("fp32", "int8")]


@pytest.mark.parametrize(("case", "width", "dtype"), ASKED)
def test_less_is_served_as_by_a_store_of_its_own(
    small: Small, tmp_path: Path, case: str, width: str, dtype: str
) -> None:
    common = (*BOTH, f"width={width}", f"bits={dtype}")
    less, more = (
        assets_of(small, *common, *(f"{axis}.keep=4" for axis in ("length", "width")), *keeps.split())
        for keeps in LESS[case]
    )
    room = less.stores
    room.check(build(more.stores, tmp_path / "covers"))
    own, large = (build(assets.stores, tmp_path / name) for assets, name in ((less, "own"), (more, "large")))
    batch = batch_of(less, ROWS)
    plan = less.experiment.plan
    small_view, large_view = (StoreSource(Store(folder), plan, room.request) for folder in (own, large))
    # A matrix product of other widths may differ in its last bit, and int8 then by a step.
    last_bit = width in ("pca", "random_projection")
    step = 0.03 if dtype == "int8" else 2e-3 if dtype == "fp16" else 1e-6
    assert_same(small_view.hidden(batch), large_view.hidden(batch), step if last_bit else 0.0)
    student = [torch.randn(len(ROWS), batch.input_ids.shape[1], 16) for _ in plan.layer_map.pairs]
    for view in (small_view, large_view):
        assert view.compression is not None
    kept = small_view.hidden(batch).tokens.gather(student)
    seen = [view.compression.view(kept, lambda states: states) for view in (small_view, large_view)]
    torch.testing.assert_close(*seen, rtol=1e-5, atol=1e-5)


def build(room: Stores, root: Path) -> Path:
    """This cell's own store, whatever others there are."""
    room.folder = root / "store"
    return room.make(room.request)


TOKENS_ALONE = ("depth=all", "length=cls_first", "width=all")


@pytest.mark.parametrize("everything", [("length.keep=1.0",), ("length.keep=null", "hsk.amount=1")], ids=" ".join)
def test_a_store_of_one_token_does_not_serve_all_of_them(small: Small, everything: tuple[str, ...]) -> None:
    stored(assets_of(small, *TOKENS_ALONE, "length.keep=1"))
    assets = assets_of(small, *TOKENS_ALONE, *everything)
    batch = batch_of(assets, ROWS)
    assert stored(assets).hidden(batch).tokens.valid[:, 0].sum() == batch.real.sum()


def test_a_given_store_of_one_token_is_refused_in_words(small: Small, tmp_path: Path) -> None:
    one = build(assets_of(small, *TOKENS_ALONE, "length.keep=1").stores, tmp_path)
    asked = assets_of(small, *TOKENS_ALONE, "length.keep=1.0", f"store.path={one}").stores
    with pytest.raises(ConfigError, match=r"(?s)length.keep` = '1 token'.*allowed: 'all tokens'"):
        asked.source()


@pytest.mark.parametrize(
    ("width", "options"),
    [
        ("random_mask", {"name": "random_mask", "seed": 0}),
        ("magnitude_mask", {"name": "magnitude_mask", "scope": "token"}),
        (
            "magnitude_mask width.scope=example width.keep=3",
            {"name": "magnitude_mask", "scope": "example", "keep": 3, "counts": "rounded"},
        ),
    ],
)
def test_how_shares_are_counted_is_in_no_name_where_the_units_say_it(small: Small, width: str, options: dict) -> None:
    assert assets_of(small, *f"width={width}".split()).stores.request.width == options


def test_truncated_units_are_the_first_of_the_rounded_ones(small: Small) -> None:
    one, two = (
        assets_of(small, "width=random_mask", "width.keep=0.1", f"preset.unit_counts={counts}").stores.request
        for counts in ("truncated", "rounded")
    )
    assert (one.units, two.units) == (1, 2)  # of 16
    assert one.missing_from(two) is None


def test_a_truncated_share_of_an_example_is_a_store_of_its_own(small: Small) -> None:
    over_example = ("width=magnitude_mask", "width.scope=example", "width.keep=0.3")
    one, two = (
        assets_of(small, *over_example, f"preset.unit_counts={counts}").stores.request
        for counts in ("truncated", "rounded")
    )
    assert one.missing_from(two) == ("width.counts", "rounded", "truncated")


def test_all_tokens_are_one_store_however_they_are_asked_for(small: Small) -> None:
    asks = (("length.keep=1.0",), ("length.keep=null", "hsk.amount=null"), ("length.keep=null", "hsk.amount=1"))
    assert len({assets_of(small, *TOKENS_ALONE, *ask).stores.request.name for ask in asks}) == 1


def test_an_fp32_store_serves_fp16_as_an_fp16_store_would(small: Small, tmp_path: Path) -> None:
    wide, narrow = (assets_of(small, f"bits={dtype}") for dtype in ("fp32", "fp16"))
    request = narrow.stores.request
    folders = [build(assets.stores, tmp_path / name) for assets, name in ((wide, "wide"), (narrow, "narrow"))]
    one, other = (StoreSource(Store(folder), narrow.experiment.plan, request) for folder in folders)
    batch = batch_of(narrow, ROWS)
    assert_same(one.hidden(batch), other.hidden(batch), tolerance=0.0)


def test_size_is_known_before_the_teacher_runs(small: Small, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    for number, overrides in enumerate(
        (
            ("width=pca", "bits=fp16"),
            ("width=magnitude_mask", "bits=fp16"),
            ("width=magnitude_mask", "width.scope=example", "bits=fp32"),
            ("width=all", "bits=int8"),
            ("width=magnitude_mask", "bits=int4"),
            ("width=pca", "bits=int4", "width.keep=5"),
            ("width=pca", *CODED["planes"]),
            ("width=magnitude_mask", *CODED["planes"]),
            ("width=pca", "length=all", *CODED["residual"]),
            ("experiment=full_hsk", "bits=fp32"),
            ("knowledge=logits",),
        )
    ):
        room = assets_of(small, *overrides, *MANY).stores
        folder = build(room, tmp_path)
        size = room.writer(folder, room.request).size
        facts = Store(folder).facts
        headers = 2000 * len(facts["shards"])
        assert size.bytes <= facts["bytes"] <= size.bytes + headers, number
        assert size.values == facts["values"]


def test_train_and_selection_are_there_by_id_and_nothing_else(small: Small) -> None:
    assets = assets_of(small)
    source = stored(assets)
    splits = assets.corpus.student_splits
    for split in splits:
        assert source.read_logits(split.ids).shape == (len(split), 2)
    with pytest.raises(ConfigError, match=r"(?s)no example 999999"):
        source.read_logits(torch.tensor([int(splits.train.ids[0]), 999_999]))


def test_order_and_repetition_of_ids_is_the_callers(small: Small) -> None:
    assets = assets_of(small, *MANY)
    source = stored(assets)
    forward, back = batch_of(assets, [3, 80, 80]), batch_of(assets, [80, 80, 3])
    assert torch.equal(source.hidden(forward).values.flip(0), source.hidden(back).values)


def test_opening_maps_no_shard_and_reading_maps_those_asked_for(small: Small) -> None:
    assets = assets_of(small, *MANY)
    source = stored(assets)
    assert source.store._mapped == {}
    source.read_hidden(assets.corpus.student_splits.train.ids[:1])
    assert len(source.store._mapped) == 1


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_read_what_this_process_reads(small: Small, start: str) -> None:
    assets = assets_of(small, *MANY)
    source = stored(assets)
    split = assets.corpus.student_splits.train
    source.read_hidden(split.ids[:40])  # what is mapped here is not theirs
    make = Collate(split, assets.corpus.tokenizer.pad_token_id, None, source.reader(hidden=True))
    here = list(eval_loader(make, 16))
    loader = torch.utils.data.DataLoader(
        eval_loader(make, 16).dataset,
        batch_sampler=eval_loader(make, 16).batch_sampler,
        collate_fn=make,
        num_workers=2,
        multiprocessing_context=start,
    )
    there = list(loader)
    assert len(here) == len(there) == 6
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.ids, other.ids)
        assert isinstance(one.taught, HiddenTarget) and isinstance(other.taught, HiddenTarget)
        assert torch.equal(one.taught.values, other.taught.values)
        assert torch.equal(one.taught.tokens.positions, other.taught.tokens.positions)


def test_a_batch_that_was_looked_up_is_not_looked_up_again(small: Small) -> None:
    assets = assets_of(small)
    source = stored(assets)
    batch = batch_of(assets, ROWS)
    taught = source.read_hidden(batch.ids)
    assert source.hidden(batch._replace(taught=taught)) is taught


REFUSED = {
    "preset.teacher_dropout=true": "preset.teacher_dropout",
    "preset.mask_first_step=false width=random_mask": "preset.mask_first_step",
    "width=magnitude_mask width.scope=batch": "magnitude_mask with these options",
    "width=magnitude_mask preset.magnitude_ties=all": "width.ties",
    "width=magnitude_mask width.scope=batch preset.magnitude_ties=all": "magnitude_mask with these options",
    "length.separators=first_row": "attention_no_sep with these options",
    "store.shard_tokens=0": "store.shard_tokens",
    "knowledge.source=cloud": "store or teacher",
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_what_no_store_holds_is_refused_by_name(small: Small, overrides: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        assets_of(small, *overrides.split())
    assert REFUSED[overrides] in str(refusal.value)
