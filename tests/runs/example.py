"""A result that no cell ended in, for whatever reads results."""

from __future__ import annotations

from typing import Any

from hskd_lightning.runs.result import Result

COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("task", "teacher", "student", "student_init", "preset", "metric"), "x"),
    **dict.fromkeys(("depth", "length", "width", "data_digest", "layer_map", "store", "git_sha"), "x"),
    **{"cell_id": "0123456789", "knowledge": "offline", "control": None, "hsk_amount": 0.1, "bits": "fp16"},
    **{"teacher_seed": 0, "teacher_weights": "x", "dev_examples": 2, "baseline": None, "hsk_path": "equal"},
    **{"seed": 0, "depth_keep": None, "length_keep": 0.5, "width_keep": 4, "width_masked": "ignore"},
    **{"knowledge_scalars": 8.0, "knowledge_bytes": 20.0, "knowledge_full_scalars": 80.0, "knowledge_fraction": 0.1},
    **{"knowledge_token_bits": 64, "knowledge_shared_bytes": 3.0, "bits_keep": None},
    **dict.fromkeys(("score", "score_last", "score_best"), 0.5),
    **{"selection_score": 0.75, "teacher_score": 1.0, "dev": {"dev": {"x": 0.5}}, "teacher_dev": {"dev": {"x": 1.0}}},
    **{"seconds_hidden": 2.0, "steps_hidden": 4, "seconds_prediction": 1.0, "steps_prediction": 2},
    **{"clipped_hidden": 0.25, "clipped_prediction": 0.5},
    **{"gpu": None, "peak_gpu_memory_mb": None},
    **{"peak_memory_mb": 100.0, "parameters_teacher": 1000, "parameters_student": 100, "versions": {"python": "3"}},
}


def a_result(**columns: Any) -> Result:
    """The result above, but for these columns."""
    return Result.of({**COLUMNS, **columns})
