"""What a store would hold and weigh, before it is built, and what the same would weigh in other bits."""

from __future__ import annotations

import shutil

from hskd_lightning import choices
from hskd_lightning.assets.stores import Stores
from hskd_lightning.compress.amount import shared_bytes
from hskd_lightning.errors import ConfigError
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.writer import Writer
from hskd_lightning.store.probe import seconds_to_read


def plan_rows(ours: Stores) -> list[tuple[str, str]]:
    """The rows of `store plan`."""
    request = ours.request
    writer = ours.writer(ours.folder / request.name, request)
    size, split = writer.size, writer.contents.split
    tokens = int(split.lengths.sum())
    seconds = seconds_to_read(ours.experiment.teacher_config, writer.contents, tokens)
    pairs, width = ours.experiment.student_config.num_hidden_layers + 1, writer.contents.width
    full = tokens * pairs * width
    existing = ours.find()
    return [
        ("store", request.name + (f", covered by {existing.name}" if existing else ", not built yet")),
        ("kept", str(request)),
        ("examples", f"{size.examples:,} (train and selection), {tokens:,} real tokens"),
        ("rows kept", f"{size.rows:,}: tokens x layers"),
        ("values kept", f"{size.values:,}, {size.values / full:.2%} of full HSK's {full:,}"),
        ("on disk", f"{size.bytes:,} bytes{_said(request)}, {size.bytes / size.examples:,.0f} an example"),
        *_shared(writer),
        *_in_other_bits(ours, writer),
        ("full HSK", f"{full * 4:,} bytes as fp32, {full * 2:,} as fp16"),
        ("shards", f"{len(writer.shards)} of {request.shard_tokens:,} real tokens"),
        ("free disk", f"{shutil.disk_usage(ours.folder.parent if ours.folder.parent.exists() else '.').free:,} bytes"),
        ("time to build", f"about {seconds:,.0f} s on {writer.contents.device}, by a probe of three batches"),
    ]


def _said(request: Request) -> str:
    return f" as {request.said_bits}" if request.layers else ""


def _shared(writer: Writer) -> list[tuple[str, str]]:
    """What the store has once, beside the examples: components, masks, codebooks."""
    plan = writer.contents.plan
    if plan is None or not plan.is_fitted:
        return []
    shared = shared_bytes(plan)
    return [("shared", f"{shared:,} bytes beside these, for all examples: {shared / writer.size.examples:,.1f} each")]


def _in_other_bits(ours: Stores, writer: Writer) -> list[tuple[str, str]]:
    """What the same layers, tokens and units weigh by each option of conf/bits/, as it is there."""
    rows = []
    for name in choices.names("bits") if ours.plan is not None else ():
        choice = choices.option("bits", name)
        try:
            size = ours.writer(writer.folder, ours.request_in(choice)).size
        except ConfigError:
            continue  # more bits than these values hold
        keep = choice.options.get("keep")
        named = name if keep is None else f"{name} {keep}"
        rows.append((f"as {named}", f"{size.bytes:,} bytes, {size.bytes / size.examples:,.0f} an example"))
    return rows
