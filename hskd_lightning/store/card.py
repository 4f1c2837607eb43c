"""The card of a store that travels: what is in it, how it is read, and what it may give away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCardData, ModelCard

from hskd_lightning import choices
from hskd_lightning.artifacts import Recipe
from hskd_lightning.compress.keep import as_number
from hskd_lightning.experiment import Experiment
from hskd_lightning.knowledge.manifest import FIT, read_sealed
from hskd_lightning.knowledge.request import Request
from hskd_lightning.markdown import line, text

UNKNOWN = "not known here: look it up before you share this"
GIVEN_AWAY = """## Before you share it

Hidden states and logits can give away the text that they were made from: words, and sometimes whole sentences, can be
recovered from them. Treat this store as you would treat the text, and its positions and ids as part of it. Fewer
layers, tokens, units and bits say less; none of them is a safeguard.
"""


def store_card(folder: Path, experiment: Experiment) -> str:
    """The text of README.md.

    Args:
        folder: of the store.
        experiment: a cell that the store answers: it knows names, where a manifest has hashes.
    """
    manifest = read_sealed(folder)
    parts = [
        _front(experiment),
        _contents(manifest, experiment, folder),
        _use(manifest, experiment),
        GIVEN_AWAY,
        _origin(manifest, experiment),
    ]
    return "\n".join(parts)


def _front(experiment: Experiment) -> str:
    card = DatasetCardData(
        license="unknown",
        task_categories=["text-classification"],
        tags=["knowledge-distillation", "hidden-states", "hskd-lightning"],
        pretty_name=line(_title(experiment)),
    )
    return f"---\n{card.to_yaml()}\n---\n"


def _title(experiment: Experiment) -> str:
    return f"Hidden states of {experiment.settings.teacher.name} on {experiment.task.name}"


def _contents(manifest: dict[str, Any], experiment: Experiment, folder: Path) -> str:
    facts, request = manifest["facts"], Request.read(manifest["recipe"])
    size, examples = facts["bytes"], facts["examples"]
    lines = [
        f"# {text(_title(experiment))}",
        "",
        "What a teacher says of each training example, compressed and stored once, so that students are trained with "
        "no teacher loaded. Made by hskd-lightning.",
        "",
        f"- kept: {text(request)}",
        f"- examples: {examples:,}, each with its id and the teacher's {facts['classes']} logits",
        f"- size: {size:,} bytes, {size / max(1, examples):,.0f} an example",
    ]
    if facts["fit"] is not None:
        shared = (folder / FIT).stat().st_size
        lines.append(f"- what all examples share (means, components, codebooks): {shared:,} bytes")
    lines += [
        f"- layer {text(layer)}: its values are off by {loss['relative']:.2%} of what they vary by, "
        f"{loss['worst_unit']:.2%} in the worst unit"
        for layer, loss in facts["reconstruction"].items()
    ]
    scores = [
        f"{split} {name} {value:.4f}" for split, found in facts["teacher_dev"].items() for name, value in found.items()
    ]
    return "\n".join([*lines, f"- the teacher's scores: {text(', '.join(scores))}", ""])


def _use(manifest: dict[str, Any], experiment: Experiment) -> str:
    request = Request.read(manifest["recipe"])
    return f"""## How to use it

With the overrides that name the same data and the same teacher, `verify` compares every file with its checksum, and a
sample with the teacher:

```bash
hskd store pull ADDRESS/{manifest["facts"]["recipe"]}
hskd store verify DATA_AND_TEACHER store.path=FOLDER
```

A student is trained from it with no teacher loaded, by all of it or by less (tokens, units, bits).{_depth(request)}

```bash
hskd train DATA_AND_TEACHER store.path=FOLDER {" ".join(overrides(request, experiment))}
```

Or in a loop of your own:

```python
from hskd_lightning.knowledge.library import open_store

knowledge = open_store("FOLDER")
target = knowledge.hidden(ids)        # of (B,) example ids
```
"""


def _depth(request: Request) -> str:
    states = ", ".join(str(state) for state, _ in request.layers)
    return f" `depth` may choose among the teacher's states {states}." if states else ""


def overrides(request: Request, experiment: Experiment) -> list[str]:
    """What to type to have the tokens, units and bits that a store keeps, and the layers of a cell that it answers."""
    if not request.layers:
        return ["knowledge=logits"]
    depth = experiment.settings.depth
    kept = (
        ("depth", {"name": depth.name, **depth.options}, as_number(experiment.keeps.get("depth"))),
        ("length", request.length, as_number(request.tokens)),
        ("width", request.width, request.units),
        ("bits", request.bits, request.budget),
    )
    return ["hsk.amount=null", *(typed for axis, recipe, keep in kept for typed in _override(axis, recipe or {}, keep))]


def _override(axis: str, recipe: Recipe, keep: object) -> list[str]:
    known = choices.option(axis, recipe["name"]).options
    said = {"keep": keep, **{name: value for name, value in recipe.items() if value is not None}}
    options = {name: value for name, value in said.items() if name in known and value is not None}
    return [f"{axis}={recipe['name']}", *(f"{axis}.{name}={json.dumps(value)}" for name, value in options.items())]


def _origin(manifest: dict[str, Any], experiment: Experiment) -> str:
    data, teacher = experiment.settings.data, experiment.settings.teacher
    source = data.hub if data.root is None else "files of the maker's own"
    begun = teacher.checkpoint or experiment.teacher_init.path
    origin = {
        "data": f"{experiment.task.name}" + (f", from {source}" if source else ""),
        "its licence": UNKNOWN,
        "teacher": f"{teacher.name}, weights {manifest['facts']['weights']}" + (f", from {begun}" if begun else ""),
        "its licence ": _licence(begun),
        "versions": ", ".join(f"{name} {version}" for name, version in manifest["facts"]["versions"].items()),
    }
    return "\n".join(
        ["## Where it comes from", "", *(f"- {name.strip()}: {text(value)}" for name, value in origin.items()), ""]
    )


def _licence(model: str | None) -> str:
    """What the card of a model on this disk says; a hub is not asked."""
    path = Path(model or "") / "README.md"
    if model is None or not path.is_file():
        return UNKNOWN
    try:
        return str(ModelCard.load(path, ignore_metadata_errors=True).data.license or UNKNOWN)
    except (ValueError, OSError):
        return UNKNOWN
