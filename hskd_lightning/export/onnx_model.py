"""ONNX: written by torch's exporter, quantised and run by onnxruntime."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
TOLERANCE = 1e-4
"""Largest difference of a logit between PyTorch and the ONNX file that passes."""


def require_onnx() -> None:
    """Find out before any training whether ONNX can be written.

    Raises:
        ConfigError: a package is missing.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        fault = f"without {', '.join(missing)}"
        raise ConfigError("export", fault, "the packages of the extra `onnx`", "pip install 'hskd-lightning[onnx]'")


class OnnxModel:
    """An ONNX file in onnxruntime, on the CPU: batch -> (B, C) logits.

    Args:
        path: the file.
        threads: for one operation, as `torch.set_num_threads`.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [taken.name for taken in self.session.get_inputs()]

    def __call__(self, batch: TokenBatch) -> Tensor:
        given = {name: getattr(batch, name).numpy() for name in self.inputs}
        (logits,) = self.session.run(["logits"], given)
        return torch.from_numpy(logits)


class _Logits(nn.Module):
    """A classifier whose forward computes its logits and nothing else."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        return encoder.classify(self.model, {"input_ids": input_ids, "attention_mask": attention_mask, **types})


def write_onnx(model: PreTrainedModel, batch: TokenBatch, path: Path) -> None:
    """Write a classifier as ONNX, of any batch size and length.

    Args:
        batch: an example of what it reads, of at least two rows and two tokens.
    """
    inputs = encoder.model_inputs(model, batch)
    size, tokens = torch.export.Dim.DYNAMIC, torch.export.Dim.DYNAMIC
    shapes = {name: {0: size, 1: tokens} for name in inputs}
    with _quiet():
        torch.onnx.export(
            _Logits(model.eval()),
            kwargs=inputs,
            f=path,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    _strip(path)


def _strip(path: Path) -> None:
    """Take out what the exporter notes at every operation: stack traces, with the paths of this machine."""
    import onnx

    model = onnx.load(path)
    graphs = [model.graph, *model.functions]
    nodes = [node for graph in graphs for node in graph.node]
    for part in [model, *graphs, *nodes, *model.graph.value_info]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def write_int8(source: Path, path: Path) -> None:
    """Write an ONNX file again with its weights in int8, activations quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(source, path, weight_type=QuantType.QInt8)


def largest_difference(model: PreTrainedModel, written: OnnxModel, batches: Iterable[TokenBatch]) -> float:
    """The largest difference of any logit between PyTorch and ONNX over some batches."""
    with torch.inference_mode():
        return max(float((encoder.logits(model, batch) - written(batch)).abs().max()) for batch in batches)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' advice, on operators that are not used here, from the console."""
    noisy = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    levels = [logger.level for logger in noisy]
    for logger in noisy:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)
