"""Plan, watch and draw a sweep, by the arguments it has behind `train.py -m`.

plan      the cells, which of them are there, and what the rest will cost,
          before anything runs
stores    build what its cells learn from; start it as often and on as
          many machines as you like, they share the work
status    where they stand; works while the sweep runs
collect   results.csv and Parquet from what is there, also of a half-done
          sweep; names what is missing
score     let the students of cells that an earlier version finished say
          again what they say of each dev example; none is trained
retry     run the failed ones again
tune      run the same grid of learning rates for full HSK, a tenth of it and
          the logits alone; choose on the selection split, never on dev
clean     what can go: checkpoints of finished cells, folders of unfinished
          ones (--yes removes them)
figures   draw every figure and report.html from a results.csv, with the margin
          that its study fixed or --margin; --variance
          moderated reads the spread of few seeds in the light of all
minimum   the fewest bytes an example that are shown to serve as well as full
          hidden-state knowledge, give or take --margin; or, with --budget,
          the best score within so many bytes. One teacher, student and task;
          --dry says the plan and ends
verify    run again what verify.yaml names of a committed study (--to), from
          nothing, and hold it against results.csv; exit code 1 where it
          differs by more than may be
claims    compute the numbers of a page again (results/README.md unless named)
          from the rows that its claims name; exit code 1 where one differs
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hskd_lightning import console, usage
from hskd_lightning.config import plain
from hskd_lightning.errors import ConfigError, command
from hskd_lightning.interrupt import interruptible
from hskd_lightning.runs.state import State
from hskd_lightning.settings.sweeper import KEY, SweeperSettings, read_sweeper
from hskd_lightning.study import arguments, rules
from hskd_lightning.study.stats.defaults import MARGIN
from hskd_lightning.study.sweep import outcome
from hskd_lightning.study.sweep.compose import as_multirun
from hskd_lightning.study.sweep.kept import planned
from hskd_lightning.study.sweep.plan import Plan, folder_of

# status and clean answer from files: what the other commands need beyond is imported there, as torch takes seconds.
log = logging.getLogger("hskd_lightning.study")


@interruptible()
def main(words: Sequence[str] | None = None) -> None:
    """Run one command; a user's mistake ends in its message and exit code 1."""
    given = arguments.read(__doc__ or "", COMMANDS, words)
    console.log_plainly()
    try:
        arguments.check(given)
        COMMANDS[given.command](given)
    except ConfigError as error:
        sys.exit(f"\n{error}\n")


def _planned(given: argparse.Namespace) -> Plan:
    return _sweep_of(given)[0]


def _sweep_of(given: argparse.Namespace) -> tuple[Plan, SweeperSettings, Path]:
    """A sweep's plan, its settings, and the folder where its results go.

    Raises:
        ConfigError: it is a search, whose cells nobody knows beforehand.
    """
    with as_multirun(given.config_dir, given.config_name, [*given.overrides, *_margin(given)]) as (config, loader):
        settings = read_sweeper(plain(config.hydra.sweeper))
        if settings.minimum.run:
            remedy = f"{command('study')} minimum with these words says how far it is, and goes on; --dry ends there"
            raise ConfigError(f"{KEY}.minimum.run", True, f"false for study {given.command}", remedy)
        plan = planned(config, loader, list(config.hydra.overrides.task))
        return plan, settings, folder_of(plain(config.paths), settings, plan)


def _margin(given: argparse.Namespace) -> list[str]:
    """--margin is a short way to say the sweeper's."""
    return [] if given.margin is None else [f"hydra.sweeper.margin={float(given.margin)}"]


def _plan(given: argparse.Namespace) -> None:
    from hskd_lightning.study.sweep import foresight
    from hskd_lightning.study.sweep.estimate import estimate

    plan, settings, _ = _sweep_of(given)
    outcome.say_plan(plan)
    outcome.show_plan(plan)
    cost = estimate(plan)
    how = f"at the pace of {cost.measured} finished cells" if cost.measured else "by a probe of a few steps"
    log.info("to run: %d cells, about %.0f min one after another (%s)", cost.cells, cost.seconds / 60, how)
    log.info(foresight.said(plan, settings.margin))
    log.info("and %.2f GB of checkpoints and students; teachers and stores come on top", cost.weights_bytes / 1e9)


def _stores(given: argparse.Namespace) -> None:
    from hskd_lightning.assets import Assets
    from hskd_lightning.experiment import Experiment

    cells = [cell.config for cell in _planned(given).to_run]
    for config in cells:
        experiment = Experiment.resolve(config)
        if experiment.settings.knowledge.stored:
            stores = Assets(experiment).stores
            stores.given() or stores.find() or stores.build(cells)


def _status(given: argparse.Namespace) -> None:
    plan = _planned(given)
    outcome.say_plan(plan)
    outcome.show_unfinished(plan)


def _collect(given: argparse.Namespace) -> None:
    from hskd_lightning.study.sweep import collect

    plan, _, own = _sweep_of(given)
    folder = own if given.to is None else given.to
    table = collect.collect(plan)
    if not len(table):
        raise ConfigError("study", "no finished cell", "a sweep with results", f"run it: {command('train')} -m ...")
    if (fixed := rules.read(own)) is not None:  # the sweep wrote them before its first cell
        rules.fixed(folder, fixed)
    print(collect.write(table, folder, collect.said(plan)))
    log.info("%d of %d cells are there", len(plan.in_state(State.DONE)), len(plan.to_run))
    outcome.show_unfinished(plan)


def _score(given: argparse.Namespace) -> None:
    from hskd_lightning.study.sweep.rescore import rescore

    scored, other = rescore(_planned(given))
    log.info("scored again: %d cells, %d of them to another score", scored, other)


def _retry(given: argparse.Namespace) -> None:
    _sweep(given, given.config_name, f"hydra.sweeper.only={State.FAILED}")


def _tune(given: argparse.Namespace) -> None:
    _sweep(given, "tune" if given.config_name == "train" else given.config_name)


def _sweep(given: argparse.Namespace, name: str, *more: str) -> None:
    where = ["--config-dir", given.config_dir] if given.config_dir else []
    command = [sys.executable, "-m", "hskd_lightning.train", "-m", *where, "--config-name", name]
    command += [
        *given.overrides,
        *more,
        *_margin(given),
        *([] if given.to is None else [f"hydra.sweeper.to={usage.quoted(str(given.to))}"]),
    ]
    os.execv(sys.executable, command)  # in this process's place: signals and the exit code are its own


def _clean(given: argparse.Namespace) -> None:
    plan = _planned(given)
    done = [cell.files.checkpoints for cell in plan.in_state(State.DONE)]
    rest = [cell.folder for cell in plan.in_state(State.FAILED, State.INTERRUPTED)]
    for folder in filter(Path.is_dir, [*done, *rest]):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{folder}: {size:,} bytes{', removed' if given.yes else ''}")
        if given.yes:
            shutil.rmtree(folder)
    if not given.yes:
        print("nothing removed: --yes does; results and students of finished cells stay")


def _figures(given: argparse.Namespace) -> None:
    from hskd_lightning.study.figures.draw import draw
    from hskd_lightning.study.report.page import write_report
    from hskd_lightning.study.stats.moderation import Rule
    from hskd_lightning.study.sweep import collect
    from hskd_lightning.study.sweep.found import read_answer

    folder = arguments.folder_with("results.csv", given)
    table = collect.read(folder / "results.csv")
    fixed = rules.read(folder)  # before the first cell; --margin asks what another would say
    margin = given.margin if given.margin is not None else fixed.margin if fixed else MARGIN
    variance: Rule = given.variance or "welch"
    for drawn in draw(table, folder / "figures", margin=margin, variance=variance):
        print(drawn)
    print(write_report(table, folder / "report.html", margin, variance, read_answer(folder)))


def _minimum(given: argparse.Namespace) -> None:
    """In this process's place runs the sweeper, told to search: its launchers, its signals."""
    where = ["--config-dir", given.config_dir] if given.config_dir else []
    asked = ["hydra.sweeper.minimum.run=true", *_margin(given)]
    asked += ["explain=true"] if given.dry else []
    asked += [] if given.budget is None else [f"hydra.sweeper.minimum.budget={bytes_of(given.budget)}"]
    asked += [] if given.to is None else [f"hydra.sweeper.to={usage.quoted(str(given.to))}"]
    words = [sys.executable, "-m", "hskd_lightning.train", "-m", *where, "--config-name", given.config_name]
    os.execv(sys.executable, [*words, *given.overrides, *asked])


def _verify(given: argparse.Namespace) -> None:
    import tempfile

    from hskd_lightning.study.sweep import collect
    from hskd_lightning.study.verify import judge, recipe, rerun

    folder = arguments.folder_with("verify.yaml", given)
    asked = recipe.read_recipe(folder)
    if asked.missing:
        print(f"{folder}: skipped, it needs {' and '.join(asked.missing)}")
        return
    committed = collect.read(folder / "results.csv")
    with tempfile.TemporaryDirectory(prefix="hskd-verify-") as empty:
        now = rerun.rerun(asked, Path(empty))
    checks = [judge.seals(folder / "results.csv"), *judge.judge(committed, now, asked)]
    rows = [(each.what, each.committed, each.band, each.now, "ok" if each.ok else "OUT") for each in checks]
    console.show_table((str(folder), "committed", "may be", "now", ""), rows)
    log.info(judge.same_bits(committed, now))
    if wrong := judge.out(checks):
        sys.exit(f"\n{len(wrong)} of {len(checks)} checks of {folder} do not hold: {', '.join(w.what for w in wrong)}")


def _claims(given: argparse.Namespace) -> None:
    from hskd_lightning.study.claims.check import check, could_say

    pages = [Path(name) for name in given.overrides or ["results/README.md"]]
    for page in pages:
        print(*could_say(page), sep="\n")
    if wrong := [each for page in pages for each in check(page)]:
        sys.exit("\n" + "\n".join(wrong))


def bytes_of(budget: str) -> float:
    """Bytes as a user writes them: 300B, 1.5kB, 300.

    Raises:
        ConfigError: no number of bytes above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(k?)B?", budget.strip())
    size = float(found[1]) * (1000 if found[2] else 1) if found else 0.0
    if not 0 < size < math.inf:
        raise ConfigError("--budget", budget, "bytes an example above 0, such as 300B or 1.5kB", "write --budget 300B")
    return size


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "plan": _plan,
    "stores": _stores,
    "status": _status,
    "collect": _collect,
    "score": _score,
    "retry": _retry,
    "tune": _tune,
    "clean": _clean,
    "figures": _figures,
    "minimum": _minimum,
    "verify": _verify,
    "claims": _claims,
}

if __name__ == "__main__":
    main()
