"""A study that nobody ran, in the columns of results.csv.

score = floor + gain * (1 - exp(-amount / scale)) + noise of the seed
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from tests.helpers import CONF, options

UNITS, TOKENS, PAIRS = 128, 10.5, 5
FULL = PAIRS * TOKENS * UNITS  # 6720 scalars an example
TASK = {"task": "polarity", "metric": "accuracy", "teacher": "tiny", "preset": "default", "git_sha": "0123abc"}
STUDENTS = {
    "tiny": {"student": "tiny", "student_init": "random", "floor": 0.72, "gain": 0.22, "scale": 350.0},
    "layer_drop": {"student": "layer_drop", "student_init": "first", "floor": 0.80, "gain": 0.15, "scale": 250.0},
}
DEFAULT = {"depth": "uniform", "depth_top": np.nan, "length": "attention_no_sep", "width": "pca"}
CONTROLS = [name for name in options("control") if name != "none"]
LENGTHS = [name for name in options("length") if name != "all"]
SWITCHES = [str(key) for key in OmegaConf.load(CONF / "preset/default.yaml") if key != "name"]
ALL = {"depth": "all", "length": "all", "width": "all"}


def toy_study(seeds: int = 5, noise: float = 0.004) -> pd.DataFrame:
    """Every figure of a finished study of two students. One cell has one score, in however many figures it is."""
    dice = np.random.default_rng(0)
    cells: dict[str, dict[str, Any]] = {}
    rows = []
    for figure, asked in _cells():
        verdict = asked.pop("confirmed", None)
        for seed in range(seeds):
            key = f"{asked} {seed}"
            if key not in cells:
                cells[key] = {**_ran(asked, seed, noise, dice), "cell_id": f"{len(cells) + 1:08x}"}
            rows.append({"figure": figure, **cells[key], "confirmed": verdict})
    return pd.DataFrame(rows)


def _ran(asked: dict[str, Any], seed: int, noise: float, dice: np.random.Generator) -> dict[str, Any]:
    cell = {**TASK, **asked}
    student = STUDENTS[cell["student"]]
    gain = student["gain"] * (1 - np.exp(-cell["knowledge_scalars"] / student["scale"]))
    level = noise * np.sin(7 * seed + len(cell["student"]))
    score = student["floor"] + gain + cell.pop("bonus", 0.0) + level + dice.normal(0, noise)
    return {**cell, **_measured(cell, dice), "seed": seed, "score": round(score, 5)}


def _measured(cell: dict[str, Any], dice: np.random.Generator) -> dict[str, Any]:
    slow = 3.1 if cell["knowledge"] == "online" else 1.0
    hidden = cell["knowledge"] not in ("logits", "labels")
    return {
        "knowledge_bytes": cell.get("knowledge_bytes", 2.1 * cell["knowledge_scalars"]),
        "knowledge_fraction": cell["knowledge_scalars"] / FULL,
        "teacher_score": 0.975,
        "steps_hidden": 940 if hidden else np.nan,
        "steps_prediction": 470 if hidden else 1410,
        "seconds_hidden": slow * dice.normal(8, 0.3) if hidden else np.nan,
        "seconds_prediction": slow * dice.normal(3.4, 0.15) * (1 if hidden else 3),
    }


def _cells() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in STUDENTS:
        for figure, cell in _of_student(name):
            yield figure, {"student": name, "student_init": STUDENTS[name]["student_init"], **cell}


def _of_student(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    figures = {"marginal_utility": _amounts, "depth": _depth, "length": _length, "width": _width, "joint": _joint}
    figures |= {"bits": _bits, "paths": _paths, "quirks": _quirks, "controls": _controls, "efficiency": _efficiency}
    figures |= {"search": _searched, "minimum": _confirmed}
    for figure, cells in figures.items():
        yield figure, {"knowledge": "logits", "knowledge_scalars": 0.0}
        yield figure, {"knowledge": "offline", **ALL, "knowledge_scalars": FULL}
        for cell in cells():
            yield figure, {"knowledge": "offline", **cell}
    if name == "tiny":
        for keep in (1, 2, 4, 8):
            yield "curve", {"knowledge": "offline", **DEFAULT, "length_keep": keep, "knowledge_scalars": keep * 70.0}


def _amounts() -> Iterator[dict[str, Any]]:
    for amount in (0.01, 0.03, 0.1, 0.2, 0.5):
        keeps = {"depth_keep": 1 + int(4 * amount), "length_keep": amount**0.5, "width_keep": amount**0.5}
        yield {**DEFAULT, **keeps, "hsk_amount": amount, "knowledge_scalars": amount * FULL}


def _depth() -> Iterator[dict[str, Any]]:
    for top, worse in ((8 / 12, 0.0), (10 / 12, -0.012), (1.0, -0.02)):
        for keep in (1, 2, 3, 5):
            layers = ", ".join(f"{state}<-{state}" for state in range(keep))
            cell = {**ALL, "depth": "uniform", "depth_top": top, "depth_keep": keep, "layer_map": layers}
            yield {**cell, "knowledge_scalars": keep * TOKENS * UNITS, "bonus": worse}


def _length() -> Iterator[dict[str, Any]]:
    for number, strategy in enumerate(LENGTHS):
        for keep in (1, 2, 4, 8):
            cell = {**ALL, "length": strategy, "length_keep": keep}
            yield {**cell, "knowledge_scalars": PAIRS * keep * UNITS, "bonus": -0.01 * number / keep}


def _width() -> Iterator[dict[str, Any]]:
    for strategy, masked in (
        ("magnitude_mask", "ignore"),
        ("magnitude_mask", "zero"),
        ("random_mask", "ignore"),
        ("pca", None),
    ):
        for keep in (0.05, 0.1, 0.25, 0.5):
            cell = {**ALL, "width": strategy, "width_masked": masked, "width_keep": keep}
            worse = {"zero": -0.05, "ignore": -0.01, None: 0.0}[masked] * (1 - keep)
            yield {**cell, "knowledge_scalars": keep * FULL, "bonus": worse}


def _joint() -> Iterator[dict[str, Any]]:
    for layers in (1, 2, 3):
        for tokens in (1, 3, 6):
            for units in (0.1, 0.3, 1.0):
                keeps = {"depth_keep": layers, "length_keep": tokens, "width_keep": units}
                amount = layers * tokens * units * UNITS
                yield {**DEFAULT, **keeps, "knowledge_scalars": amount, "bonus": 0.01 * (tokens - 3) / 6}


def _searched() -> Iterator[dict[str, Any]]:
    for tokens in (0.1, 0.3, 0.6):
        yield {**DEFAULT, "depth_keep": 1, "length_keep": tokens, "knowledge_scalars": tokens * TOKENS * UNITS}


def _confirmed() -> Iterator[dict[str, Any]]:
    for cell, verdict in zip(_searched(), ("not shown", "shown", "shown"), strict=True):
        yield {**cell, "confirmed": verdict}


def _default() -> dict[str, Any]:
    keeps = {"depth_keep": 1, "length_keep": 0.55, "width_keep": 0.55}
    return {**DEFAULT, **keeps, "hsk_amount": 0.1, "knowledge_scalars": 541.0}


def _bits() -> Iterator[dict[str, Any]]:
    yield {**_default(), "bits": "fp16", "knowledge_token_bits": 1120, "knowledge_bytes": 820.0}
    for strategy, worse in (("planes", 1.0), ("residual", 0.4)):
        for spent in (32, 64, 128, 256):
            keep = spent if strategy == "planes" else spent // 8
            cost = {"knowledge_token_bits": spent, "knowledge_bytes": 5.8 * (spent / 8 + 2)}
            yield {**_default(), **cost, "bits": strategy, "bits_keep": keep, "bonus": -0.6 * worse / spent}


def _paths() -> Iterator[dict[str, Any]]:
    for path, effect in (("equal", 0.0), ("tokens_first", 0.02), ("units_first", -0.02)):
        for amount in (0.01, 0.03, 0.1, 0.3):
            keeps = {"depth_keep": 1, "length_keep": amount**0.5, "width_keep": amount**0.5}
            cell = {**DEFAULT, **keeps, "hsk_amount": amount, "hsk_path": path, "knowledge_scalars": amount * FULL}
            yield {**cell, "bonus": effect}


def _quirks() -> Iterator[dict[str, Any]]:
    yield _default()
    for switch, effect in zip(SWITCHES, (-0.006, -0.011, -0.035, 0.0, 0.001), strict=False):
        yield {**_default(), "knowledge": "online", "quirk": switch, "bonus": effect}


def _controls() -> Iterator[dict[str, Any]]:
    yield _default()
    for number, control in enumerate(CONTROLS, start=1):
        yield {**_default(), "control": control, "bonus": -0.04 * number}


def _efficiency() -> Iterator[dict[str, Any]]:
    yield _default()
    yield {**_default(), "knowledge": "online"}
