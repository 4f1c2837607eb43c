"""The workspace and the report, made of the same parts. Two builds are the same to the byte."""

from __future__ import annotations

import hashlib
import json
import warnings
from typing import Any

from hskd_lightning.dashboard.panels import COLUMNS, RUNS_SHOWN, SCORE, Part, parts

with warnings.catch_warnings():  # the package's own, about pydantic
    warnings.simplefilter("ignore", DeprecationWarning)
    from wandb_workspaces.reports.v2 import H2, OrderBy, P, PanelGrid, Report, Runset, SummaryMetric, TableOfContents
    from wandb_workspaces.workspaces import Ordering, RunsetSettings, Section, Summary, Workspace, WorkspaceSettings

NAME = "Marginal utility of hidden-state knowledge"
QUESTION = "How little of a teacher's knowledge does a student need?"


def workspace(entity: str, project: str) -> Workspace:
    """The saved view of a project: a section for each part, the run table with all axes."""
    sections = [
        Section(name=part.title, panels=list(part.panels), is_open=number < 2) for number, part in enumerate(_named())
    ]
    settings = WorkspaceSettings(max_runs=RUNS_SHOWN)
    table = RunsetSettings(pinned_columns=COLUMNS, order=[Ordering(Summary(SCORE), ascending=False)])
    return Workspace(
        entity=entity, project=project, name=NAME, sections=sections, settings=settings, runset_settings=table
    )


def report(entity: str, project: str) -> Report:
    """The report of a project: the sections of its workspace, with a word on each.

    Its run sets name no project: they are those of the report's own.
    """
    blocks: list[Any] = [P(QUESTION), TableOfContents()]
    for part in _named():
        blocks += [H2(part.title), P(part.says), PanelGrid(runsets=[_runset(part)], panels=list(part.panels))]
    return Report(entity=entity, project=project, title=NAME, description=QUESTION, blocks=blocks, width="fluid")


def spec(board: Workspace | Report) -> str:
    """What W&B is sent, as readable JSON."""
    model = board._to_model()  # private, and the only way to see it without a network
    plain = json.loads(model.model_dump_json(by_alias=True, exclude_none=True))
    return json.dumps(plain, indent=2) + "\n"


def _named() -> list[Part]:
    """The parts with ids made of their titles: the package draws them at random."""
    named = parts()
    for part in named:
        for number, panel in enumerate(part.panels):
            panel._id = _identifier(f"{part.title}/{number}")
    return named


def _runset(part: Part) -> Runset:
    order = [OrderBy(SummaryMetric(SCORE), ascending=False)]
    runset = Runset(name="Cells", visible_columns=COLUMNS, lock_columns=True, order=order)
    runset._id = _identifier(part.title)
    return runset


def _identifier(title: str) -> str:
    return hashlib.sha256(title.encode()).hexdigest()[:12]
