"""result.json: flat, complete, and all that a study reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def curve(result: Mapping[str, Any]) -> list[dict[str, float]]:
    """A cell's part of the marginal-utility curve: rows of `curve/fraction` and a score.

    Trackers' line plots know no reference lines, so what belongs to no single fraction of full HSK has a row at both
    ends: the teacher's `curve/teacher`, and a baseline's `curve/logits` or `curve/labels`. Other cells are points.
    """
    fraction = result["knowledge_fraction"]
    name, where = ("score", [fraction]) if fraction else (result["knowledge"], [0.0, 1.0])
    teacher = [{"curve/fraction": end, "curve/teacher": result["teacher_score"]} for end in (0.0, 1.0)]
    return teacher + [{"curve/fraction": at, f"curve/{name}": result["score"]} for at in where]
