"""What canonical shapes cost: passes of whole tiles, against batches of up to 32 texts as they come.

Three sizes of model. A text's query has the same bits in every pass of canonical shape; the price is a fuller pass for
one text alone, and smaller passes for many. The variants take turns in one process; the table has medians.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from mbert_sized import mbert_sized
from polypatch.sites import FeedForwardSite, FrozenTail
from polypatch.sites.encoding.encoder import Encoder
from polypatch.testing import tiny_model, tiny_texts
from polypatch.world import load_world
from tail import keep, processor

AS_THEY_COME = 32
MANY = 100_000


def as_they_come(encoder: Encoder, texts: list[str]) -> Tensor:
    """Queries from batches of one padded length and up to 32 texts: what canonical shapes replaced."""
    tokens, site = encoder.tokens, encoder.site
    rows = tokens.rows(texts)
    order = sorted(range(len(rows)), key=lambda i: -(-len(rows[i].tokens) // 8))
    queries = torch.empty(len(texts), site.hidden_size)
    with torch.no_grad(), site.evaluating():
        start = 0
        while start < len(order):
            length = -(-len(rows[order[start]].tokens) // 8)
            chosen = [i for i in order[start : start + AS_THEY_COME] if -(-len(rows[i].tokens) // 8) == length]
            queries[chosen] = encoder.pass_through([rows[i] for i in chosen])[0]
            start += len(chosen)
    return queries


def models(quick: bool) -> Iterator[tuple[str, tuple[nn.Module, PreTrainedTokenizerBase], list[str], int]]:
    """Name, model and tokenizer, texts, and rounds."""
    world = load_world()
    texts = [text for edit in world.data.edits[:100] for text in edit.prompt.values()]
    yield "world, 2 layers of 128", (world.model, world.tokenizer), texts, 5
    yield "4 layers of 256", tiny_model("bert", hidden=256, layers=4), tiny_texts(600), 5
    if not quick:
        rng, (model, tokenizer) = random.Random(0), mbert_sized()
        words = (" ".join(f"w{rng.randrange(9999)}" for _ in range(rng.randint(4, 28))) for _ in range(384))
        yield "mBERT-sized, 12 layers of 768", (model, tokenizer), list(words), 3


def seconds(run: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def measure(
    name: str, loaded: tuple[nn.Module, PreTrainedTokenizerBase], texts: list[str], rounds: int
) -> dict[str, Any]:
    """Medians, and ratios of them."""
    encoder = FrozenTail(FeedForwardSite(loaded[0]), loaded[1], check=False).encoder
    ways: dict[str, Callable[[list[str]], Tensor]] = {
        "before": lambda some: as_they_come(encoder, some),
        "now": encoder.queries,
    }
    gap = float((ways["before"](texts) - ways["now"](texts)).abs().max())
    told: dict[str, list[float]] = {}
    for i in range(rounds):
        for way, run in ways.items():
            told.setdefault(f"one, {way}", []).append(seconds(lambda run=run, i=i: run([texts[i]])))
            told.setdefault(f"many, {way}", []).append(seconds(lambda run=run: run(texts)) * MANY / len(texts))
    found = {key: statistics.median(values) for key, values in told.items()}
    ratios = {f"{what}, ratio": found[f"{what}, now"] / found[f"{what}, before"] for what in ("one", "many")}
    return {"model": name, "texts": len(texts), "rounds": rounds, "largest difference": gap, **found, **ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the mBERT-sized model")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(*one) for one in models(asked.quick)]
    table = Table("model", "one text, ms", "before", "100,000 texts, s", "before", "ratios", title="encoding")
    for row in rows:
        ones = [f"{1000 * row[f'one, {way}']:.1f}" for way in ("now", "before")]
        many = [f"{row[f'many, {way}']:.0f}" for way in ("now", "before")]
        table.add_row(row["model"], *ones, *many, f"{row['one, ratio']:.2f}, {row['many, ratio']:.2f}")
    Console(width=120).print(table)
    keep({"processor": processor(), "torch": torch.__version__, "rows": rows}, asked.out)


if __name__ == "__main__":
    main()
