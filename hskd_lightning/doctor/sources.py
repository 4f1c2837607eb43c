"""The folders that GLUE_ROOT and HSKD_MINILM name: whether they hold what is read from them, by those who read it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from hskd_lightning.doctor.finding import Finding, note, ok, red

GLUE, MINILM = "GLUE_ROOT", "HSKD_MINILM"
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


def glue() -> Iterator[Finding]:
    """GLUE's own files: the first example of each.

    Raises:
        ConfigError: a file is missing, or is none of GLUE's.
    """
    from hskd_lightning.data.glue import Glue, tasks_in

    root = os.environ.get(GLUE)
    if root is None:
        yield ok(f"{GLUE} is not set: data=cola and its like come from the hub, or data.root=FOLDER")
        return
    tasks = tasks_in(Path(root))
    if not tasks:
        yield red(f"{GLUE}={root} has none of GLUE's folders, such as CoLA", f"correct it, or unset {GLUE}")
        return
    for task in tasks:
        Glue(task, root).check_beginnings()
    yield ok(f"{GLUE}: {', '.join(tasks)}")


def minilm() -> Iterator[Finding]:
    """The model of teacher=minilm: configuration, tokenizer and weights.

    Raises:
        ConfigError: one of them cannot be read.
    """
    path = os.environ.get(MINILM)
    if path is None:
        yield ok(f"{MINILM} is not set: teacher=minilm comes from the hub")
    elif os.path.isdir(path):
        yield ok(f"{MINILM}: {_read(path)}")
    elif HUB_ID.fullmatch(path):
        yield note(f"{MINILM}={path} is no folder here: it is taken for the name of a model on the hub")
    else:
        yield red(f"{MINILM}={path}: no such folder", f"correct it, or unset {MINILM} for the hub")


def _read(path: str) -> str:
    from hskd_lightning import console
    from hskd_lightning.data.vocabulary import load_tokenizer
    from hskd_lightning.models import encoder

    console.quiet()
    config = encoder.load_config(encoder.model_path(path, MINILM), MINILM)
    tokenizer = load_tokenizer(path, config)
    model = encoder.load_classifier(path, fresh_head=True, key=MINILM)
    return f"{encoder.count_parameters(model):,} parameters, a vocabulary of {len(tokenizer):,}"
