"""Look after knowledge stores, with the same overrides as train.py.

plan     what a store would hold and weigh, and how long it would take
build    make it; start it as often and on as many machines as you like,
         they share the work. --shard i/n makes one of n parts, and no
         more; when all are there, `finish`
verify   compare every file with its checksum, and a sample with the
         live teacher
info     one store's manifest
list     all stores
rm       remove some by name
push     copy a store to an address: a folder, s3://, hf://datasets/...,
         whatever fsspec knows
pull     fetch one from there
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_module

from hskd_lightning import config as configuration
from hskd_lightning import console, mistakes, usage
from hskd_lightning.errors import ConfigError, command
from hskd_lightning.interrupt import interruptible
from hskd_lightning.knowledge.manifest import KIND, read_sealed, stores
from hskd_lightning.knowledge.request import Request
from hskd_lightning.settings import Settings, read_settings
from hskd_lightning.training.team import ALONE, Team, assembled

if TYPE_CHECKING:
    from hskd_lightning.assets.stores import Stores

# list, info and rm answer from files: what the other commands need beyond is imported there, as torch takes seconds.
log = logging.getLogger("hskd_lightning.store")
SEE = f"see them all: {command('store')} list"
NAMED = ("verify", "info", "rm", "push", "pull")
"""Commands that take a store by name, or an address."""


@interruptible()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a user's mistake ends in its message and exit code 1."""
    parser = usage.parser("store", __doc__)
    parser.add_argument("command", choices=COMMANDS, metavar="command", help=", ".join(COMMANDS))
    parser.add_argument("--shard", metavar="i/n", help="build: make only the i-th of n parts, i from 1")
    parser.add_argument("rest", nargs="*", metavar="name | address | key=value", help="overrides as for train.py")
    given = parser.parse_intermixed_args(arguments)
    overrides = [word for word in given.rest if "=" in word]
    names = [word for word in given.rest if "=" not in word]
    console.log_plainly()
    try:
        _check_words(given.command, names, given.shard)
        COMMANDS[given.command](_compose(overrides), names, given.shard)
    except ConfigError as error:
        sys.exit(f"\n{error}\n")


def _check_words(command: str, names: list[str], shard: str | None) -> None:
    """Refuse names where none is looked at, an override without its value, most likely; and a part of no build."""
    if names and command not in NAMED:
        raise ConfigError(command, " ".join(names), "overrides: KEY=VALUE", f"write {names[0]}=VALUE, or leave it out")
    if len(names) > 1 and command in ("verify", "info"):
        raise ConfigError(
            command, " ".join(names), "one store, or none: that of the configuration", "name one at a time"
        )
    if shard is not None and command != "build":
        raise ConfigError("--shard", shard, "left out: it is for store build", "leave --shard out")


def _compose(overrides: Sequence[str]) -> dict[str, Any]:
    with mistakes.explained(overrides), initialize_config_module("hskd_lightning.conf", version_base="1.3"):
        return configuration.plain(compose("train", overrides=list(overrides)))


def _stores(config: dict[str, Any], team: Team = ALONE) -> Stores:
    """The stores of a configuration that asks for one."""
    from hskd_lightning.assets import Assets
    from hskd_lightning.experiment import Experiment

    console.quiet()
    experiment = Experiment.resolve(config)
    knowledge = experiment.settings.knowledge
    if not knowledge.stored:
        raise ConfigError("knowledge", knowledge.name, "offline, or logits", "leave knowledge out")
    return Assets(experiment, team).stores


def _plan(config: dict[str, Any], names: list[str], shard: str | None) -> None:
    from hskd_lightning.store.plan import plan_rows

    console.show_table(("", "this store"), plan_rows(_stores(config)))


def _build_by_all(config: dict[str, Any], settings: Settings) -> None:
    """Build a store on all of a cell's devices."""
    from hskd_lightning.follower import follow, follows  # here: the other commands need no Lightning

    if follows(settings.trainer):
        follow(settings.trainer, settings.threads)
        return
    with assembled(settings.trainer, settings.threads) as team:
        ours = _stores(config, team)
        print(ours.find() or ours.build())


def _build(config: dict[str, Any], names: list[str], shard: str | None) -> None:
    from hskd_lightning.knowledge.shards import shares
    from hskd_lightning.runs.device import check_devices

    ours = _stores(config)
    check_devices(ours.experiment.settings.trainer)
    if shard is None:
        _build_by_all(config, ours.experiment.settings)
        return
    part = _part(shard)
    request = ours.request
    if (folder := ours.partial(request)) is None:
        print(ours.folder / request.name)
        return
    writer = ours.writer(folder, request)
    writer.write(shares(len(writer.shards), part))
    print(f"part {shard} of store {request.name}: there; when all parts are, run finish")


def _part(shard: str) -> tuple[int, int]:
    try:
        number, of = map(int, shard.split("/"))
    except ValueError:
        number, of = 0, 0
    if not 1 <= number <= of:
        raise ConfigError("--shard", shard, "i/n with i from 1 to n", "write --shard 1/4 for the first of four parts")
    return number, of


def _finish(config: dict[str, Any], names: list[str], shard: str | None) -> None:
    ours = _stores(config)
    print(ours.complete(ours.request))


def _verify(config: dict[str, Any], names: list[str], shard: str | None) -> None:
    from hskd_lightning.knowledge.store import Store
    from hskd_lightning.knowledge.verify import recompute

    ours = _stores(config)
    given = ours.settings.store.path
    folder = Path(given) if given else _named(ours, names) or ours.find()
    if folder is None:
        remedy = f"build it: {command('store')} build, with the same overrides"
        raise ConfigError("store", "none", "a store that answers this configuration", remedy)
    ours.check_origin(folder)  # what it keeps is its own affair
    store = Store(folder)
    log.info("%s: %d files are what was written", folder, len(store.facts["shards"]) + (store.facts["fit"] is not None))
    for name, error in recompute(store, ours.writer(folder, store.request)).items():
        log.info("%s: relative error %.2e against the live teacher", name, error)
    print(f"{folder}: good")


def _named(ours: Stores, names: list[str]) -> Path | None:
    return _folder(ours.folder, names[0]) if names else None


def _info(config: dict[str, Any], names: list[str], shard: str | None) -> None:
    folder = _folder(_place(config), names[0]) if names else _stores(config).find()
    if folder is None:
        raise ConfigError("store", "none", "a store that answers this configuration", SEE)
    manifest = read_sealed(folder)
    print(json.dumps({**manifest["recipe"], **manifest["facts"], "seal": None}, indent=2))


def _list(config: dict[str, Any], names: list[str], shard: str | None) -> None:
    rows = []
    for folder, recipe, facts in stores(_place(config)):
        what = f"{facts['examples']:,} examples, {facts['bytes']:,} bytes: {Request.read(recipe)}"
        rows.append((folder.name, what))
    console.show_table(("store", str(_place(config))), rows)


def _rm(config: dict[str, Any], names: list[str], shard: str | None) -> None:
    for name in names:
        folder = _folder(_place(config), name)
        shutil.rmtree(folder)
        print(f"{folder}: removed")


def _push(config: dict[str, Any], names: list[str], shard: str | None) -> None:
    from hskd_lightning.knowledge.transfer import push
    from hskd_lightning.store.card import store_card

    url = _one(names, "push")
    ours = _stores(config)
    folder = ours.given() or ours.find()
    if folder is None:
        remedy = f"build it: {command('store')} build, with the same overrides"
        raise ConfigError("store", "none", "a store that answers this configuration", remedy)
    print(push(folder, url, store_card(folder, ours.experiment)))


def _pull(config: dict[str, Any], names: list[str], shard: str | None) -> None:
    from hskd_lightning.knowledge.transfer import pull

    print(pull(_one(names, "pull"), _place(config)))


def _one(names: list[str], command: str) -> str:
    if len(names) != 1:
        raise ConfigError(command, " ".join(names), "one address", f"write {command} s3://bucket/stores, or a folder")
    return names[0]


def _place(config: dict[str, Any]) -> Path:
    return Path(read_settings(config).paths.artifacts) / KIND


def _folder(root: Path, name: str) -> Path:
    """A store by its name, or by the first letters of it."""
    matching = [path for path in root.glob(f"{name}*") if path.is_dir()] if name.isalnum() else []
    if len(matching) != 1:
        raise ConfigError("store", name, f"one of the stores in {root}", SEE)
    return matching[0]


COMMANDS: dict[str, Callable[[dict[str, Any], list[str], str | None], None]] = {
    "plan": _plan,
    "build": _build,
    "finish": _finish,
    "verify": _verify,
    "info": _info,
    "list": _list,
    "rm": _rm,
    "push": _push,
    "pull": _pull,
}

if __name__ == "__main__":
    main()
