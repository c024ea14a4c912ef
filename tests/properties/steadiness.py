"""A query's bits, asked in many ways: the same program in this process, and in others that play another processor.

``python steadiness.py THREADS [CHECKPOINT]`` prints one line per model that fails, and ends with ``looked at N``.
"""

import sys

import torch

from polypatch.sites import FeedForwardSite, FrozenTail, load_checkpoint
from polypatch.testing import tiny_model, tiny_texts

MODELS = [
    ("bert", {"hidden": 32}),
    ("bert", {"hidden": 128}),
    ("roberta", {"hidden": 300, "layers": 1}),
]
"""Widths that kernels like, and some that they do not."""

SOME = (2, 3, 9)
TEXTS = ["ba", "ba be", *tiny_texts(18, seed=4), "ba be bi bo bu " * 30]


def unsteady(model, tokenizer, max_length=None, texts=TEXTS):
    """In how many of the ways to ask a text's q has other bits than alone, and how many ways there were."""
    encoder = FrozenTail(FeedForwardSite(model), tokenizer, max_length=max_length, check=False).encoder
    rows = encoder.tokens.rows(texts)
    alone = torch.cat([encoder.queries([row]).q for row in rows])
    orders = [
        list(range(len(texts)))[::-1],
        torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist(),
    ]
    wrong = asked = 0
    for order in orders:
        for n in (len(texts), *SOME):
            chosen = order[:n]
            wrong += int((encoder.queries([rows[i] for i in chosen]).q != alone[chosen]).any(1).sum())
            asked += n
    passes = [encoder.everywhere(row).q for row in rows[:4]]
    unlike = sum(int((q != q[0]).any(1).sum()) for q in passes)
    return wrong + unlike, asked


def main(threads, checkpoint=None):
    torch.set_num_threads(int(threads))
    models = [(f"{family} {sizes}", tiny_model(family, **sizes)) for family, sizes in MODELS]
    models += [(f"{name} in float64", (model.double(), tokens)) for name, (model, tokens) in models[1:2]]
    if checkpoint:
        models.append((checkpoint, load_checkpoint(checkpoint)))
    total = 0
    for name, (model, tokenizer) in models:
        for limit in (None, 9):  # a limit that is no multiple of the bucket
            wrong, asked = unsteady(model, tokenizer, limit)
            total += asked
            if wrong:
                sys.stdout.write(f"{name}, limit {limit}: {wrong} of {asked}\n")
    sys.stdout.write(f"looked at {total}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
