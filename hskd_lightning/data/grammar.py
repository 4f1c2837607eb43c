"""The English-like grammar of the `toy` corpus, and what makes its sentences true.

    sentence   ->  clause  |  clause JOIN clause  |  "although" clause "," clause
    clause     ->  "the" [decoy adjective] person predicate
    predicate  ->  "is" [DEGREE] adjective  |  AUXILIARY [LINK] ("be" [DEGREE] adjective  |  verb)

A clause praises or blames its person. Its last word is praise or blame, and every operator before it
(DEGREE, AUXILIARY, LINK) either keeps that or flips it, so the clause has the parity of its flips. JOIN
decides what the sentence as a whole does with its two clauses. The decoy in front of the person counts
for nothing.

Generation runs top-down: a clause is asked to praise or to blame, draws its operators, and only then
picks the one of two opposite last words which makes that true. All that a single word gives away is that
flips are somewhat rarer than their absence: enough of a slope for a network to start on, too little to
solve a task by counting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

PEOPLE = (
    "waiter", "baker", "plumber", "teacher", "singer", "driver", "painter", "gardener", "lawyer", "doctor",
    "nurse", "pilot", "farmer", "tailor", "barber", "janitor", "cook", "guard", "clerk", "actor",
)  # fmt: skip

# (praise, blame). The affixes un-, -less and -ful occur on both sides: a piece does not give the word away.
ADJECTIVES = (
    ("kind", "unkind"), ("helpful", "unhelpful"), ("pleasant", "unpleasant"), ("fair", "unfair"),
    ("reliable", "unreliable"), ("friendly", "unfriendly"), ("unselfish", "selfish"),
    ("unspoiled", "spoiled"), ("untroubled", "troubled"), ("unbiased", "biased"),
    ("careful", "careless"), ("tactful", "tactless"),
    ("thoughtful", "thoughtless"), ("graceful", "graceless"), ("harmless", "harmful"),
    ("fearless", "fearful"), ("guiltless", "deceitful"), ("brilliant", "dull"), ("polite", "rude"),
    ("honest", "crooked"),
    ("gentle", "cruel"), ("charming", "awful"), ("clever", "stupid"), ("generous", "greedy"),
)  # fmt: skip
VERBS = (
    ("please", "annoy"), ("help", "hinder"), ("impress", "disappoint"), ("shine", "stumble"),
    ("amuse", "bore"), ("succeed", "blunder"), ("inspire", "offend"), ("comfort", "frighten"),
)  # fmt: skip

# Operators by what they do to the praise of the words after them.
AUXILIARIES = {"keep": ("will", "can", "does"), "flip": ("will never", "can hardly", "does not")}
LINKS = {"keep": ("manage to", "try to", "seem to"), "flip": ("fail to", "refuse to", "forget to")}
DEGREES = {"keep": ("very", "truly"), "flip": ("not", "anything but", "far from")}


@dataclass(frozen=True)
class Scale:
    """Two opposite last words of a predicate, e.g. kind and unkind."""

    praise: str
    blame: str
    verb: bool


SCALES = (
    *(Scale(*pair, verb=False) for pair in ADJECTIVES),
    *(Scale(*pair, verb=True) for pair in VERBS),
)


def left(first: bool, second: bool) -> bool:
    """What is conceded comes second: the sentence stands by its first clause."""
    return first


def right(first: bool, second: bool) -> bool:
    """What is conceded comes first: the sentence stands by its second clause."""
    return second


# How two clauses make a sentence, and whether the sentence praises, given whether each clause does.
JOINS: tuple[tuple[str, Callable[[bool, bool], bool]], ...] = (
    ("{} but {}", right),
    ("{} yet {}", right),
    ("although {} , {}", right),
    ("{} although {}", left),
    ("{} even if {}", left),
    ("{} and {}", lambda first, second: first and second),
    ("{} or {}", lambda first, second: first or second),
)

# The joins which assert both of their clauses, as the premise of an entailment must.
ASSERTING = ("{} but {}", "{} yet {}", "{} and {}", "although {} , {}", "{} although {}")

# Share of hypotheses that praise. At one half the answer would be the parity of premise and hypothesis,
# uncorrelated with either, and random weights would find no gradient towards it. Above one half, judging
# the premise pays from the first step, and weighing it against the hypothesis is learned on top.
PRAISED = 0.8


@dataclass(frozen=True)
class Rates:
    """How often each optional part occurs: the difficulty of a task."""

    flip: float
    """Share of operators that flip."""
    link: float
    """Share of predicates with a link."""
    degree: float
    """Share of adjectives with a degree."""
    decoy: float
    """Share of persons with an adjective in front."""
    second: float
    """Share of sentences with a second clause."""


PLAIN = Rates(flip=0.0, link=0.0, degree=0.0, decoy=0.0, second=0.0)
"""A hypothesis: a clause that says what it says, without flips."""


def operator(rng: Random, words: Mapping[str, tuple[str, ...]], rates: Rates) -> tuple[str, bool]:
    """One operator and whether it flips."""
    flips = rng.random() < rates.flip
    return rng.choice(words["flip" if flips else "keep"]), flips


def predicate(rng: Random, scale: Scale, praises: bool, rates: Rates) -> str:
    """What is said of a person: operators first, then the last word which makes the whole `praises`."""
    linked = rng.random() < rates.link
    bare = not linked and not scale.verb and rng.random() < 0.5
    chain = [("is", False)] if bare else [operator(rng, AUXILIARIES, rates)]
    if linked:
        chain.append(operator(rng, LINKS, rates))
    if not scale.verb and not bare:
        chain.append(("be", False))
    if not scale.verb and rng.random() < rates.degree:
        chain.append(operator(rng, DEGREES, rates))
    flipped = sum(flips for _, flips in chain) % 2 == 1
    return " ".join([words for words, _ in chain] + [scale.praise if praises != flipped else scale.blame])


def clause(rng: Random, person: str, scale: Scale, praises: bool, rates: Rates) -> str:
    """`the [decoy] person predicate`."""
    decoy = ""
    if rng.random() < rates.decoy:
        decoy = rng.choice(rng.choice(ADJECTIVES)) + " "
    return f"the {decoy}{person} {predicate(rng, scale, praises, rates)}"


def statement(rng: Random, rates: Rates) -> tuple[str, bool]:
    """A sentence of one or two clauses on any scales, and whether as a whole it praises."""
    persons = rng.sample(PEOPLE, 2)
    praises = [rng.random() < 0.5 for _ in persons]
    first, second = (
        clause(rng, who, rng.choice(SCALES), what, rates) for who, what in zip(persons, praises, strict=True)
    )
    if rng.random() >= rates.second:
        return first, praises[0]
    template, rule = rng.choice(JOINS)
    return template.format(first, second), rule(*praises)


def implication(rng: Random, rates: Rates) -> tuple[str, str, bool]:
    """A premise, a hypothesis about one of its persons on the same scale, and whether it follows.

    The hypothesis is drawn first and the answer is a coin; only then is the premise written to fit. So the
    hypothesis alone says nothing: what counts is whether both place that person on the same side.
    """
    person, other = rng.sample(PEOPLE, 2)
    scale, claimed, follows = rng.choice(SCALES), rng.random() < PRAISED, rng.random() < 0.5
    hypothesis = clause(rng, person, scale, claimed, PLAIN)
    premise = clause(rng, person, scale, claimed == follows, rates)
    if rng.random() < rates.second:
        clauses = [premise, clause(rng, other, scale, rng.random() < 0.5, rates)]
        rng.shuffle(clauses)
        premise = rng.choice(ASSERTING).format(*clauses)
    return premise, hypothesis, follows
