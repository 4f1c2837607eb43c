"""What a code of so many bytes a token loses of a real encoder's states. Needs GLUE_ROOT and HSKD_MINILM.

The share of the variance that is lost on tokens that the code was not fitted on; MiniLM's own states, on sentences of
SST-2. Beside the strategies of bits/ stands product quantisation (faiss's), plain and after a rotation fitted to it, to
tell whether it should be one of them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from benchmarks.measure import report
from hskd_lightning.compress.bits.base import BitsStrategy
from hskd_lightning.compress.bits.fp16 import Fp16
from hskd_lightning.compress.bits.int4 import Int4
from hskd_lightning.compress.bits.int8 import Int8
from hskd_lightning.compress.bits.planes import Planes
from hskd_lightning.compress.bits.residual import Residual
from hskd_lightning.data.glue import Glue
from hskd_lightning.data.loader import Collate, eval_loader
from hskd_lightning.data.split import limit
from hskd_lightning.data.tokens import tokenize
from hskd_lightning.data.vocabulary import load_tokenizer
from hskd_lightning.knowledge.teacher_source import sampled_states
from hskd_lightning.models.teacher import Teacher

BYTES = (2, 4, 8, 16, 32, 64)
STATES = (3, 6)
HELD_OUT = 8192
TURNS = 50
"""Rounds of fitting a rotation, as many as faiss makes unasked: eight lose a seventh more at 8 bytes, a fifth at 16."""
Said = Callable[[Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=32_768, help="that codes are fitted on")
    given = parser.parse_args()
    rows = []
    for state, states in _states(given.tokens + HELD_OUT):
        fitted_on, held_out = states[:-HELD_OUT], states[-HELD_OUT:]
        for name, size, make in _codes():
            started = time.perf_counter()
            said = make(fitted_on)
            between = time.perf_counter()
            lost = _lost(held_out, said(held_out))
            seconds = {
                "fit, s": between - started,
                "1,000 tokens, ms": (time.perf_counter() - between) / HELD_OUT * 1e6,
            }
            rows.append({"state": state, "code": name, "bytes a token": size, "variance lost": lost, **seconds})
            print(rows[-1], flush=True)
    report("bits_error", rows)


def _states(tokens: int) -> Iterator[tuple[int, Tensor]]:
    """(state, (N, D)) of so many real tokens."""
    folder = os.environ["HSKD_MINILM"]
    tokenizer = load_tokenizer(folder)
    train = tokenize(Glue("sst2", os.environ["GLUE_ROOT"]).load().train, tokenizer, 64)
    drawn = limit(train, 2 * tokens // int(train.lengths.double().mean()), 0)
    batches = eval_loader(Collate(drawn, tokenizer.pad_token_id), 256)
    with tempfile.TemporaryDirectory() as place:  # a head that nobody asks makes it a teacher
        AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(place)
        together = sampled_states(Teacher(place, [0, 1]), STATES, batches)
    order = torch.randperm(together.shape[1], generator=torch.Generator().manual_seed(0))[:tokens]
    return zip(STATES, together[:, order], strict=True)


def _codes() -> Iterator[tuple[str, int, Callable[[Tensor], Said]]]:
    for size in BYTES:
        yield "planes of all components", size, _with(Planes(8 * size), None)
        yield "residual", size, _with(Residual(size), None)
        yield "product", size, _product(size, turned=False)
        yield "product, turned", size, _product(size, turned=True)
        yield "components, int8", size, _with(Int8(), size)
        yield "components, int4", size, _with(Int4(), 2 * size)
        if size > 2:
            yield "components, fp16", size, _with(Fp16(), size // 2)


def _with(bits: BitsStrategy, components: int | None) -> Callable[[Tensor], Said]:
    def fit(values: Tensor) -> Said:
        mean, turned = values.mean(dim=0), _directions(values)[:, :components]
        code = bits.code(bits.fit(((values - mean) @ turned)[None]), turned.shape[1])
        return lambda other: code.decode(code.encode(((other - mean) @ turned)[None, None]))[0, 0] @ turned.T + mean

    return fit


def _directions(values: Tensor) -> Tensor:
    """(N, D) -> (D, D), by falling variance."""
    return torch.linalg.eigh(values.T.double().cov()).eigenvectors.flip(-1).float()


def _product(size: int, turned: bool) -> Callable[[Tensor], Said]:
    import faiss

    def fit(values: Tensor) -> Said:
        index: faiss.Index = faiss.IndexPQ(values.shape[1], size, 8)
        if turned:
            rotation = faiss.OPQMatrix(values.shape[1], size)
            rotation.niter = TURNS
            index = faiss.IndexPreTransform(rotation, index)
        index.train(values.contiguous().numpy())
        return lambda other: torch.from_numpy(index.sa_decode(index.sa_encode(other.contiguous().numpy())))

    return fit


def _lost(values: Tensor, said: Tensor) -> float:
    around = values - values.mean(dim=0)
    return float((said - values).square().sum() / around.square().sum())


if __name__ == "__main__":
    main()
