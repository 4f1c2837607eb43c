"""To W&B: each dashboard is made where there is none of its name, else updated."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import wandb

from hskd_lightning.dashboard import boards

with warnings.catch_warnings():  # the package's own, about pydantic
    warnings.simplefilter("ignore", DeprecationWarning)
    from wandb_workspaces._graphql import execute_graphql

QUERY = """
    query Views($entity: String!, $project: String!, $type: String!, $after: String) {
        project(name: $project, entityName: $entity) {
            allViews(viewType: $type, first: 50, after: $after) {
                edges { node { id name displayName } }
                pageInfo { endCursor hasNextPage }
            }
        }
    }
"""
WORKSPACE, REPORT = "project-view", "runs"
"""What W&B calls the two kinds of dashboard."""


def publish(entity: str | None, project: str) -> None:
    """Publish the workspace and the report. The report comes first: saving it makes the project where there is none."""
    entity = entity or wandb.Api().default_entity
    report = boards.report(entity, project)
    report.id = (_find(entity, project, REPORT) or {"id": ""})["id"]
    report.save()
    workspace = boards.workspace(entity, project)
    if existing := _find(entity, project, WORKSPACE):
        workspace._internal_id, workspace._internal_name = existing["id"], existing["name"]
    workspace.save()


def _find(entity: str, project: str, kind: str) -> dict[str, str] | None:
    """What was published before."""
    return next((view for view in _views(entity, project, kind) if view["displayName"] == boards.NAME), None)


def _views(entity: str, project: str, kind: str) -> Iterator[dict[str, str]]:
    """A project's workspaces or reports; none where there is no such project yet."""
    api, after = wandb.Api(), None
    while True:
        asked: dict[str, Any] = {"entity": entity, "project": project, "type": kind, "after": after}
        response = execute_graphql(api, QUERY, asked)["project"]
        if response is None:
            return
        yield from (edge["node"] for edge in response["allViews"]["edges"])
        page = response["allViews"]["pageInfo"]
        if not page["hasNextPage"]:
            return
        after = page["endCursor"]
