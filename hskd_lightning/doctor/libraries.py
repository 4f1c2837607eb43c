"""Python and packages against what this package's own metadata ask for. Nothing is imported to be asked."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hskd_lightning.doctor.finding import Finding, Group, note, ok, red

OURS = "hskd-lightning"
NAMED = ("torch", "transformers", "pytorch-lightning")
"""Packages whose version is said where all are as they should be."""
EXTRAS = {
    "dashboard": "a workspace and a report in W&B",
    "minilm": "a MiniLM for teacher=minilm without a hub",
    "residual": "fitting bits=residual; readers need none",
    "onnx": "exports to ONNX",
    "slurm": "launch=submitit_slurm and submitit_local",
    "ray": "launch=ray and ray_cluster",
    "tensorboard": "logger=tensorboard",
    "docs": "make docs",
    "dev": "tests, lint and types",
}
"""What each extra of pyproject.toml is for."""


def python() -> Iterator[Finding]:
    """Python's version."""
    asked = SpecifierSet(metadata.metadata(OURS)["Requires-Python"] or "")
    here = platform.python_version()
    if asked.contains(here, prereleases=True):
        yield ok(here)
    else:
        yield red(
            f"{here}, where {asked} is asked for", "make the environment with another: make setup PYTHON=python3.12"
        )


def packages() -> Iterator[Finding]:
    """What must be there."""
    asked = requirements("")
    wrong = {asked_for.name: found for asked_for in asked if not fits(asked_for, found := version(asked_for.name))}
    for asked_for in asked:
        if asked_for.name in wrong:
            yield red(unfit(asked_for, wrong[asked_for.name]), f"pip install '{plain(asked_for)}'")
    if not wrong:
        named = ", ".join(f"{name} {version(name)}" for name in NAMED)
        yield ok(f"all {len(asked)} as asked for: {named}")


def extras() -> Iterator[Finding]:
    """What may be there: which extras are, and what the others would be for."""
    there = []
    for extra, purpose in EXTRAS.items():
        lacking = [(each, version(each.name)) for each in requirements(extra) if not fits(each, version(each.name))]
        if not lacking:
            there.append(extra)
            continue
        what = "; ".join(unfit(*pair) for pair in lacking)
        yield note(f"{extra}, for {purpose}: {what}", f"pip install '{OURS}[{extra}]'")
    yield ok(f"installed: {', '.join(there) or 'none'}")


def requirements(extra: str) -> list[Requirement]:
    """What an extra asks for beyond the rest, or with no name the rest itself; not other extras of ours."""
    asked = [Requirement(line) for line in metadata.requires(OURS) or ()]
    without = {str(each) for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})}
    mine = [each for each in asked if each.marker is None or each.marker.evaluate({"extra": extra})]
    return [each for each in mine if each.name != OURS and (not extra or str(each) not in without)]


def version(name: str) -> str | None:
    """What is installed of a package, as its metadata say; None: nothing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def fits(asked: Requirement, found: str | None) -> bool:
    """Whether a version is one that is asked for."""
    return found is not None and asked.specifier.contains(found, prereleases=True)


def plain(asked: Requirement) -> str:
    """A requirement as one gives it to pip."""
    return f"{asked.name}{asked.specifier}"


def unfit(asked: Requirement, found: str | None) -> str:
    """What is wrong with what was found of a package."""
    if found is None:
        return f"no {asked.name}"
    return f"{asked.name} {found}, where {asked.specifier} is asked for"


CHECKS: Group = {"python": python, "packages": packages, "extras": extras}
