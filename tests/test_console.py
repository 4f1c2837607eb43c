"""What a run says of itself before it begins."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.console import plan_rows
from hskd_lightning.experiment import Experiment


@pytest.mark.parametrize(
    ("keep", "words"),
    [("1", "1 token"), ("10", "10 tokens"), ("0.25", "25% of the tokens"), ("1.0", "all tokens")],
)
def test_a_plan_says_how_many_tokens_are_kept(configure: Callable[..., DictConfig], keep: str, words: str) -> None:
    rows = dict(plan_rows(Experiment.resolve(plain(configure("length=cls_first", f"length.keep={keep}")))))
    assert rows["length"] == f"cls_first: {words}"
