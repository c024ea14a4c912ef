"""One short entry per model family: where its last feed-forward layer is, and how its head reads it.

This file and `feed_forward.py` are the only places that know Hugging Face module names. A family is added here by
one row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the table is listed without waiting for torch
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Family:
    """The names inside one post-LN encoder classifier.

    Attributes:
        classifier: the name of its class in transformers.
        layers: path of the list of encoder layers, from the model.
        up, down: the two linear maps of the FFN, from one layer: ``FFN(q) = down(act(up(q)))``.
        dropout, norm: what follows it: ``h = norm(dropout(FFN(q)) + q)``.
        activation: the configuration entry that names the FFN's activation.
        width: the configuration entry with the FFN's inner width, the same in every layer.
        head: (model, h of shape [n, hidden]) -> logits [n, classes]; the head's own dropout included.
        attention: the four attention matrices of one layer (what the released fine-tuning baseline trains as well).
    """

    classifier: str
    layers: str
    up: str
    down: str
    dropout: str
    norm: str
    activation: str
    width: str
    head: Callable[[nn.Module, Tensor], Tensor]
    attention: tuple[str, ...]

    @property
    def architecture(self) -> type[nn.Module]:
        """The classifier class; its instances and no others are accepted."""
        import transformers

        found: type[nn.Module] = getattr(transformers, self.classifier)
        return found


def _pooled_head(model: nn.Module, h: Tensor) -> Tensor:
    """BERT: tanh pooler on position 0, then the classifier."""
    pooled = model.bert.pooler(h.unsqueeze(1))  # type: ignore[operator, union-attr]
    return model.classifier(model.dropout(pooled))  # type: ignore[operator, no-any-return]


def _sequence_head(model: nn.Module, h: Tensor) -> Tensor:
    """RoBERTa, XLM-R and ELECTRA: the head module itself takes position 0 of a sequence."""
    return model.classifier(h.unsqueeze(1))  # type: ignore[operator, no-any-return]


def _distilbert_head(model: nn.Module, h: Tensor) -> Tensor:
    pooled = model.pre_classifier(h).relu()  # type: ignore[operator]
    return model.classifier(model.dropout(pooled))  # type: ignore[operator, no-any-return]


_BERT_ATTENTION = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
)


def _bert_like(classifier: str, encoder: str, head: Callable[[nn.Module, Tensor], Tensor]) -> Family:
    return Family(
        classifier=classifier,
        layers=f"{encoder}.encoder.layer",
        up="intermediate.dense",
        down="output.dense",
        dropout="output.dropout",
        norm="output.LayerNorm",
        activation="hidden_act",
        width="intermediate_size",
        head=head,
        attention=_BERT_ATTENTION,
    )


FAMILIES: dict[str, Family] = {
    "bert": _bert_like("BertForSequenceClassification", "bert", _pooled_head),
    "roberta": _bert_like("RobertaForSequenceClassification", "roberta", _sequence_head),
    "xlm-roberta": _bert_like("XLMRobertaForSequenceClassification", "roberta", _sequence_head),
    "electra": _bert_like("ElectraForSequenceClassification", "electra", _sequence_head),
    "distilbert": Family(
        classifier="DistilBertForSequenceClassification",
        layers="distilbert.transformer.layer",
        up="ffn.lin1",
        down="ffn.lin2",
        dropout="ffn.dropout",
        norm="output_layer_norm",
        activation="activation",
        width="hidden_dim",
        head=_distilbert_head,
        attention=("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"),
    ),
}
"""``config.model_type`` -> Family."""
