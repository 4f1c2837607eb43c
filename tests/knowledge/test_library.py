"""A store in a loop of one's own: no configuration, no Trainer."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from hskd_lightning.assets import Assets
from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.knowledge.library import open_store
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.store_source import StoreSource
from tests.helpers import ROOT, batch_of, refusal

Small = Callable[..., DictConfig]
PAGE = (ROOT / "docs/library.md").read_text()


@pytest.fixture
def made(small: Small) -> Callable[..., tuple[Assets, Path]]:
    """A cell's assets, and the folder of its store."""

    def make(*overrides: str) -> tuple[Assets, Path]:
        assets = Assets(Experiment.resolve(plain(small(*overrides))))
        return assets, assets.stores.make(assets.stores.request)  # and none that others' cells share

    return make


@pytest.mark.parametrize("width", ["all", "pca", "random_mask", "magnitude_mask", "variance_mask"])
def test_it_says_what_a_cell_is_taught(made: Callable[..., tuple[Assets, Path]], width: str) -> None:
    assets, folder = made(f"width={width}", "depth.keep=2")
    knowledge = open_store(folder)
    source = StoreSource(Store(folder), assets.stores.plan, assets.stores.request)
    batch = batch_of(assets, [3, 50, 7])
    ours, theirs = knowledge.hidden(batch.ids), source.hidden(batch)
    assert torch.equal(ours.values, theirs.values)
    assert torch.equal(ours.tokens.positions, theirs.tokens.positions)
    assert torch.equal(knowledge.logits(batch.ids), source.logits(batch))
    assert knowledge.states == assets.experiment.plan.layer_map.teacher_states
    states = [torch.randn(3, batch.input_ids.shape[1], 16) for _ in knowledge.states]
    seen = source.compression.view(theirs.tokens.gather(states), nn.Identity())
    assert torch.equal(knowledge.compression.view(ours.tokens.gather(states), nn.Identity()), seen)


def test_some_of_its_layers_and_bits_can_be_had(made: Callable[..., tuple[Assets, Path]]) -> None:
    _, folder = made("bits=planes", "bits.keep=12", "depth.keep=2")
    whole = open_store(folder)
    top = open_store(folder, states=whole.states[-1:], budget=4)
    ids = whole.ids[:5]
    assert top.hidden(ids).values.shape[1] == 1
    assert not torch.equal(top.hidden(ids).values[:, 0], whole.hidden(ids).values[:, -1])
    assert torch.equal(top.hidden(ids).tokens.positions[:, 0], whole.hidden(ids).tokens.positions[:, -1])


def test_what_it_does_not_have_is_named(made: Callable[..., tuple[Assets, Path]]) -> None:
    _, folder = made("bits=planes", "bits.keep=12")
    with refusal("states", "states that the store has: "):
        open_store(folder, states=[1])
    with pytest.raises(ConfigError, match=r"(?s)bits.keep` = 13.*what the store has: 12"):
        open_store(folder, budget=13)
    with pytest.raises(ConfigError, match=r"(?s)bits.keep` = 13.*what the store has: None"):
        open_store(made("bits=fp16")[1], budget=13)


def test_a_store_of_logits_alone_says_so(small: Small, tmp_path: Path) -> None:
    stores = Assets(Experiment.resolve(plain(small("knowledge=logits")))).stores
    stores.folder = tmp_path / "store"  # where no other store has its logits
    folder = stores.make(stores.request)
    with refusal("store", "this one has logits alone"):
        open_store(folder)


class Bag(nn.Module):
    """An encoder of a user's own: no attention, no transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(300, 8)
        self.mix = nn.Linear(8, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.mix(self.words(tokens).cumsum(dim=1).tanh())


def test_the_page_trains_a_model_of_ones_own(made: Callable[..., tuple[Assets, Path]]) -> None:
    """The code of docs/library.md as it stands there, and the loss falls."""
    assets, folder = made("width=pca", "bits=int8")
    batches = [batch_of(assets, list(range(start, start + 24))) for start in range(0, 96, 24)] * 25
    said: list[float] = []
    loop, strategies = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    loop = loop.replace("artifacts/store/0123456789abcdef", str(folder)).replace("Linear(128,", "Linear(8,")
    loop = loop.replace("loss.backward()", "loss.backward(); said.append(float(loss.detach()))")
    torch.manual_seed(0)
    exec(loop, {"MyEncoder": Bag, "batches": [(each.ids, each.input_ids) for each in batches], "said": said})
    assert sum(said[-4:]) < 0.8 * sum(said[:4])


def test_the_page_codes_values() -> None:
    loop, strategies = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    torch.manual_seed(0)
    names: dict[str, Tensor] = {"torch": torch}  # type: ignore[dict-item]
    exec(strategies, names)
    assert names["codes"].shape == (1, 1, 5000, 16)
    assert 0 < float(names["error"]) < 0.5


def test_the_loop_of_the_page_is_ten_lines() -> None:
    loop, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in loop.splitlines() if line.strip() and "import" not in line]) <= 10


def test_it_imports_neither_hydra_nor_lightning() -> None:
    """Nor what encoders and codebooks are made with: who reads a store needs none of them."""
    heavy = ("hydra", "omegaconf", "pytorch_lightning", "transformers", "datasets", "faiss")
    asked = f"import sys, hskd_lightning.knowledge.library; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
