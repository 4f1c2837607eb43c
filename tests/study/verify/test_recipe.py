"""verify.yaml as it is read, and the sweep that it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hskd_lightning.study.__main__ import main
from hskd_lightning.study.verify.recipe import read_recipe
from tests.helpers import ROOT, refusal

WRITTEN = """
sweep: --config-dir sweeps recipe=sst2
seeds: [0, 1]
floor: 0.01
needs: [HSKD_NOT_THERE]
settings:
  full: experiment=full_hsk
  two: length=cls_first length.keep=2
orders:
  - {more: full, less: two, by: 0.1}
"""


def written(folder: Path, text: str = WRITTEN) -> Path:
    (folder / "verify.yaml").write_text(text)
    return folder


def test_the_sweep_has_a_plan_for_each_setting(tmp_path: Path) -> None:
    assert read_recipe(written(tmp_path)).arguments(Path("/empty")) == [
        *("-m", "--config-dir", "sweeps", "recipe=sst2"),
        "+hydra.sweeper.plans.full=[{experiment: 'full_hsk'}]",
        "+hydra.sweeper.plans.two=[{length: 'cls_first', length.keep: '2'}]",
        *("hydra.sweeper.seeds=[0, 1]", "hydra.sweeper.curve_seeds=[0, 1]"),
        *("paths.root='/empty'", "hydra.sweeper.to='/empty/results'"),
    ]


def test_without_what_it_needs_it_is_skipped_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["verify", "--to", str(written(tmp_path))])
    assert capsys.readouterr().out == f"{tmp_path}: skipped, it needs HSKD_NOT_THERE\n"


@pytest.mark.parametrize(
    ("old", "new", "key", "allowed"),
    [
        ("more: full", "more: all", "verify.yaml", "one of its settings: full, two"),
        ("floor: 0.01", "floor: 0.0", "verify.yaml.floor", "a number above 0"),
        ("seeds: [0, 1]", "seeds: []", "verify.yaml.seeds", "one seed or more"),
        ("needs:", "need:", "verify.yaml.need", "a key that there is"),
        ("seeds: [0, 1]", "seeds: [0, 1", "verify.yaml", "YAML"),
        ("  two:", "  a two:", "verify.yaml.settings.a two", "a letter, then letters, digits and underscores"),
    ],
)
def test_what_is_mistyped_is_refused(tmp_path: Path, old: str, new: str, key: str, allowed: str) -> None:
    with refusal(key, allowed):
        read_recipe(written(tmp_path, WRITTEN.replace(old, new)))


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    with refusal("--to", "a folder with a verify.yaml"):
        read_recipe(tmp_path)


@pytest.mark.parametrize("path", sorted(ROOT.glob("results/**/verify.yaml")), ids=lambda path: path.parent.name)
def test_every_committed_one_is_read(path: Path) -> None:
    assert read_recipe(path.parent).orders
