"""ROSITA (arXiv 2103.11367): a BERT with fewer heads, a narrower feed-forward and a factorised word embedding, its
hidden size still the teacher's. A Hugging Face model class: import this module, and `AutoModel...` knows it.
"""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
)
from transformers.models.bert.modeling_bert import BertPreTrainedModel, BertSelfAttention


@strict
class RositaConfig(BertConfig):
    """BERT's configuration, and what pruning took apart.

    Attributes:
        head_size: of each attention head; heads x head_size need not be the hidden size.
        embedding_rank: of the word embedding, vocabulary x rank then rank x hidden; None leaves it whole.
    """

    model_type = "rosita"

    head_size: int = 64
    embedding_rank: int | None = 128
    num_hidden_layers: int = 6
    num_attention_heads: int = 2
    intermediate_size: int = 768

    @property
    def embedding_size(self) -> int:
        """Width of the word embedding before it is widened, as ELECTRA calls it.

        It also keeps transformers from refusing 5 of 12 heads: BERT's attention wants its heads to divide the hidden
        size, unless the configuration has such a width. Here they need not: `head_size` is their own.
        """
        return self.hidden_size if self.embedding_rank is None else self.embedding_rank


class FactorisedEmbedding(nn.Module):
    """Word embedding as the product of two: (vocabulary, rank) by row, then rank -> hidden."""

    def __init__(self, config: RositaConfig) -> None:
        super().__init__()
        assert config.embedding_rank is not None
        self.factors = nn.Embedding(config.vocab_size, config.embedding_rank, padding_idx=config.pad_token_id)
        self.widen = nn.Linear(config.embedding_rank, config.hidden_size, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        widened: Tensor = self.widen(self.factors(input_ids))
        return widened


class RositaPreTrainedModel(BertPreTrainedModel):
    """What ROSITA models have in common: transformers reads their configuration as a `RositaConfig`."""

    config_class = RositaConfig
    config: RositaConfig


class RositaModel(RositaPreTrainedModel, BertModel):
    """The ROSITA encoder: embeddings of low rank, and pruned blocks."""

    def __init__(self, config: RositaConfig, add_pooling_layer: bool = True) -> None:
        BertModel.__init__(self, config, add_pooling_layer)
        _narrow(self, config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        words = self.embeddings.word_embeddings
        return words.factors if isinstance(words, FactorisedEmbedding) else words

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        words = self.embeddings.word_embeddings
        if isinstance(words, FactorisedEmbedding):
            words.factors = value
        else:
            self.embeddings.word_embeddings = value


class RositaForSequenceClassification(RositaPreTrainedModel, BertForSequenceClassification):
    """The ROSITA encoder with BERT's pooler and classification head."""

    def __init__(self, config: RositaConfig) -> None:
        BertForSequenceClassification.__init__(self, config)
        _narrow(self.bert, config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        words = self.bert.embeddings.word_embeddings
        return words.factors if isinstance(words, FactorisedEmbedding) else words


def _narrow(model: BertModel, config: RositaConfig) -> None:
    """Replace the parts of a BERT that ROSITA has smaller."""
    if config.embedding_rank is not None:
        model.embeddings.word_embeddings = FactorisedEmbedding(config)
    width = config.num_attention_heads * config.head_size
    for number, block in enumerate(model.encoder.layer):
        block.attention.self = RositaSelfAttention(config, layer_idx=number)
        block.attention.output.dense = nn.Linear(width, config.hidden_size)


class RositaSelfAttention(BertSelfAttention):
    """BERT's self-attention with heads of a size of their own."""

    def __init__(self, config: RositaConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.attention_head_size = config.head_size
        self.all_head_size = config.num_attention_heads * config.head_size
        self.scaling = config.head_size**-0.5
        self.query, self.key, self.value = (nn.Linear(config.hidden_size, self.all_head_size) for _ in range(3))


AutoConfig.register(RositaConfig.model_type, RositaConfig)
AutoModel.register(RositaConfig, RositaModel)
AutoModelForSequenceClassification.register(RositaConfig, RositaForSequenceClassification)
