"""What patches cost where the model serves: the time of a forward pass, and memory, against the model without them.

A random mBERT-sized BERT with 0 to 10,000 random patches beside its last FFN. All variants, the model without hooks
among them, take turns in one process, in a new order every round; a ratio is the median over rounds of (with patches ÷
without, in the same round), because the machine's own speed changes more from minute to minute than the patches cost.
The hooks are timed alone as well, right after a forward pass, when the processor's cache holds none of the patches.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

# Spinning workers of an idle pool steal the core from whatever runs next; read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor

from mbert_sized import LENGTH, VOCABULARY, mbert_sized
from polypatch.deltas import PatchBank
from polypatch.sites import FeedForwardSite
from polypatch.sites.hooks import Hooks
from tail import keep, processor

PATCHES = (0, 100, 1_000, 10_000)
BATCHES = {1: 8, 32: 1}
"""Batch size -> forward passes per turn, of which the fastest counts."""

Seconds = dict[tuple[int, int | None], list[float]]
"""(batch size, patches, or None for the model without hooks) -> one number a round."""

TARGETS = {1_000: 1.02, 10_000: 1.05}
"""Patches -> the highest ratio we allow ourselves at batch 32."""


class Bench:
    """One model, and a bank for every number of patches."""

    def __init__(self) -> None:
        self.site = FeedForwardSite(mbert_sized()[0])
        self.resident: dict[int, float] = {}
        self.append_seconds: dict[int, float] = {}
        self.banks: dict[int, PatchBank] = {}
        self.inputs = {size: random_inputs(size) for size in BATCHES}
        self.seconds(max(BATCHES), None)
        for n in PATCHES:
            before, start = resident_mb(), time.perf_counter()
            self.banks[n] = random_bank(self.site, n)
            self.append_seconds[n] = time.perf_counter() - start
            self.seconds(max(BATCHES), n)
            self.resident[n] = resident_mb() - before

    def seconds(self, batch: int, patches: int | None) -> float:
        """One forward pass; `patches=None` is the model without any hook."""
        if patches is not None:
            self.site.attach(self.banks[patches], {})
        try:
            return min(self._once(batch) for _ in range(BATCHES[batch]))
        finally:
            self.site.detach()

    @torch.no_grad()
    def alone(self, batch: int, patches: int) -> float:
        """What the hooks add to a forward pass, by themselves."""
        sequence, hooks = torch.randn(batch, LENGTH, self.site.hidden_size), Hooks(self.site.model, self.site.anatomy)
        hooks.attached = self.banks[patches]
        start = time.perf_counter()
        hooks.keep_query(hooks.up, (sequence,), {})
        hooks.apply(hooks.down, (), sequence)
        return time.perf_counter() - start

    @torch.no_grad()
    def _once(self, batch: int) -> float:
        start = time.perf_counter()
        self.site.model(**self.inputs[batch])
        return time.perf_counter() - start


def random_inputs(size: int) -> dict[str, Tensor]:
    ids = torch.randint(4, VOCABULARY, (size, LENGTH), generator=torch.Generator().manual_seed(size))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def random_bank(site: FeedForwardSite, n: int) -> PatchBank:
    """Patches of the size that learned ones have: key·query about 1 for its own text, values about ten times a unit."""
    generator, bank = torch.Generator().manual_seed(n), PatchBank(site.hidden_size, site.activation_name)
    for i in range(n):
        key, value = torch.randn(2, site.hidden_size, generator=generator)
        bank.append(str(i), key / site.hidden_size, torch.tensor(-3.0), 10 * value)
    return bank


def resident_mb() -> float:
    """Memory of this process that is in use now; nothing where the system does not say."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20 if pages.exists() else float("nan")


def measure(bench: Bench, rounds: int) -> tuple[Seconds, Seconds]:
    """Seconds of whole forward passes and of the hooks alone, one number a round."""
    rng, seconds, alone = random.Random(0), defaultdict(list), defaultdict(list)
    with Progress(transient=True) as progress:
        for _ in progress.track(range(rounds), description="rounds"):
            for batch in BATCHES:
                turns: list[int | None] = [None, *PATCHES]
                rng.shuffle(turns)
                for patches in turns:
                    seconds[batch, patches].append(bench.seconds(batch, patches))
                    if patches is not None:
                        alone[batch, patches].append(bench.alone(batch, patches))
    return seconds, alone


def run(rounds: int) -> dict[str, object]:
    bench = Bench()
    seconds, alone = measure(bench, rounds)
    ratios = {
        (batch, n): [time / base for time, base in zip(seconds[batch, n], seconds[batch, None], strict=True)]
        for batch in BATCHES
        for n in PATCHES
    }

    def table(figure: Callable[[list[float]], object]) -> dict[str, dict[str, object]]:
        return {str(batch): {str(n): figure(ratios[batch, n]) for n in PATCHES} for batch in BATCHES}

    return {
        "ratio": table(lambda rows: round(statistics.median(rows), 4)),
        "ratio_quartiles": table(lambda rows: [round(cut, 4) for cut in statistics.quantiles(rows)[::2]]),
        "extra_mb": {
            str(n): round(sum(t.nbytes for t in bank.buffers()) / 2**20, 2) for n, bank in bench.banks.items()
        },
        "resident_mb": {str(n): round(grown, 1) for n, grown in bench.resident.items()},
        "base_ms": {str(batch): round(1e3 * statistics.median(seconds[batch, None]), 2) for batch in BATCHES},
        "hooks_alone_ms": {
            str(batch): {str(n): round(1e3 * statistics.median(alone[batch, n]), 3) for n in PATCHES}
            for batch in BATCHES
        },
        "append_seconds": {str(n): round(taken, 3) for n, taken in bench.append_seconds.items()},
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "processor": processor(),
    }


def show(result: dict) -> None:
    table = Table("patches", *(f"batch {batch}" for batch in BATCHES), "extra MB", title="time ÷ time without patches")
    for n in map(str, PATCHES):
        cells = (f"{result['ratio'][str(batch)][n]:.3f}" for batch in BATCHES)
        table.add_row(f"{int(n):,}", *cells, f"{result['extra_mb'][n]:.2f}")
    table.add_section()
    for n in map(str, PATCHES):
        cells = (f"{result['hooks_alone_ms'][str(batch)][n]:.2f}" for batch in BATCHES)
        table.add_row(f"{int(n):,} alone, ms", *cells, "")
    table.add_row("none, ms", *(f"{result['base_ms'][str(batch)]:.0f}" for batch in BATCHES), "")
    console = Console()
    console.print(table)
    for n, target in TARGETS.items():
        ratio = result["ratio"]["32"][str(n)]
        console.print(f"{n:,} patches at batch 32: {ratio:.3f}, {'within' if ratio <= target else 'over'} {target}")


def at_least_two(text: str) -> int:
    if int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text}: quartiles need two rounds or more")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=at_least_two, default=15, help="turns of every variant (default 15)")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    arguments = parser.parse_args()
    result = run(arguments.rounds)
    show(result)
    keep(result, arguments.out)


if __name__ == "__main__":
    main()
