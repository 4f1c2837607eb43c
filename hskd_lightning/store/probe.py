"""How long a teacher pass will take, from a short look at a model of its shape."""

from __future__ import annotations

import time

import torch
from transformers import PreTrainedConfig

from hskd_lightning.data.loader import collate
from hskd_lightning.data.split import shuffled
from hskd_lightning.knowledge.writer import BATCH, Contents
from hskd_lightning.models import encoder

BATCHES = 3


@torch.inference_mode()
def seconds_to_read(teacher: PreTrainedConfig, contents: Contents, tokens: int) -> float:
    """Seconds for a teacher of this shape (random weights: it need not exist yet) to read `tokens` real tokens."""
    model = encoder.build_classifier(teacher).eval().to(contents.device)
    rows = shuffled(len(contents.split), seed=0)[: BATCH * BATCHES]
    rows = rows[contents.split.lengths_of(rows).argsort()]
    batches = [
        collate(contents.split, part, contents.pad_id, contents.pad_to).to(contents.device)
        for part in rows.split(BATCH)
    ]
    read = [state for state, _ in contents.request.layers]
    encoder.states_and_logits(model, batches[0], read)  # the first call sets things up
    started = time.perf_counter()
    for batch in batches:
        encoder.states_and_logits(model, batch, read)
    if contents.device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) * tokens / int(contents.split.lengths_of(rows).sum())
