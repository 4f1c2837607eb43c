"""The model card: what the student is, how to run it, how well it does, what it costs, where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from hskd_lightning.markdown import line, text
from hskd_lightning.runs.result import Result


def model_card(result: Result, forms: Sequence[Mapping[str, Any]], max_length: int, rosita: bool) -> str:
    """The text of README.md.

    Args:
        result: what the cell ended with.
        forms: the rows of export.json.
        max_length: tokens it was trained on; longer texts are cut there.
        rosita: whether transformers needs this package to know the architecture.
    """
    parts = [_front(result), _intro(result), _usage(max_length, rosita), _scores(result, forms), _origin(result)]
    return "\n".join(parts)


def _front(result: Result) -> str:
    scores = [
        EvalResult(
            task_type="text-classification",
            dataset_type=line(result.task),
            dataset_name=line(result.task),
            dataset_split=line(split),
            metric_type=line(metric),
            metric_value=round(value, 4),
        )
        for split, figures in result.dev.items()
        for metric, value in figures.items()
    ]
    card = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["knowledge-distillation", "hskd-lightning"],
        model_name=_name(result),
        eval_results=scores,
    )
    return f"---\n{card.to_yaml()}\n---\n"


def _name(result: Result) -> str:
    return line(f"{result.student}-{result.task}-{result.cell_id}")


def _intro(result: Result) -> str:
    student, task, teacher, metric = (
        text(name) for name in (result.student, result.task, result.teacher, result.metric)
    )
    return f"""# {text(_name(result))}

A {student} student of {result.parameters_student:,} parameters for the task {task}, distilled
from a {teacher} teacher of {result.parameters_teacher:,}. It scores {result.score:.4f} on dev
({metric}); its teacher scores {result.teacher_score:.4f}.
"""


def _usage(max_length: int, rosita: bool) -> str:
    known = "import hskd_lightning.models.rosita  # tells transformers what a ROSITA is\n" if rosita else ""
    return f"""## Use

```python
{known}from transformers import pipeline

classify = pipeline("text-classification", model="path/to/this/folder", truncation=True)
```

Or with onnxruntime and tokenizers alone:

```python
import numpy, onnxruntime, tokenizers

tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation({max_length})
session = onnxruntime.InferenceSession("onnx/model.onnx")  # or onnx/model_int8.onnx
text = tokenizer.encode("some text")  # a pair: tokenizer.encode("one text", "the other")
known = {{"input_ids": text.ids, "attention_mask": text.attention_mask, "token_type_ids": text.type_ids}}
(logits,) = session.run(["logits"], {{i.name: numpy.array([known[i.name]]) for i in session.get_inputs()}})
```
"""


def _scores(result: Result, forms: Sequence[Mapping[str, Any]]) -> str:
    lines = ["## Scores and costs", "", f"| | {text(result.metric)} | bytes |", "|---|---|---|"]
    lines += [f"| {text(form['form'])} | {form['score']:.4f} | {form['bytes']:,} |" for form in forms]
    return "\n".join([*lines, "", "Latencies are in export.json.", ""])


def _origin(result: Result) -> str:
    origin = {
        "Cell": result.cell_id,
        "Seed": result.seed,
        "First weights": result.student_init,
        "Knowledge": _knowledge(result),
        "Layers, student<-teacher": result.layer_map or "none",
        "Store": result.store or "none: the teacher was in the loop",
        "Data": f"{result.task}, digest {result.data_digest}",
        "Code": result.git_sha or "unknown commit",
        "Made with": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
    }
    lines = [f"- {name}: {text(value)}" for name, value in origin.items()]
    return "\n".join(["## Where it comes from", "", *lines, ""])


def _knowledge(result: Result) -> str:
    if not result.knowledge_scalars:
        return f"{result.knowledge}, no hidden states"
    kept = f"{result.knowledge_fraction:.2%} of the teacher's hidden states"
    if result.control:
        kept += f", replaced by the control {result.control}"
    return f"{kept} (depth {result.depth}, length {result.length}, width {result.width}), then its logits"
