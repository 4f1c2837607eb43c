"""The reference, made from what the program reads itself: conf/, sweeps/, the commands' help, docstrings."""

from __future__ import annotations

import contextlib
import html
import importlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from hskd_lightning.__main__ import COMMANDS
from hskd_lightning.usage import INTERNAL, WHAT, WIDTH

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
PACKAGE = ROOT / "hskd_lightning"
ONLY_YAML = ("conf", "sweeps")
"""Packages that hold no code."""
BEHIND = {
    "stage": "the two stages of distillation: `stage.hidden`, `stage.prediction`",
    "paths": "where things are kept",
    "shared": "what several options of a group have in common",
    "hydra/sweeper": "how `-m` sweeps, and `study minimum` searches: `hydra.sweeper`",
}
"""Folders of conf/ that nobody chooses an option of, and whose keys are keys of a run all the same."""

CONF_HEAD = """# Configuration

Every key of every option, as the files of `conf/` have it. `python train.py --help` lists the options; `KEY=VALUE` on
the command line replaces a value.
"""
SWEEPS_HEAD = """# Sweeps

`--config-dir sweeps --config-name NAME`, or `--config-name NAME` alone with what pip installed. `plan/` has the cells,
`recipe/` how a task is trained: `recipe=sst2`. [How to run them](../howto/sweeps.md).
"""
COMMANDS_HEAD = """# Commands

Installed with pip they are `hskd train`, `hskd store`, ...; from a checkout `python train.py` and
`python -m hskd_lightning.store`, ...
"""


class Key(NamedTuple):
    """A key of a yaml file, as it is written there."""

    name: str
    value: str
    comment: str


def pages() -> dict[str, str]:
    """Every generated page, by its place on the site."""
    made = {"commands": commands_page(), "conf": conf_page(), "sweeps": sweeps_page(), "api/index": modules_page()}
    made |= {f"api/{package}": f"# {package}\n\n::: hskd_lightning.{package}\n" for package in packages()}
    return {f"reference/{name}.md": text for name, text in made.items()}


def packages() -> list[str]:
    """The packages of hskd_lightning, a page each."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.parent.name not in ONLY_YAML)


def modules_page() -> str:
    """The modules that stand in no package of their own."""
    names = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_"))
    return "# hskd_lightning\n\n" + "\n".join(f"::: hskd_lightning.{name}\n" for name in names)


# conf/ and sweeps/


def conf_page() -> str:
    """Every key of every file of conf/ that a run reads, group by group."""
    groups = {**WHAT, **BEHIND}
    sections = [_option(CONF / "train.yaml", "## train.yaml", "train")]
    for group in [*groups, *sorted(_groups() - set(groups))]:
        sections.append(f"## {group}\n\n{groups.get(group, '')}\n")
        for path in sorted((CONF / group).glob("*.yaml")):
            sections.append(_option(path, f"### {group}={path.stem}", f"{group.replace('/', '-')}-{path.stem}"))
    return "\n".join([CONF_HEAD, *sections])


def _groups() -> set[str]:
    """Those that one chooses from, and that nobody has described yet."""
    found = {path.parent.relative_to(CONF).as_posix() for path in CONF.glob("*/**/*.yaml")}
    return {group for group in found if group.partition("/")[0] not in INTERNAL}


def _option(path: Path, heading: str, anchor: str) -> str:
    text = path.read_text()
    rows = [f"| `{key.name}` | {_code(key.value)} | {_plain(key.comment)} |" for key in keys(text)]
    table = ["| key | value | |", "|---|---|---|", *rows] if rows else []
    return "\n".join([f"{heading} {{ #{anchor} }}", "", _plain(preamble(text)), "", *table, ""])


def preamble(text: str) -> str:
    """The comment that a yaml file begins with."""
    first = re.match(r"(?:#.*\n)*", text)
    lines = first[0].splitlines() if first else []
    return " ".join(line.lstrip("# ") for line in lines if not line.startswith("# @package"))


def keys(text: str) -> list[Key]:
    """The keys of a yaml file with dots between, in its order, each with its value and what is said of it.

    A comment belongs to the key on whose line it ends, or to the one below it.
    """
    root = yaml.compose(text)
    return list(_walk(root, "", text)) if isinstance(root, yaml.MappingNode) else []


def _walk(node: yaml.MappingNode, prefix: str, text: str) -> Iterator[Key]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            said = _comment(text, key.start_mark.line, key.start_mark.line)
            if said:
                yield Key(name, "", said)
            yield from _walk(value, f"{name}.", text)
        elif isinstance(value, yaml.SequenceNode) and not value.flow_style:
            for item in value.value:
                line = item.start_mark.line
                yield Key(name, _written(item, text), _comment(text, line, line))
        else:
            written = _written(value, text)
            yield Key(name, written, _comment(text, key.start_mark.line, value.start_mark.line + written.count("\n")))


def _written(node: yaml.Node, text: str) -> str:
    """A value as it stands in the file, without what is said beside it."""
    return re.sub(r"\s+#\s.*", "", text[node.start_mark.index : node.end_mark.index]).rstrip()


def _comment(text: str, first: int, last: int) -> str:
    """What stands in comments above line `first`, unless the file begins there, and beside lines up to `last`."""
    lines = text.splitlines()
    above: list[str] = []
    while first - len(above) > 0 and lines[first - len(above) - 1].lstrip().startswith("#"):
        above.insert(0, lines[first - len(above) - 1])
    if len(above) == first:
        above = []  # the file's own
    beside = [found[0] for line in lines[first : last + 1] if (found := re.search(r"(?:^|\s)#\s.*", line))]
    return " ".join(line.strip().lstrip("# ") for line in [*above, *beside])


def sweeps_page() -> str:
    """Every plan of sweeps/, as it is."""
    sections = []
    for folder in ("", "plan", "recipe", "wandb"):
        for path in sorted((ROOT / "sweeps" / folder).glob("*.yaml")):
            name = path.relative_to(ROOT / "sweeps").with_suffix("").as_posix()
            sections.append(f"## {name}\n\n```yaml\n{path.read_text().rstrip()}\n```\n")
    return "\n".join([SWEEPS_HEAD, *sections])


# Commands


def commands_page() -> str:
    """What each command says to --help."""
    sections = [
        f"## {name}\n\n{what[0].upper()}{what[1:]}.\n\n```text\n{help_of(module).rstrip()}\n```\n"
        for name, (module, what) in COMMANDS.items()
    ]
    return "\n".join([COMMANDS_HEAD, *sections])


def help_of(module: str) -> str:
    """What a command prints when it is asked for --help, in lines of WIDTH."""
    said, began, columns = io.StringIO(), sys.argv[:], os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH + 1)
    try:
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            importlib.import_module(module).main(["--help"])
    finally:
        sys.argv[:] = began
        os.environ.pop("COLUMNS") if columns is None else os.environ.update(COLUMNS=columns)
    return said.getvalue()


def _code(value: str) -> str:
    """A value in a cell of a table; the first line of a long one."""
    first, *rest = value.splitlines() or [""]
    text = first.replace("|", "\\|")
    return f"`{text}`{' ...' if rest else ''}" if text else ""


def _plain(comment: str) -> str:
    """A comment as text that Markdown takes for no markup."""
    return re.sub(r"([*|\[\]])", r"\\\1", html.escape(comment, quote=False))
