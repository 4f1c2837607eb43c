"""The command line of `study`: what a command has no use for is refused, and nothing is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from hskd_lightning.study.__main__ import COMMANDS, main
from hskd_lightning.study.arguments import USES, check, folder_with, read
from tests.helpers import refusal


@pytest.mark.parametrize(
    "words",
    [
        ["retry", "--dry"],
        ["tune", "--dry"],
        ["clean", "--dry"],
        ["status", "--margin", "0.02"],
        ["collect", "--variance", "moderated"],
        ["plan", "--budget", "300B"],
        ["figures", "--yes"],
        ["claims", "--to", "results/toy"],
    ],
)
def test_a_flag_of_another_command_is_refused(words: list[str]) -> None:
    with refusal(words[1], "it is for study"):
        check(read("", COMMANDS, words))


@pytest.mark.parametrize("command", ["figures", "verify"])
def test_what_reads_a_folder_reads_no_overrides(command: str) -> None:
    with refusal("overrides", f"study {command} reads a folder"):
        check(read("", COMMANDS, [command, "results/toy"]))


def test_every_flag_is_of_a_command() -> None:
    assert {command for commands in USES.values() for command in commands} <= set(COMMANDS)


def test_a_folder_to_read_has_to_be_named(tmp_path: Path) -> None:
    for words in (["figures"], ["figures", "--to", str(tmp_path)]):
        with refusal("--to", "a folder with a results.csv"):
            folder_with("results.csv", read("", COMMANDS, words))


def test_a_mistake_ends_in_its_message() -> None:
    with pytest.raises(SystemExit, match="`--dry` = True"):
        main(["clean", "--dry"])


@pytest.mark.parametrize("command", ["status", "plan", "collect", "clean", "stores"])
def test_the_cells_of_a_search_are_its_own_affair(command: str, tmp_path: Path) -> None:
    words = [command, "hydra.sweeper.minimum.run=true", f"paths.root={tmp_path}"]
    with pytest.raises(SystemExit, match=r"(?s)`hydra.sweeper.minimum.run`.*study minimum with these words"):
        main(words)
