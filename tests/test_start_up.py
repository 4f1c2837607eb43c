"""What answers from files imports nothing that trains, explain=true no Lightning: one process tries each command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, SMALL, TINY, command_line, only_cell, only_store

pytestmark = pytest.mark.slow
SWEEP = (*SMALL, *TINY, "hydra.sweeper.amounts=[0.1]", "seed=0")
COMMANDS = {
    "help": ["--help"],
    "train --help": ["train", "--help"],
    "store --help": ["store", "--help"],
    "study --help": ["study", "--help"],
    "export --help": ["export", "--help"],
    "dashboard --help": ["dashboard", "--help"],
    "doctor --help": ["doctor", "--help"],
    "store list": ["store", "list"],
    "store info": ["store", "info", "STORE"],
    "store rm": ["store", "rm", "STORE"],
    "study status": ["study", "status", *SWEEP],
    "study collect": ["study", "collect", *SWEEP, "--to", "ROOT/collected"],
    "study clean": ["study", "clean", *SWEEP],
    "a finished cell": ["train", *SMALL, *TINY],
    "a finished sweep": ["train", "-m", *SWEEP],
    "explain=true": ["train", *SMALL, *TINY, "seed=1", "explain=true"],
}
"""In this order: `rm` comes behind what reads the store."""
SAYING = """
import json, logging, sys
from hskd_lightning.__main__ import main
HEAVY = ("torch", "transformers", "pytorch_lightning", "datasets", "wandb")
imported, before = {}, set()
for name, words in json.loads(sys.argv[1]).items():
    try:
        main(words)
    except SystemExit as end:
        assert not end.code, (name, end.code)
    now = {module for module in HEAVY if module in sys.modules}
    imported[name], before = sorted(now - before), now
print(json.dumps(imported), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a sweep of one cell ended."""
    folder = tmp_path_factory.mktemp("finished")
    subprocess.run([*command_line(folder, *SWEEP), "-m"], check=True, capture_output=True, timeout=240)
    return folder


@pytest.fixture(scope="module")
def imported(root: Path) -> dict[str, list[str]]:
    """What each command imported that the commands before it had not."""
    store = only_store(root).name
    place = f"paths.root={root}"
    filled = {
        name: [word.replace("ROOT", str(root)).replace("STORE", store) for word in words]
        + [place] * (words[0] in ("train", "store", "study") and words[-1] != "--help")
        for name, words in COMMANDS.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", SAYING, json.dumps(filled)], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 done" in done.stdout and store in done.stdout and "done before" in done.stdout
    answer: dict[str, list[str]] = json.loads(done.stderr.splitlines()[-1])
    return answer


@pytest.mark.parametrize("command", COMMANDS)
def test_it_answers_without_what_trains(command: str, imported: dict[str, list[str]]) -> None:
    assert imported[command] == (["torch", "transformers"] if command == "explain=true" else [])


def test_the_answer_of_a_finished_cell_is_its_result(root: Path) -> None:
    cell = only_cell(root)
    result = json.loads((cell / "result.json").read_text())
    done = subprocess.run(command_line(root, *SMALL, *TINY), capture_output=True, text=True, check=True, timeout=240)
    assert f"cell {cell.name}: done before" in done.stdout and f"{result['score']:.4f}" in done.stdout
