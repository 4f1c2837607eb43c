"""What comes from elsewhere is data: it names no class, no file but its own, no override, and no secret of ours.

Strangers' stores are in knowledge/test_hostile.py, `_target_`s in test_targets.py, names on a page and on a card in
study/report/test_hostile_names.py and export/test_card.py. Here is what they have in common, and the rest.
"""

from __future__ import annotations

import ast
import os
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import DictConfig

from hskd_lightning.errors import ConfigError, TrainingError, discreet
from hskd_lightning.integrity import digest, write_json
from hskd_lightning.knowledge.transfer import pull
from hskd_lightning.models.init.hub import learned_map
from hskd_lightning.pipeline import run
from hskd_lightning.settings.sweeper import read_sweeper
from hskd_lightning.study.sweep.rates import Rates
from hskd_lightning.training import fit
from tests.helpers import CONF, ROOT, refusal

CODE = sorted(path for room in ("hskd_lightning", "hydra_plugins") for path in (ROOT / room).rglob("*.py"))
BETWEEN_RANKS = ("follower.py", "training/team.py")
"""Where processes of one user's cell talk, over a connection with a key that rank 0 draws."""


# What the program's own code calls.


@cache
def calls() -> list[tuple[Path, str, ast.Call]]:
    """Every call of a named function: its file, the name as it is written, the call."""
    nodes = [(path, node) for path in CODE for node in ast.walk(ast.parse(path.read_text()))]
    return [(path, ast.unparse(node.func), node) for path, node in nodes if isinstance(node, ast.Call)]


FORBIDDEN = ("eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load")
LOADERS = ("pickle.load", "pickle.loads", "joblib.load", "dill.load", "dill.loads", "cloudpickle.loads", "torch.load")


def test_no_text_is_run() -> None:
    assert [f"{path}: {name}" for path, name, _ in calls() if name in FORBIDDEN] == []


def test_no_shell_is_asked() -> None:
    keywords = [(path, word.arg) for path, _, call in calls() for word in call.keywords]
    assert [path for path, name in keywords if name in ("shell", "trust_remote_code", "allow_pickle")] == []


def test_only_ranks_of_one_cell_unpickle_what_they_send_each_other() -> None:
    found = {str(path.relative_to(ROOT / "hskd_lightning")) for path, name, _ in calls() if name in LOADERS[:-1]}
    assert found <= set(BETWEEN_RANKS)


def test_every_checkpoint_is_read_as_weights_alone() -> None:
    read = [call for _, name, call in calls() if name == "torch.load" or name.endswith("load_from_checkpoint")]
    assert len(read) >= 3
    assert all(
        ("weights_only", True) in [(word.arg, getattr(word.value, "value", None)) for word in call.keywords]
        for call in read
    )


def test_classes_are_found_by_name_in_one_place() -> None:
    found = {path.name for path, name, _ in calls() if name in ("importlib.import_module", "hydra.utils.instantiate")}
    assert found == {"choices.py", "__main__.py"}


# A pickle with a trace in the place of weights.


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_a_checkpoint_that_would_run_when_it_is_unpickled(tmp_path: Path) -> None:
    torch.save({"state_dict": Bomb(tmp_path / "owned")}, tmp_path / "last.ckpt")
    facts = {fit.DIGESTS: {"last.ckpt": digest(tmp_path / "last.ckpt")}, "seconds": 1, "steps": 1}
    write_json(tmp_path / fit.FACTS, facts)
    with pytest.raises(pickle.UnpicklingError, match="[Ww]eights"):
        fit.load_weights(tmp_path / "last.ckpt")
    assert not (tmp_path / "owned").exists()


def test_weights_of_a_hub_that_would_run_when_they_are_unpickled(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    torch.save({"fit_dense.weight": Bomb(tmp_path / "owned")}, tmp_path / "pytorch_model.bin")
    with refusal("preset.map_init", "can be read"):
        learned_map(str(tmp_path), (2, 2))
    assert not (tmp_path / "owned").exists()


# tuned.json becomes part of a command line.

INJECTED = [
    "hydra.launcher._target_=os.system",
    "student.lr.hidden=0.1 hydra.run.dir=/",
    "student.lr.hidden=${oc.env:HOME}",
    "student.lr.hidden=0.1,0.2",
    "student.lr.hidden=range(1,3)",
    "+student.lr.hidden=0.1",
    "~student.lr.hidden",
    "student.lr.hidden",
    "student.lr.hidden=",
    "student.lr.hidden=fast",
    "student.lr.hidden=-0.1",
    "student.lr.hidden=0",
    "student.lr.hidden=nan",
    "student.lr.hidden=inf",
    "student.lr.hidden=1e999",
    "student.lr.hidden=1_0",
    "student.lr.hidden=\u0661",
    "student.lr.hidden=0.1\n",
    "student.lr.hidden@x=0.1",
    "student.lr=0.1",
    "student.path=/etc",
    "paths.root=/",
    "data.train=/etc/passwd",
    "logger=wandb",
    "",
]


def tuned(folder: Path, winner: list[str]) -> Rates:
    arm = {"arm": ["hsk.amount=0.1"], "student": "tiny", "taught": "a part", "winner": winner}
    write_json(folder / "tuned.json", {"task": "polarity", "teacher": "tiny", "arms": [arm]})
    return Rates.read(folder / "tuned.json")


@pytest.mark.parametrize("override", INJECTED, ids=repr)
def test_a_tuned_json_can_set_nothing_but_rates(tmp_path: Path, override: str) -> None:
    with pytest.raises(
        ConfigError, match=r"(?s)`hydra.sweeper.tuned` = .*'arms.0.winner.1' is .*with a number above 0"
    ):
        tuned(tmp_path, ["student.lr.prediction=0.1", override])


@pytest.mark.parametrize("value", ["0.0001", "1e-05", "1E+2", "3"])
@pytest.mark.parametrize(
    "key", ["student.lr.hidden", "student.lr.prediction", "stage.hidden.lr", "stage.prediction.lr"]
)
def test_a_tuned_json_can_set_rates(tmp_path: Path, key: str, value: str) -> None:
    assert tuned(tmp_path, [f"{key}={value}"]).arms["tiny", "a part"] == (f"{key}={value}",)


# Names that would become paths.


@pytest.mark.parametrize("figure", ["../../x", "/etc/x", "a/b", "..", "", "a b", "a\n", 1])
def test_a_plan_is_no_path(figure: object) -> None:
    """The folder of a study is called after its plans."""
    sweeper = yaml.safe_load((CONF / "hydra" / "sweeper" / "study.yaml").read_text())
    with pytest.raises(ConfigError, match="(?s)`hydra.sweeper.plans.*the name of a figure: letters, digits and _"):
        read_sweeper({**sweeper, "plans": {figure: [{}]}})


def test_every_plan_of_ours_has_such_a_name() -> None:
    sweeper = yaml.safe_load((CONF / "hydra" / "sweeper" / "study.yaml").read_text())
    plans = {path.stem: [{}] for path in (ROOT / "sweeps" / "plan").glob("*.yaml")}
    assert set(read_sweeper({**sweeper, "plans": plans}).plans) == set(plans)


# Secrets.


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("s3://me:s3cret@bucket/a", "s3://me:***@bucket/a"),
        ("https://:s3cret@host", "https://:***@host"),
        ("at ftp://me:s3:cret@host/a and ssh://you:s3cret@b", "at ftp://me:***@host/a and ssh://you:***@b"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("me:s3cret@host", "me:s3cret@host"),
    ],
)
def test_a_password_in_an_address_is_not_said(said: str, kept: str) -> None:
    assert discreet(said) == kept
    assert discreet(repr(said)) in str(ConfigError("store", said, said, said))


@pytest.mark.parametrize("address", ["ftp://me:s3cret@127.0.0.1:9/store", "nothing://me:s3cret@host/store"])
def test_an_address_that_is_not_reached_keeps_its_password(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pull(address, tmp_path)
    assert "s3cret" not in str(caught.value) and "me:***@" in str(caught.value)


SECRETS = {
    "WANDB_API_KEY": "0" * 20 + "a5ecret" + "0" * 13,
    "HF_TOKEN": "hf_a5ecret",
    "AWS_SECRET_ACCESS_KEY": "a5ecret",
}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def written(root: Path) -> bytes:
    """All that a program left, one file after another."""
    return b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_a_cell_leaves_no_secret_of_its_environment(
    small: Callable[..., DictConfig], tmp_path: Path, secrets: None
) -> None:
    run(small())
    left = written(tmp_path)
    assert b"config.yaml" in left and b"a5ecret" not in left


def test_a_cell_that_fails_leaves_none_either(small: Callable[..., DictConfig], tmp_path: Path, secrets: None) -> None:
    with pytest.raises(TrainingError):
        run(small("stage.hidden.lr=1e38", "stage.hidden.clip=null", "stage.hidden.warmup=0.0"))
    assert list(tmp_path.glob("runs/*/error.txt"))
    assert b"a5ecret" not in written(tmp_path)
