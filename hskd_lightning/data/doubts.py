"""What is odd about labelled text and yet may be meant: a warning each, where a mistake would be refused."""

from __future__ import annotations

from collections.abc import Iterator

from hskd_lightning.data.examples import Corpus, Examples
from hskd_lightning.errors import listing

MANY = 100
"""Classes that a task may have before it is asked whether they are scores."""
_MISSING = ("nan", "NaN", "null", "NULL", "None", "N/A", "<NA>")
"""How programs write a missing label into a table of text."""


def doubts(corpus: Corpus) -> Iterator[str]:
    """A sentence on each."""
    yield from _doubtful_classes(corpus.task.labels or ())
    for name, dev in corpus.dev.items():
        yield from _leaked(name, corpus.train, dev)
        if corpus.task.labels is not None and len(set(dev.labels)) == 1:
            only = corpus.task.spelled(dev.labels[0])
            yield f"{name}: every example has the class {only}, so whoever always says so is right"


def _doubtful_classes(labels: tuple[str, ...]) -> Iterator[str]:
    missing = [label for label in labels if label in _MISSING]
    if missing:
        yield f"{listing(missing)} is taken for the name of a class: if it stands for a missing label, drop its rows"
    twins = [label for label in labels if sum(label.lower() == other.lower() for other in labels) > 1]
    if twins:
        yield f"the classes {listing(twins)} differ in capitals alone: if they are one, spell them alike"
    if len(labels) > MANY:
        yield f"{len(labels):,} classes: if they are scores, set data.regression=true"


def _leaked(name: str, train: Examples, dev: Examples) -> Iterator[str]:
    known = set(_inputs(train))
    count = sum(inputs in known for inputs in _inputs(dev))
    if count:
        yield f"{name}: {count:,} of {len(dev):,} inputs are in the training file too, which flatters the score"


def _inputs(examples: Examples) -> Iterator[tuple[str, ...]]:
    return zip(*(texts for texts in (examples.first, examples.second) if texts is not None), strict=True)
