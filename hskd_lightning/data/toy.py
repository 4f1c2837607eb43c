"""The embedded `toy` corpus: two small tasks over one grammar, worth distilling and quickly learned.

`polarity` asks whether a sentence as a whole praises (1, positive) or blames (0, negative):

    positive    the waiter will never fail to be kind                         (two flips cancel)
    positive    the tactless cook can hardly stumble                          (the decoy counts for nothing)
    negative    the nurse is anything but rude yet the pilot does annoy       (yet: the second)
    positive    although the clerk will refuse to help , the actor is fair    (although: the other)
    negative    the guard is brilliant and the tailor does not seem to be fair    (and: needs both)

`entailment` asks whether a hypothesis follows (1) from a premise or not (0):

    not_entailment    the farmer will never be pleasant           the farmer is pleasant
    entailment        the guard will forget to be very unkind     the guard can be kind

The label is a parity of flips picked out by a connective, so counting words does not find it (`grammar`
says why). That makes the corpus a test bed for hidden states: a teacher's layers carry the partial
results (which word praises, what each clause says) that labels alone spell out only over many examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from random import Random

from hskd_lightning.data.examples import Corpus, Examples, Task
from hskd_lightning.data.grammar import Rates, implication, statement
from hskd_lightning.errors import ConfigError

GRAMMAR_VERSION = 1
"""Part of every digest: raise it with any change to the sentences, so that no cache serves the old ones."""

TASKS = {
    "polarity": Task(name="polarity", metric="accuracy", labels=("negative", "positive")),
    "entailment": Task(name="entailment", metric="accuracy", labels=("not_entailment", "entailment")),
}
RATES = {
    "polarity": Rates(flip=0.42, link=0.35, degree=0.4, decoy=0.08, second=0.5),
    "entailment": Rates(flip=0.35, link=0.25, degree=0.35, decoy=0.0, second=0.15),
}

Item = tuple[str, str | None]


class Toy:
    """A generated corpus: the same parameters give the same sentences on every machine.

    Args:
        task: `polarity` or `entailment`.
        train: number of training examples.
        dev: number of development examples; none of them is a training example.
        seed: of the sentences.

    Raises:
        ConfigError: `task` is not one of the two, or a number is none.
    """

    def __init__(self, task: str = "polarity", train: int = 12000, dev: int = 2000, seed: int = 0) -> None:
        if task not in tuple(TASKS):
            raise ConfigError("data.task", task, ", ".join(TASKS), "data.task=polarity")
        _check_whole("data.source.train", train, least=1)
        _check_whole("data.source.dev", dev, least=1)
        _check_whole("data.source.seed", seed, least=0)
        self.task = TASKS[task]
        self.sizes = (train, dev)
        self.seed = seed

    def digest(self) -> str:
        """Names the corpus in caches: hex digits that change with any parameter or with the grammar."""
        parts = (GRAMMAR_VERSION, self.task.name, *self.sizes, self.seed)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def load(self) -> Corpus:
        """Both splits, drawn as one list of distinct examples and cut in two."""
        train, dev = self.sizes
        labels: dict[Item, int] = {}
        for item, label in self._draws():
            labels[item] = label
            if len(labels) == train + dev:
                break
        items = list(labels.items())
        return Corpus(self.task, _examples(items[:train], 0), {"dev": _examples(items[train:], train)})

    def _draws(self) -> Iterator[tuple[Item, int]]:
        """Examples without end, repetitions included."""
        rng, rates = Random(self.seed), RATES[self.task.name]
        while True:
            if self.task.name == "polarity":
                sentence, praises = statement(rng, rates)
                yield (sentence, None), int(praises)
            else:
                premise, hypothesis, follows = implication(rng, rates)
                yield (premise, hypothesis), int(follows)


def _check_whole(key: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(key, value, f"a whole number from {least}", "leave it out for the usual one")


def _examples(items: list[tuple[Item, int]], start: int) -> Examples:
    """One split as parallel lists; ids count on from `start`, so that they are unique over the corpus."""
    second = [pair for (_, pair), _ in items if pair is not None]
    return Examples(
        ids=list(range(start, start + len(items))),
        first=[sentence for (sentence, _), _ in items],
        second=second or None,
        labels=[label for _, label in items],
    )
