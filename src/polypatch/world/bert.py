"""The world's BERT, and the two starts without which it learns nothing in a minute."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from transformers import BertConfig, BertForSequenceClassification

from polypatch.world.claims import LABELS
from polypatch.world.config import WorldConfig

_WIDER = 4.0  # 0.02 -> 0.08, about 1/sqrt(128)


def new_bert(config: WorldConfig, vocabulary: int) -> BertForSequenceClassification:
    """A randomly initialised classifier (from the current torch random state) with the world's labels."""
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=vocabulary,
            hidden_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.hidden,
            max_position_embeddings=config.max_length,
            hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.1,
            id2label=dict(enumerate(LABELS)),
            label2id={label: index for index, label in enumerate(LABELS)},
            pad_token_id=0,
        )
    )


def cooccurrence(documents: Iterable[Iterable[int]], vocabulary: int) -> torch.Tensor:
    """Token × document counts, shape (vocabulary, documents), one column per parallel document."""
    columns = [torch.bincount(torch.tensor(list(ids)), minlength=vocabulary) for ids in documents]
    return torch.stack(columns, dim=1).double()


def lsi(counts: torch.Tensor, size: int, scale: float) -> torch.Tensor:
    """Latent semantic indexing: a row of `size` numbers per token, words that share parallel documents close together.

    Rows of log counts × inverse document frequency, projected on the leading singular vectors. The eigenvectors of the
    smaller Gram matrix give the same answer as an SVD at a tenth of the cost. Unseen tokens get zeros.
    """
    frequency = (counts > 0).sum(1, keepdim=True).clamp(min=1)
    weighted = counts.log1p() * (counts.shape[1] / frequency).log()
    weighted = weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)
    _, vectors = torch.linalg.eigh(weighted.T @ weighted)
    leading = vectors[:, -size:].flip(1)
    rows = weighted @ leading
    rows = torch.nn.functional.pad(rows, (0, size - rows.shape[1]))
    scaled: torch.Tensor = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-9) * scale
    return scaled.float()


@torch.no_grad()
def start_embeddings(model: BertForSequenceClassification, rows: torch.Tensor) -> None:
    """Add the LSI rows to the token embeddings: translations start as neighbours (the cross-lingual anchor)."""
    model.bert.embeddings.word_embeddings.weight.add_(rows)


@torch.no_grad()
def start_weights(model: BertForSequenceClassification) -> None:
    """Matrices of a size fit for a narrow model, and the mimetic attention start.

    BERT's 0.02 suits 768 units; at 128 it leaves every layer close to the identity for hundreds of steps. Attention
    starts with W_q, W_k += I, so that tokens attend to tokens like themselves, and with W_v orthogonal and
    W_o = W_vᵀ, so that they bring back what they found.
    """
    for layer in model.bert.encoder.layer:
        for name, weight in layer.named_parameters():
            if name.endswith("dense.weight") or (".self." in name and weight.dim() == 2):
                weight.mul_(_WIDER)
        attention = layer.attention
        for projection in (attention.self.query, attention.self.key):
            projection.weight.add_(torch.eye(len(projection.weight)))
        torch.nn.init.orthogonal_(attention.self.value.weight, gain=0.7)
        attention.output.dense.weight.copy_(attention.self.value.weight.T)
