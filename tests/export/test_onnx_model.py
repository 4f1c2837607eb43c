"""ONNX of every architecture: any batch, any length, to 1e-4."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from hskd_lightning.export.cost import random_batch
from hskd_lightning.export.onnx_model import OnnxModel, largest_difference, write_int8, write_onnx
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder, partial
from hskd_lightning.models.rosita import RositaConfig
from tests.models.tiny_models import COMMON, CONFIGS

pytestmark = pytest.mark.slow


def rosita() -> RositaConfig:
    return RositaConfig(**{**COMMON, "num_attention_heads": 2}, head_size=8, embedding_rank=5)


def rosita_of_three_heads() -> RositaConfig:
    """Which do not divide the hidden size."""
    return RositaConfig(**{**COMMON, "num_attention_heads": 3}, head_size=8, embedding_rank=5)


BUILDS: dict[str, Callable] = {**CONFIGS, "rosita": rosita, "rosita of three heads": rosita_of_three_heads}


@pytest.fixture
def batch() -> TokenBatch:
    made = random_batch(2, 7, 100)
    made.attention_mask[1, 4:] = 0
    return made


@pytest.fixture(params=BUILDS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    return encoder.build_classifier(BUILDS[request.param]()).eval()


def last_block_rows(path: Path) -> list[int]:
    """The tokens that the last block computes, by its matrix products: query, scores, context, output, and both of the
    feed-forward. 0 where the number is open.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    shapes = {info.name: info.type.tensor_type.shape.dim for info in graph.value_info}
    products = [shapes.get(node.output[0]) for node in graph.node if node.op_type == "MatMul"]
    rows = [shape[-2].dim_value for shape in products if shape is not None and len(shape) > 2]
    return [rows[-8], *rows[-5:]]  # between the query and the scores: key and value


def test_onnx_computes_what_pytorch_does(model: PreTrainedModel, batch: TokenBatch, tmp_path: Path) -> None:
    write_onnx(model, batch, tmp_path / "model.onnx")
    written = OnnxModel(tmp_path / "model.onnx")
    shapes = ((1, 1), (1, 38), (2, 7), (33, 5), (3, 12))
    others = [random_batch(*shape, 100) for shape in shapes]
    others[-1].attention_mask[1, 3:] = 0
    assert largest_difference(model, written, [batch, *others]) < 1e-4
    logits = written(batch)
    assert (logits[0] - logits[1]).abs().max() > 1e-3  # the inputs are looked at
    assert (last_block_rows(tmp_path / "model.onnx") == [1] * 6) == partial.knows(model)  # [CLS] alone


def test_a_difference_is_seen(batch: TokenBatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = encoder.build_classifier(rosita()).eval()
    write_onnx(model, batch, tmp_path / "model.onnx")
    with torch.no_grad():
        model.classifier.bias += 0.5
    assert largest_difference(model, OnnxModel(tmp_path / "model.onnx"), [batch]) == pytest.approx(0.5, abs=1e-4)


def test_int8_is_smaller_and_close(batch: TokenBatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = RositaConfig(vocab_size=2000, hidden_size=64, num_hidden_layers=2, embedding_rank=32, num_labels=2)
    model = encoder.build_classifier(config).eval()
    plain, int8 = tmp_path / "model.onnx", tmp_path / "int8.onnx"
    write_onnx(model, batch, plain)
    write_int8(plain, int8)
    assert int8.stat().st_size < 0.4 * plain.stat().st_size
    difference = largest_difference(model, OnnxModel(int8), [batch])
    assert 0 < difference < 0.1
