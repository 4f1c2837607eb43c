"""The dashboards, built without a network, against what small runs really log; published to a server of paper."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import wandb
from omegaconf import DictConfig

from hskd_lightning.dashboard import __main__ as command
from hskd_lightning.dashboard import boards
from hskd_lightning.errors import ConfigError
from hskd_lightning.pipeline import run
from hskd_lightning.runs import trackers
from tests.helpers import ROOT
from tests.offline_run import offline_runs

pytestmark = pytest.mark.usefixtures("no_account")
SECTIONS = [
    *(
        "Marginal utility",
        "Depth",
        "Length",
        "Width",
        "Bits",
        "Joint and Pareto",
        "Efficiency",
        "Losses by stage",
        "All cells",
    ),
]


def specs() -> dict[str, Any]:
    built = {"workspace": boards.workspace("", "p"), "report": boards.report("", "p")}
    return {name: json.loads(boards.spec(board)) for name, board in built.items()}


def test_both_have_all_parts() -> None:
    built = specs()
    sections = built["workspace"]["spec"]["section"]["panelBankConfig"]["sections"]
    assert [section["name"] for section in sections] == SECTIONS
    blocks = built["report"]["spec"]["blocks"]
    assert [block["children"][0]["text"] for block in blocks if block["type"] == "heading"] == SECTIONS
    grids = [block for block in blocks if block["type"] == "panel-grid"]
    shown = [len(grid["metadata"]["panelBankSectionConfig"]["panels"]) for grid in grids]
    assert shown == [len(section["panels"]) for section in sections] and min(shown) > 0


def test_teacher_and_baselines_are_lines_of_every_curve() -> None:
    panels = [panel for panel in walk(specs()["workspace"]) if panel.get("xAxis") == "curve/fraction"]
    assert len(panels) == 4  # the whole, and the three dimensions
    lines = ["curve/score", "curve/teacher", "curve/logits", "curve/labels"]
    assert all(panel["metrics"] == lines for panel in panels)


def test_wandbs_own_reader_finds_all_that_is_written() -> None:
    from wandb_workspaces.workspaces.internal import View  # not above: there its own import warns

    written = boards.spec(boards.workspace("me", "p"))
    assert boards.spec(boards.Workspace._from_model(View.model_validate_json(written))) == written


@pytest.mark.slow
def test_two_builds_in_two_processes_are_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        line = [sys.executable, "-m", "hskd_lightning.dashboard", "--out", str(tmp_path / folder), "--project", "p"]
        subprocess.run(line, check=True, cwd=ROOT, timeout=120)
    for name in ("workspace.json", "report.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def walk(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of a spec."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


def named(spec: Any) -> tuple[set[str], set[str], set[str]]:
    """The logged names, config keys and patterns that a spec asks for."""
    logged, config, patterns = set(), set(), set()
    columns = [*re.findall(r'"((?:config|summary):[^"]+)"', json.dumps(spec))]
    for node in walk(spec):
        logged.update(name for name in node.get("metrics", ()))
        if "metrics" in node and "xAxis" in node:
            logged.add(node["xAxis"])
        if "groupBy" in node:
            columns.append(f"config:{node['groupBy']}")
        if "metricRegex" in node:
            patterns.add(node["metricRegex"])
    for column in columns:
        kind, _, name = column.partition(":")
        (config if kind == "config" else logged).add(name.removesuffix(".value"))
    return logged, config, patterns


@pytest.mark.slow
def test_runs_log_every_key_that_a_panel_names(small: Callable[..., DictConfig], tmp_path: Path) -> None:
    for knowledge in ("offline", "logits", "labels"):
        run(small("logger=wandb", f"knowledge={knowledge}"))
    told = offline_runs(tmp_path)
    assert len(told) == 3
    for spec in specs().values():
        logged, config, patterns = named(spec)
        assert {"final/score", "curve/labels", "hidden/loss", "trainer/global_step", "final/seconds_hidden"} <= logged
        assert {"length_keep", "knowledge_fraction", "task"} <= config and patterns
        assert logged - set().union(*(one.logged for one in told)) == set()
        assert all(config - set(one.config) == set() for one in told)
        assert all(any(re.fullmatch(pattern, name) for name in told[0].logged) for pattern in patterns)


def test_without_a_key_both_are_written_and_how_to_publish_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(["--out", str(tmp_path / "out"), "--project", "p"])
    said = capsys.readouterr().out
    assert "wrote" in said and "wandb login, then the same command again" in said and len(said.splitlines()) == 2
    assert json.loads((tmp_path / "out/workspace.json").read_text())["project"] == "p"
    assert json.loads((tmp_path / "out/report.json").read_text())["project"]["name"] == "p"


def test_the_project_is_the_one_that_runs_log_to(tmp_path: Path, small: Callable[..., DictConfig]) -> None:
    command.main(["--out", str(tmp_path)])
    written = json.loads((tmp_path / "workspace.json").read_text())["project"]
    assert written == small("logger=wandb").logger.project


def test_without_the_package_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(ConfigError, match=r"pip install 'hskd-lightning\[dashboard\]'"):
        command.require_workspaces()
    with pytest.raises(SystemExit, match="wandb-workspaces"):
        command.main(["--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"`--out` .*\n.*writable folder"):
        command.main(["--out", str(tmp_path / "file" / "out")])


class PaperServer:
    """Keeps views as W&B's server does, as far as publishing asks: by id, with pages of one view."""

    def __init__(self) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        self.projects: list[str] = []
        self.app_url = "https://paper.invalid/"

    def execute_graphql(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        return self._upsert(variables) if "upsertView" in query else self._list(variables)

    def _upsert(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        assert asked["projectName"] in self.projects
        identifier = asked.get("id") or f"id{len(self.views)}"
        project = {"name": asked["projectName"], "entityName": asked["entityName"]}
        kept = ("name", "displayName", "description", "type", "spec")
        self.views[identifier] = {"id": identifier, "project": project, **{key: asked[key] for key in kept}}
        return {"upsertView": {"view": self.views[identifier]}}

    def _list(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked["project"] not in self.projects:
            return {"project": None}
        views = [view for view in self.views.values() if view["type"] == asked["type"]]
        at = int(asked["after"] or 0)
        page = {"endCursor": str(at + 1), "hasNextPage": at + 1 < len(views)}
        edges = [{"node": view} for view in views[at : at + 1]]
        return {"project": {"allViews": {"edges": edges, "pageInfo": page}}}


class PaperApi:
    default_entity = "me"

    def __init__(self, server: PaperServer) -> None:
        self._service_api = server

    def projects(self, entity: str) -> list[Any]:
        return [DictConfig({"name": name}) for name in self._service_api.projects]

    def create_project(self, name: str, entity: str) -> None:
        self._service_api.projects.append(name)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> PaperServer:
    server = PaperServer()
    monkeypatch.setattr(wandb, "Api", lambda: PaperApi(server))
    monkeypatch.setattr(trackers, "choose_mode", lambda asked: "online")
    return server


def test_publishing_twice_updates_what_was_published(server: PaperServer, tmp_path: Path) -> None:
    command.main(["--out", str(tmp_path), "--project", "p"])
    server.views = {"other": {**next(iter(server.views.values())), "displayName": "someone's own"}, **server.views}
    first = {name: view["name"] for name, view in server.views.items()}
    command.main(["--out", str(tmp_path), "--project", "p"])
    assert sorted(view["type"] for view in server.views.values()) == ["project-view", "runs", "runs"]
    workspace = next(view for view in server.views.values() if view["type"] == "project-view")
    assert workspace["name"] == first[workspace["id"]] and workspace["project"]["entityName"] == "me"
    assert server.views["other"]["displayName"] == "someone's own"


def test_what_is_published_is_what_is_written(server: PaperServer, tmp_path: Path) -> None:
    command.main(["--out", str(tmp_path), "--project", "p", "--entity", "team"])
    for name, kind in (("workspace", "project-view"), ("report", "runs")):
        written = json.loads((tmp_path / f"{name}.json").read_text())["spec"]
        (published,) = (view for view in server.views.values() if view["type"] == kind)
        assert json.loads(published["spec"]) == written and published["project"]["entityName"] == "team"


def test_a_server_that_refuses_costs_nothing_that_was_written(
    server: PaperServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise wandb.errors.CommError("permission denied")

    monkeypatch.setattr(server, "execute_graphql", lambda query, variables: refuse())
    with pytest.raises(SystemExit, match="permission denied"):
        command.main(["--out", str(tmp_path), "--project", "p"])
    assert (tmp_path / "report.json").exists()
