"""Whatever is typed is understood, or answered in words: no traceback of ours, and nothing is run."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as draw
from omegaconf import OmegaConf

from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.mistakes import explained
from hskd_lightning.study.__main__ import bytes_of
from hskd_lightning.study.sweep.expand import parse
from hskd_lightning.usage import quoted
from tests.fuzz.drawn import examples
from tests.helpers import CONF

KEYS = (
    *("length.keep", "width.keep", "depth.keep", "hsk.amount", "hsk.path", "bits", "bits.keep", "length", "width"),
    *("seed", "data.max_length", "data.task", "student.lr.hidden", "teacher.init.shape.hidden_size", "store.path"),
    *("width._target_", "hydra.run.dir", "knowledge", "data", "paths.root", "student/init", "no.such.key", ""),
)
VALUES = (
    *("", "0", "1", "-1", "0.1", "1.0", "1e400", "nan", "null", "true", "[]", "{}", "{a: 1}", "[1,2]", "1,2", "???"),
    *(
        "${seed}",
        "${no.such}",
        "${oc.env:HOME}",
        "${oc.env:NOBODY}",
        "${${seed}}",
        "${",
        "'",
        '"',
        "\\",
        "a b",
        "\u00e9",
    ),
    *("\ud83d\ude00", "\u202e", "range(1,3)", "choice(1,2)", "glob(*)", "os.system", "../x", "9" * 400, "x" * 5000),
    *("planes", "pca", "toy", "labels", "__import__('os')", "!!python/object/apply:os.system ['true']", "$(touch x)"),
)
PREFIXES = ("", "+", "++", "~")
typed = draw.builds("{}{}={}".format, draw.sampled_from(PREFIXES), draw.sampled_from(KEYS), draw.sampled_from(VALUES))
texts = draw.text(max_size=20) | draw.text("'\"\\${}[](),=+~ a1.\n", max_size=12)


def answered(words: list[str]) -> None:
    """Resolve a cell as `train` does; what is said of it is a ConfigError."""
    try:
        with explained(words), initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("train", overrides=words)
        Experiment.resolve(plain(config))
    except ConfigError as error:
        assert len(str(error)) < 4000 and str(error).encode()


@examples(300, in_ci=10)
@given(draw.lists(typed | texts, min_size=1, max_size=3))
@example(["hsk.amount="])
@example(["length.keep=\ud800"])
@example(["width=[1,2]"])
@example(["bits=" + "x" * 5000])
def test_a_cell_of_whatever_words_is_resolved_or_answered(words: list[str]) -> None:
    before = set(Path.cwd().iterdir())
    answered(words)
    assert set(Path.cwd().iterdir()) == before


@examples(2000, in_ci=100)
@given(draw.lists(typed | texts, max_size=3))
def test_the_axes_of_a_sweep_are_parsed_or_answered(words: list[str]) -> None:
    try:
        with explained(words):
            axes = parse(words)
    except ConfigError:
        return
    assert all(value.lstrip("+~").startswith(f"{key}=") for key, values in axes.items() for value in values)


@examples(5000, in_ci=200)
@given(draw.text(max_size=12) | draw.text("0123456789.kB -+e\u0663", max_size=8))
@example("9" * 400 + "kB")
@example("0.0B")
def test_a_budget_is_a_number_of_bytes_or_answered(budget: str) -> None:
    try:
        size = bytes_of(budget)
    except ConfigError as error:
        assert error.key == "--budget"
        return
    assert 0 < size < float("inf")


@examples(5000, in_ci=100)
@given(texts)
@example("it's")
@example("a\\")
@example("\\'${seed}")
def test_what_is_quoted_comes_back_as_it_was(text: str) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"key={quoted(text)}"])
    assert OmegaConf.create({"seed": 1, "key": override.value()}).key == text
