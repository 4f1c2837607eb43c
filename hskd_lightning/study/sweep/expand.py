"""From a sweep's blocks and the user's overrides to cells: each once, those that make no sense named with the reason.

blocks x seeds x overrides -> compose -> resolve -> PlannedCell
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from hskd_lightning.errors import ConfigError, OutOfReach
from hskd_lightning.experiment import Experiment
from hskd_lightning.settings import read_settings
from hskd_lightning.settings.sweeper import Block, SweeperSettings
from hskd_lightning.study.sweep import tuned
from hskd_lightning.study.sweep.compose import Compose
from hskd_lightning.study.sweep.plan import Plan, PlannedCell
from hskd_lightning.study.sweep.rates import Rates

Axis = list[str]
"""One axis as overrides: key=value for each of its values."""
CURVE = "curve"
"""The figure of a sweep that is no plan of sweeps/."""
FULL, KEPT = "full_hsk", ("seed", "depth", "length", "width", "hsk")
"""All hidden states, and what a block of it has no room for: the words that choose a part."""
CURVES = ("marginal_utility", "paths", "bits", "controls")
"""The figures that are to say how little is enough, and of what, which takes more seeds than to see what differs."""


def make_plan(settings: SweeperSettings, arguments: Sequence[str], compose: Compose) -> Plan:
    """The cells of a sweep.

    Args:
        settings: what the sweep is asked for.
        arguments: the user's overrides.

    Raises:
        ConfigError: overrides or blocks that cannot be expanded, a grid that nothing could be chosen from, or rates
            that were tuned for something else.
    """
    given = parse(arguments)
    composed = functools.cache(lambda overrides: compose(overrides))  # one setting may be in several figures
    asked_seeds = [_whole(each.removeprefix("seed=")) for each in given.get("seed", [])]
    cells: dict[tuple[str, str | None, str | None], PlannedCell] = {}
    asked = 0
    plans = plans_of(settings, given)
    to_be_tuned = set(plans) == {tuned.TUNE}
    rates = None if settings.tuned is None or to_be_tuned else Rates.read(Path(settings.tuned))
    for figure, (blocks, seeds) in plans.items():
        for setting in expand(blocks, given):
            setting = setting if rates is None else (*setting, *rates.of(read_settings(composed(setting)), setting))
            for overrides, config in _with_seeds(setting, composed(setting), asked_seeds or seeds):
                cell = resolve(figure, overrides, config)
                tuned.check(cell)
                cells.setdefault((figure, cell.id, cell.reason), cell)
                asked += 1
    ordered = sorted(cells.values(), key=lambda cell: cell.settings.seed if cell.settings else 0)
    return Plan(tuple(ordered), own_axes=not settings.plans, repeated=asked - len(ordered))


def _whole(seed: str) -> int:
    try:
        return int(seed)
    except ValueError:
        raise ConfigError("seed", seed, "a whole number, or several", "write seed=0,1,2") from None


def _with_seeds(
    setting: tuple[str, ...], config: Mapping[str, Any], seeds: Sequence[int]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """A setting with each seed. Nothing in conf/ is made from the seed, so it is put in rather than composed anew."""
    if not seeds:
        yield setting, config
    for seed in seeds:
        yield (*setting, f"seed={seed}"), {**config, "seed": seed}


def plans_of(settings: SweeperSettings, given: Mapping[str, Axis]) -> Mapping[str, tuple[list[Block], list[int]]]:
    """Blocks and seeds by figure: the plans of a file, the user's own axes, or the curve over `hsk.amount`."""
    if settings.plans:
        return {
            figure: (blocks, settings.curve_seeds if figure in CURVES else settings.seeds)
            for figure, blocks in settings.plans.items()
        }
    if any(len(axis) > 1 for key, axis in given.items() if key != "seed"):
        return {CURVE: ([{}], [])}
    baseline: list[Block] = [{"knowledge": "logits"}] if 0 in settings.amounts else []
    parts = [amount for amount in settings.amounts if 0 < amount < 1]
    curve: list[Block] = [{"hsk.amount": parts}] if parts else []
    full: list[Block] = (
        [{"experiment": FULL}] if 1 in settings.amounts else []
    )  # some rankings leave tokens out for ever
    return {CURVE: ([*baseline, *curve, *full], settings.seeds)}


def parse(arguments: Sequence[str]) -> dict[str, Axis]:
    """The user's overrides by key, each with all of its values."""
    axes: dict[str, Axis] = {}
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        axes[override.get_key_element().lstrip("+~")] = _values(override)
    return axes


def _values(override: Override) -> Axis:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        allowed = "values written out, such as 1,2,4 or range(1,5)"
        raise ConfigError(key, override.input_line, allowed, "write them out")
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def expand(blocks: Sequence[Mapping[str, Any]], given: Mapping[str, Axis]) -> list[tuple[str, ...]]:
    """Every combination of every block, in order; the seed is not one of its axes.

    What the user gave goes to every block, with three exceptions: it replaces a block's list of the same key, and then
    goes to the blocks with that key only; it yields to a block's single value, which is what the block is about
    (`knowledge: logits` is the baseline whatever the others are); and full HSK is full HSK, whatever layers, tokens and
    units the others keep.

    Args:
        blocks: axis -> value or list of values; under `zip`, axes that are walked in step.
        given: the user's overrides, see `parse`.
    """
    elsewhere = {key for block in blocks for key, values in _axes(block).items() if isinstance(values, list)}
    cells: list[tuple[str, ...]] = []
    for block in blocks:
        own = _axes(block)
        settled = KEPT if own.get("experiment") == FULL else ("seed",)
        taken = [key for key in given if (key in own or key not in elsewhere) and key.partition(".")[0] not in settled]
        cells += _combinations(block, {key: given[key] for key in taken})
    return cells


def _axes(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**block, **block.get("zip", {})}.items() if key != "zip"}


def _combinations(block: Mapping[str, Any], given: Mapping[str, Axis]) -> list[tuple[str, ...]]:
    own = {key: values for key, values in block.items() if key != "zip"}
    fixed = {key for key, values in own.items() if not isinstance(values, list)}
    axes: list[list[tuple[str, ...]]] = [
        [(override,) for override in axis] for key, axis in given.items() if key not in fixed
    ]
    axes += [
        [(written(key, value),) for value in _listed(values)]
        for key, values in own.items()
        if key in fixed or key not in given
    ]
    if "zip" in block:
        axes.append(_zipped({key: values for key, values in block["zip"].items() if key not in given}))
    return [tuple(itertools.chain.from_iterable(parts)) for parts in itertools.product(*axes)]


def _zipped(block: Mapping[str, Any]) -> list[tuple[str, ...]]:
    lengths = {key: len(_listed(values)) for key, values in block.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigError("hydra.sweeper.cells.zip", lengths, "lists of one length", "walk them in step, or cross them")
    columns = [[written(key, value) for value in _listed(values)] for key, values in block.items()]
    return list(zip(*columns, strict=True))


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def written(key: str, value: Any) -> str:
    """A value as Hydra's command line spells it."""
    if isinstance(value, bool) or value is None:
        return f"{key}={json.dumps(value)}"
    return f"{key}={json.dumps(value) if isinstance(value, list) else value}"


def resolve(figure: str, overrides: tuple[str, ...], config: Mapping[str, Any]) -> PlannedCell:
    """Give a cell its name, or the reason why it makes no sense."""
    try:
        experiment = Experiment.resolve(config)
    except ConfigError as error:
        out_of_reach = isinstance(error, OutOfReach)
        return PlannedCell(figure, overrides, config, None, reason=str(error), for_now=out_of_reach)
    return PlannedCell(figure, overrides, config, experiment.cell_id, experiment.settings)
