"""What --help says: all of it fits a terminal, and what can be chosen is read from conf/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hskd_lightning import usage
from hskd_lightning.__main__ import COMMANDS, main
from hskd_lightning.choices import CONF
from hskd_lightning.errors import command as command_line
from tests.helpers import ROOT

COLUMNS = 80


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))


@pytest.fixture(scope="module")
def train_help() -> str:
    return subprocess.run(
        [sys.executable, "train.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    ).stdout


def test_no_line_of_trains_help_is_broken(train_help: str) -> None:
    assert [line for line in train_help.splitlines() if len(line) > COLUMNS] == []


@pytest.mark.parametrize("group", usage.WHAT)
def test_every_option_of_a_public_group_is_in_the_help(train_help: str, group: str) -> None:
    rest = train_help.partition(f"\n  {group} ")[2]
    listed = " ".join(rest.partition("= ")[2].split())
    options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    assert listed.startswith(f"{', '.join(options)} ")


def test_every_public_group_says_what_it_is_for() -> None:
    assert set(usage.public_groups()) == set(usage.WHAT)


@pytest.mark.parametrize("group", usage.INTERNAL)
def test_nobody_is_offered_an_internal_group(train_help: str, group: str) -> None:
    assert f"\n  {group} " not in train_help


def test_a_yaml_that_is_added_shows_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "width").mkdir()
    (tmp_path / "width/mine.yaml").touch()
    monkeypatch.setattr(usage, "CONF", tmp_path)
    monkeypatch.setattr("hskd_lightning.choices.CONF", tmp_path)
    assert usage.describe_groups().endswith("= mine")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("command", ["store", "study", "export", "dashboard", "doctor"])
def test_no_line_of_another_commands_help_is_broken(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > COLUMNS] == []


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_hskd_alone_lists_its_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*words])
    said = capsys.readouterr().out
    assert all(f"\n  {command} " in said for command in COMMANDS)
    assert max(map(len, said.splitlines())) <= COLUMNS


@pytest.mark.parametrize(
    ("started", "typed"),
    [
        ("/usr/bin/hskd", ["hskd train", "hskd store"]),
        ("train.py", ["python train.py", "python -m hskd_lightning.store"]),
        ("/lib/hskd_lightning/store/__main__.py", ["python train.py", "python -m hskd_lightning.store"]),
    ],
)
def test_a_remedy_names_the_program_that_was_started(
    started: str, typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    assert [command_line("train"), command_line("store")] == typed


def test_torch_is_not_imported_before_it_is_needed() -> None:
    say = "import sys, hskd_lightning.__main__, hskd_lightning.train; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", say], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
