"""What usage texts are made of: the parser of a command, and the groups and options of conf/."""

from __future__ import annotations

import argparse
import re
import textwrap

from omegaconf import OmegaConf

from hskd_lightning.choices import CONF, names
from hskd_lightning.errors import command

WIDTH = 79
"""Of a line: a terminal of 80 columns breaks no line of it."""
INTERNAL = ("hydra", "paths", "shared", "stage")
"""Folders of conf/ that nobody chooses an option of."""
WHAT = {
    "data": "what is learned: GLUE, your own files (text), or a generated corpus (toy)",
    "teacher": "who knows it: fine-tuned once, then reused",
    "student": "who shall learn it",
    "student/init": "where the student's first weights come from",
    "depth": "which of the teacher's layers are distilled",
    "length": "which tokens",
    "width": "which hidden units, or directions",
    "bits": "and how finely their values are said",
    "knowledge": "where knowledge comes from, and the baselines without hidden states",
    "control": "something else in the place of the teacher's states, to tell what they are worth",
    "preset": "our settings, or the released code's, switch by switch",
    "trainer": "device and precision",
    "logger": "csv always; wandb, tensorboard beside it",
    "experiment": "a published setting, on top of the rest",
    "debug": "a quick look",
    "launch": "where a sweep's cells run; left out: here, one a core, or one a GPU",
}
"""What one chooses by each group, in the order of the help text."""


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """The parser of a command that Hydra does not start; the description keeps its lines."""
    return argparse.ArgumentParser(
        command(name), description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def train_help() -> str:
    """What train.py --help says. Hydra would first copy its configuration for every group, which takes a second."""
    text = OmegaConf.create({"hydra": {"help": OmegaConf.load(CONF / "hydra/help/hskd.yaml")}}).hydra.help.template
    return str(text)


def public_groups() -> list[str]:
    """The groups of conf/ that one chooses from, those that WHAT describes first."""
    folders = {path.parent.relative_to(CONF).as_posix() for path in CONF.glob("*/**/*.yaml")}
    public = {group for group in folders if group.partition("/")[0] not in INTERNAL}
    return [*(group for group in WHAT if group in public), *sorted(public - set(WHAT))]


def describe_groups() -> str:
    """Each group, what it is for, and its options, in lines of WIDTH."""
    return "\n".join(
        f"{_beside(group, WHAT.get(group, ''))}\n{_beside('', _listed(group))}" for group in public_groups()
    )


def quoted(text: str) -> str:
    """A text as the value of an override: it comes back as it is, whatever characters it has.

    A quotation mark ends the value unless a backslash stands before it, and ${ begins an interpolation likewise.
    """
    literal = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), literal) + "'"


def _listed(group: str) -> str:
    return f"= {', '.join(names(group))}"


def _beside(name: str, text: str) -> str:
    return (
        textwrap.fill(text, WIDTH, initial_indent=f"  {name:<13}", subsequent_indent=" " * 15, break_on_hyphens=False)
        or f"  {name}"
    )
