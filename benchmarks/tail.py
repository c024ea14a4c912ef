"""The frozen tail against full forward passes, and time per edit as patches pile up, on an mBERT-sized BERT.

    python benchmarks/tail.py [--quick] [--out benchmarks/results/tail.json]

One MPN edit is a batch of two texts (the source and one other language) and 150 optimiser steps, the earliest stop of
the published rule, against a memory of 40,000 rows and a stopping memory of 10,000. Both sides run the same code and
the same losses; only the tail differs. Without views a batch is two rows (equal repeats are computed once, on both
sides), with 16 views it is sixteen rows, each in another dropout view.

Cached edits are run whole. A full edit would take minutes: it is run for a few steps and for a few more, and the
difference gives the price of a step; the file says of how many. Cached and full are run in turn, so that a drifting
machine slows both.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import Progress

from polypatch.deltas import PatchBank
from polypatch.editors import Lesson, Memory, MemoryRows, TPatcher
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward, Tail
from world_size import LENGTH, VOCABULARY, mbert_sized, random_text, realistic_queries

STEPS = 150
NEVER = 10**9


class Sizes(NamedTuple):
    """How much of everything."""

    memory: int = 40_000
    validation: int = 10_000
    repeats: int = 5
    few: int = 2
    more: int = 8
    patches: tuple[int, ...] = (0, 500, 1000, 2000)


QUICK = Sizes(memory=8_000, validation=2_000, repeats=1, few=1, more=3, patches=(0, 200))


class Bench:
    """The model, two texts, a memory and a bank, and the two ways to make an edit."""

    def __init__(self, sizes: Sizes) -> None:
        model, tokenizer = mbert_sized()
        self.sizes, self.rng = sizes, random.Random(0)
        self.site = FeedForwardSite(model)
        self.frozen = FrozenTail(self.site, tokenizer)
        self.full = FullForward(self.site, tokenizer)
        self.texts = [random_text(self.rng) for _ in range(2)]
        rows = realistic_queries(self.frozen.queries(self.texts)[0], sizes.memory + sizes.validation)
        self.rows = rows.split([sizes.memory, sizes.validation])
        self.bank = PatchBank(self.site.hidden_size, self.site.activation_name)
        self.memory = Memory(*(MemoryRows([""] * len(part), part) for part in self.rows))

    def edit(self, tail: Tail, views: int, steps: int) -> float:
        """Seconds of one edit of exactly so many steps; what it leaves behind is taken back."""
        editor = TPatcher(views=views, max_steps=steps, first_validation=NEVER)
        before = self.bank.snapshot(), self.memory.snapshot()
        # Wrong on purpose: no step is spared.
        lesson = Lesson("edit", self.texts, [1, 1], lambda: (0, 1), torch.Generator().manual_seed(0))
        started = time.perf_counter()
        fit = editor.learn(self.bank, lesson, tail, self.memory)
        seconds = time.perf_counter() - started
        assert fit.steps == steps, fit
        self.bank.restore(before[0])
        self.memory.restore(before[1])
        return seconds

    def full_edit(self, views: int) -> float:
        """Seconds of a full edit of `STEPS` steps, from two short ones."""
        few, more = (self.edit(self.full, views, steps) for steps in (self.sizes.few, self.sizes.more))
        per_step = (more - few) / (self.sizes.more - self.sizes.few)
        return few + (STEPS - self.sizes.few) * per_step

    def pile_up(self, patches: int) -> None:
        """Grow bank and memory to so many past edits, two texts each, as eight rows each in the memory."""
        missing = patches - self.bank.patches
        if missing <= 0:
            return
        generator = torch.Generator().manual_seed(patches)
        rows = self.rows[0][torch.randint(len(self.rows[0]), (2 * missing,), generator=generator)]
        rows = rows + 0.1 * torch.randn(rows.shape, generator=generator)
        for i in range(missing):
            key = rows[2 * i] / rows[2 * i].square().sum()
            self.bank.append(f"past-{self.bank.patches}", key, torch.tensor(-5.0), 0.01 * rows[2 * i + 1])
        self.memory.append([""] * len(rows), rows, TPatcher().memory_copies)


def speed(bench: Bench, progress: Progress) -> dict[str, dict[str, float]]:
    found = {}
    for views in (0, 16):
        bench.edit(bench.frozen, views, 5)  # warm-up
        cached, full = [], []
        for _ in progress.track(range(bench.sizes.repeats), description=f"cached and full, {views} views"):
            cached.append(bench.edit(bench.frozen, views, STEPS))
            full.append(bench.full_edit(views))
        ratios = [slow / fast for slow, fast in zip(full, cached, strict=True)]
        found[f"views{views}"] = {
            "cached": statistics.median(cached),
            "full": statistics.median(full),
            "speedup": statistics.median(ratios),
            "speedup_least": min(ratios),
            "speedup_most": max(ratios),
        }
    return found


def growth(bench: Bench, progress: Progress) -> dict[int, float]:
    """Seconds of a cached edit (no views) by the number of patches, relative to an edit of the bare model in turn."""
    bare = without_edits(bench)
    ratios: dict[int, float] = {}
    for patches in progress.track(bench.sizes.patches, description="time per edit as patches pile up"):
        bench.pile_up(patches)
        pairs = [
            (bench.edit(bench.frozen, 0, STEPS), bare.edit(bare.frozen, 0, STEPS)) for _ in range(bench.sizes.repeats)
        ]
        ratios[patches] = statistics.median(grown / empty for grown, empty in pairs)
    return ratios


def without_edits(bench: Bench) -> Bench:
    """The same bench with an empty bank and a memory of its own, sharing the model and the encoded texts."""
    fresh = object.__new__(Bench)
    fresh.__dict__ |= bench.__dict__
    fresh.bank = PatchBank(bench.site.hidden_size, bench.site.activation_name)
    fresh.memory = Memory(*(MemoryRows([""] * len(part), part) for part in bench.rows))
    return fresh


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small memory, one repeat: to see that it runs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tail.json"))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    sizes = QUICK if args.quick else Sizes()
    with Progress() as progress:
        bench = Bench(sizes)
        found = speed(bench, progress)
        grown = growth(bench, progress)
    result = {
        "speedup": {name: round(row["speedup"], 1) for name, row in found.items()},
        "seconds_per_edit": {side: round(found["views0"][side], 3) for side in ("cached", "full")},
        "growth_2000": round(grown[max(grown)], 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "all": {name: {key: round(value, 3) for key, value in row.items()} for name, row in found.items()},
        "growth": {str(patches): round(ratio, 2) for patches, ratio in grown.items()},
        "setting": {
            "model": f"BERT 12 x 768, vocabulary {VOCABULARY}, length {LENGTH}, random weights",
            "memory": sizes.memory,
            "validation_memory": sizes.validation,
            "steps": STEPS,
            "full_steps_timed": sizes.more - sizes.few,
            "repeats": sizes.repeats,
            "threads": args.threads,
            "quick": args.quick,
        },
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    Console().print_json(data=result)


if __name__ == "__main__":
    main()
