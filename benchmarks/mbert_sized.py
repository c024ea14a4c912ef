"""An mBERT-sized BERT with random weights, texts for it, and a memory with the spread of a trained model's."""

from __future__ import annotations

import random

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

VOCABULARY = 119_547
LENGTH = 32
_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")

# Measured on the queries of 4,000 English MASSIVE texts under a BERT of width 256 trained on their 18 scenarios: the
# mean row holds 0.17 of the squared length; 17 directions hold 0.989 of the variance about it, falling tenfold from the
# first to the last, and 60 clusters explain 0.78 of what is in them. Distance of two texts: median 1.30 lengths,
# to the nearest other text 0.29.
_MEAN_SHARE = 0.17
_STRONG = 17
_CLUSTERS = 60
_CLUSTER_SHARE = 0.78
# Twice the measured share outside those directions: a wider model has more of them.
_TAIL_SHARE = 0.02


def mbert_sized() -> tuple[BertForSequenceClassification, PreTrainedTokenizerFast]:
    """12 layers of width 768, two classes, and a tokenizer that knows the words ``w0``, ``w1``, …; always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertForSequenceClassification(BertConfig(vocab_size=VOCABULARY, num_labels=2))
    words = [*_MARKS, *(f"w{i}" for i in range(VOCABULARY - len(_MARKS)))]
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = WhitespaceSplit()
    core.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    marks = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), _MARKS, strict=True))
    return model.eval(), PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=LENGTH, **marks)


def random_text(rng: random.Random) -> str:
    """`LENGTH` tokens, the two marks included."""
    return " ".join(f"w{rng.randrange(VOCABULARY - len(_MARKS))}" for _ in range(LENGTH - 2))


def realistic_queries(anchor: Tensor, n: int, seed: int = 0) -> Tensor:
    """Draw queries [n, d] spread like those of a trained classifier, with `anchor` [d] as one of their kind.

    Drawn and not encoded: 40,000 texts through 12 layers take longer than the whole benchmark, and the [CLS] queries of
    random weights are nearly one point, on which every bound of `Loudest` would hold for ever. The cloud has the mean,
    the clusters and the covariance spectrum measured on a trained model (above), stretched to width d; every row has
    the anchor's length, as behind a layer norm, and the cloud is turned so that one row of it lies on the anchor.
    """
    generator = torch.Generator().manual_seed(seed)
    d, strong = len(anchor), _STRONG
    share = torch.cat([torch.logspace(0, -1, strong), torch.arange(strong, d).float().pow(-1.5)])
    share[:strong] *= (1 - _TAIL_SHARE) / share[:strong].sum()
    share[strong:] *= _TAIL_SHARE / share[strong:].sum()
    rows = torch.randn(n + 1, d, generator=generator)
    centres = torch.randn(_CLUSTERS, strong, generator=generator)
    centres = (centres - centres.mean(0)) / centres.std(0)
    kind = torch.randint(_CLUSTERS, (n + 1,), generator=generator)
    rows[:, :strong] = _CLUSTER_SHARE**0.5 * centres[kind] + (1 - _CLUSTER_SHARE) ** 0.5 * rows[:, :strong]
    rows *= ((1 - _MEAN_SHARE) * share).sqrt()
    # A random basis: Adam sees coordinates, and a cloud along the axes would be a special case.
    rows = rows @ torch.linalg.qr(torch.randn(d, d, generator=generator)).Q.T
    rows += _MEAN_SHARE**0.5 * torch.nn.functional.normalize(torch.randn(d, generator=generator), dim=0)
    rows = torch.nn.functional.normalize(rows, dim=1)
    # One reflection takes the last row to the anchor and keeps every distance.
    mirror = torch.nn.functional.normalize(rows[-1] - anchor / anchor.norm(), dim=0)
    rows = rows - 2 * (rows @ mirror).unsqueeze(1) * mirror
    return rows[:-1] * anchor.norm()
