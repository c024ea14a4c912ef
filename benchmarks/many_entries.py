"""What a hundred thousand edits that act by nearness cost: the time of a forward pass, and of one more edit.

A random mBERT-sized BERT, its memory random texts. Five edits are made; then the bank is filled with random entries to
each size, and new edits of texts that are encoded already are made behind them, all sizes in turn in one process. A
forward pass has 32 texts; a ratio is the median over rounds of (with entries ÷ without, in the same round).
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

# Spinning workers of an idle pool steal the core from whatever runs next; read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn import functional

import polypatch as pp
from mbert_sized import mbert_sized, random_text
from polypatch.edited_model import EditedModel
from serving import random_inputs, resident_mb
from tail import keep, processor

SIZES = (100, 1_000, 10_000, 100_000)
BATCH = 32
MEMORY = 2_000
EDITS = 8
"""New edits behind each size, in each round."""


def filled(tensors: dict[str, Tensor], owners: list[str], size: int) -> tuple[dict[str, Tensor], list[str]]:
    """The bank's tensors with random entries up to a size."""
    generator, count = torch.Generator().manual_seed(size), size - len(owners)
    keys, values = tensors["keys"], tensors["values"]
    more = {
        "keys": functional.normalize(torch.randn(count, keys.shape[1], generator=generator), dim=1),
        "values": 10 * torch.randn(count, values.shape[1], generator=generator),
        "offsets": tensors["offsets"].mean().expand(count),
        "homes": torch.zeros(count, dtype=torch.long),
    }
    grown = {name: torch.cat([tensors[name], rows]) for name, rows in more.items()}
    return {**tensors, **grown}, [*owners, *(f"random-{i}" for i in range(count))]


def edit_of(rng: random.Random, name: str) -> pp.Edit:
    return pp.Edit(name, {"en": random_text(rng)}, {"en": f"LABEL_{rng.randrange(2)}"})


def seconds_of_edits(edited: EditedModel, edits: list[pp.Edit]) -> list[float]:
    """One new edit after the other, and all taken back."""
    before = edited.delta.snapshot()
    spent = [outcome.seconds for outcome in edited.stream(edits)]
    edited.revert([edit.id for edit in edits])
    edited.delta.restore(before)
    return spent


@torch.no_grad()
def seconds_of_pass(edited: EditedModel, inputs: dict[str, Tensor]) -> float:
    start = time.perf_counter()
    edited.model(**inputs)
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    rng, (model, tokenizer) = random.Random(0), mbert_sized()
    inputs = random_inputs(BATCH)
    memory = {lang: [random_text(rng) for _ in range(MEMORY // 2)] for lang in ("en", "de")}
    edited = pp.attach(model, tokenizer=tokenizer, recipe="polypatch", memory=memory)
    edited.edit([edit_of(rng, f"first-{i}") for i in range(5)])
    tensors, owners = edited.delta.tensors(), list(edited.delta.owners)
    new = [edit_of(rng, f"new-{i}") for i in range(EDITS)]
    edited.tail.encode(edited.readout.rows([edit.prompt["en"] for edit in new]))
    passes, edits, loading, resident = defaultdict(list), defaultdict(list), {}, {}
    for _ in track(range(rounds), description="rounds"):
        for size in SIZES:
            used, start = resident_mb(), time.perf_counter()
            edited.delta.load_tensors(*filled(tensors, owners, size))
            loading[size], resident[size] = time.perf_counter() - start, resident_mb() - used
            seconds_of_pass(edited, inputs)  # caches are cold
            with_entries = seconds_of_pass(edited, inputs)
            with edited.site.bare():
                seconds_of_pass(edited, inputs)
                passes[size].append(with_entries / seconds_of_pass(edited, inputs))
            edits[size] += seconds_of_edits(edited, new)
            edited.delta.load_tensors(tensors, owners)
    middle = {size: statistics.median(spent) for size, spent in edits.items()}
    return {
        "forward pass, times the bare model's": {size: statistics.median(ratios) for size, ratios in passes.items()},
        "an edit, seconds": middle,
        f"an edit, times that behind {SIZES[0]}": {size: spent / middle[SIZES[0]] for size, spent in middle.items()},
        "loading, seconds": loading,
        "resident, MB": resident,
        "width": {"read": edited.site.read_size, "key": tensors["keys"].shape[1], "value": tensors["values"].shape[1]},
        "rounds": rounds,
        "threads": 1,
        "processor": processor(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    arguments = parser.parse_args()
    result = measure(arguments.rounds)
    Console().print_json(data=result)
    keep(result, arguments.out)


if __name__ == "__main__":
    main()
