"""The configuration of one tiny model of each supported architecture."""

from __future__ import annotations

from collections.abc import Callable

from transformers import (
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PreTrainedConfig,
    RobertaConfig,
)

COMMON = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
IDS = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
DISTIL = {
    "vocab_size": 100,
    "dim": 32,
    "n_layers": 3,
    "n_heads": 4,
    "hidden_dim": 48,
    "initializer_range": 0.2,
}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
CONFIGS: dict[str, Callable[..., PreTrainedConfig]] = {
    "bert": lambda **more: BertConfig(**COMMON, **more),
    "roberta": lambda **more: RobertaConfig(**COMMON, type_vocab_size=1, **more),
    "electra": lambda **more: ElectraConfig(**COMMON, embedding_size=16, **more),
    "distilbert": lambda **more: DistilBertConfig(**DISTIL, **more),
    "deberta-v2": lambda **more: DebertaV2Config(**COMMON, **RELATIVE, type_vocab_size=0, **more),
    "modernbert": lambda **more: ModernBertConfig(**COMMON, **IDS, **more),
}
