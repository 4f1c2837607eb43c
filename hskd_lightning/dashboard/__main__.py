"""A W&B workspace and a report of all cells of a project.

Publishes both, or updates them, where there is a W&B key and a route to the
server. What is published is also written to workspace.json and report.json,
without a key or a route only there.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from hskd_lightning import usage
from hskd_lightning.artifacts import make_writable
from hskd_lightning.choices import CONF
from hskd_lightning.errors import ConfigError

DEFAULTS = CONF / "logger" / "wandb.yaml"


def main(arguments: Sequence[str] | None = None) -> None:
    """Build both dashboards; a user's mistake, and a server that refuses, end in a message and exit code 1."""
    defaults = OmegaConf.load(DEFAULTS)
    parser = usage.parser("dashboard", __doc__)
    parser.add_argument("--entity", default=defaults.entity, help="the W&B user or team; left out: the key's own")
    parser.add_argument("--project", default=defaults.project, help="where the runs are: logger.project of the cells")
    parser.add_argument("--out", type=Path, default=Path("dashboard"), help="where the two files are written")
    given = parser.parse_args(arguments)
    try:
        require_workspaces()
        build(given.entity, given.project, given.out)
    except ConfigError as error:
        sys.exit(f"\n{error}\n")


def require_workspaces() -> None:
    """Find out whether dashboards can be built.

    Raises:
        ConfigError: the package is missing.
    """
    if importlib.util.find_spec("wandb_workspaces") is None:
        remedy = "pip install 'hskd-lightning[dashboard]'"
        raise ConfigError("dashboard", "without wandb-workspaces", "the package of the extra `dashboard`", remedy)


def build(entity: str | None, project: str, out: Path) -> None:
    """Write both dashboards, and publish them if that is possible."""
    from hskd_lightning.dashboard import boards  # here: it needs the extra, and --help no tracker
    from hskd_lightning.runs.trackers import choose_mode

    make_writable(out, "--out")
    (out / "workspace.json").write_text(boards.spec(boards.workspace(entity or "", project)))
    (out / "report.json").write_text(boards.spec(boards.report(entity or "", project)))
    if (mode := choose_mode("auto")) != "online":
        print(f"W&B is {mode} here (no key, no route, or WANDB_MODE): wrote {out}/workspace.json and {out}/report.json")
        print("to publish them: wandb login, then the same command again")
        return
    from hskd_lightning.dashboard.publish import publish

    try:
        publish(entity, project)
    except Exception as error:  # whatever client or server find wrong, it is no bug of ours that needs a traceback
        sys.exit(f"\nnot published to {entity or 'your'} / {project}: {error}\n  what would have been is in {out}\n")


if __name__ == "__main__":
    main()
