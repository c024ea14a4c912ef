"""How much faster editing is from cached queries than with forward passes, and what 2,000 edits do to the time of one.

One edit of MPN (a source text and one in another language) on a random mBERT-sized BERT: `FrozenTail` against
`FullForward`, the same editor, losses, steps and memory. Variants take turns in one process; figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

# Spinning workers of an idle pool steal the core from whatever runs next; read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor

from mbert_sized import mbert_sized, random_text, realistic_queries
from polypatch.editors import Lesson, Memory, MemoryRows, TPatcher
from polypatch.editors.widths import PUBLISHED_WIDTH, fitted, settings_for
from polypatch.files import write_atomic
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward, Tail


@dataclass(frozen=True)
class Size:
    """What is measured, and how often.

    Attributes:
        memory, validation: rows of the two memories.
        past: edits made before, for the growth: as many patches, and two rows of count 8 each in both memories.
        steps: of one edit; 150 is the earliest at which the default stopping rule ends one.
        full_steps: steps that the full path is measured over; the rest is multiplied.
        repeats: rounds; in each every variant has its turn.
    """

    memory: int = 40_000
    validation: int = 10_000
    past: int = 2_000
    steps: int = 150
    full_steps: int = 12
    repeats: int = 5


QUICK = Size(memory=8_000, validation=2_000, full_steps=3, repeats=2)
VIEWS = (0, 16)


class Bench:
    """The model, both tails, and a memory with the spread of a trained model's."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.rng = random.Random(0)
        model, tokenizer = mbert_sized()
        self.site = FeedForwardSite(model)
        self.cached = FrozenTail(self.site, tokenizer)
        self.full = FullForward(self.site, tokenizer)
        anchor = self.cached.queries(self.cached.readout.rows([random_text(self.rng)])).q[0]
        rows = realistic_queries(anchor, size.memory + size.validation + 2 * size.past)
        kept, held_out, self.past_rows = rows.split([size.memory, size.validation, 2 * size.past])
        self.memory = Memory(MemoryRows([""] * len(kept), kept), MemoryRows([""] * len(held_out), held_out))
        self.generator = torch.Generator().manual_seed(0)

    def remember_past_edits(self) -> None:
        """Put the past edits into both memories."""
        self.memory.append([""] * len(self.past_rows), self.past_rows, settings_for(PUBLISHED_WIDTH)["memory_copies"])

    def seconds(self, tail: Tail, views: int, steps: int, patches: int = 0) -> float:
        """One edit of `steps` steps of two new texts, towards class 1, which these weights predict for neither."""
        texts = [random_text(self.rng) for _ in range(2)]
        editor = fitted(TPatcher(views=views, max_steps=steps), PUBLISHED_WIDTH)
        bank = editor.start(self.site)
        if patches:
            keys = self.past_rows[:patches] / self.site.hidden_size
            tensors = {"keys": keys, "biases": torch.full((patches,), -3.0), "values": torch.randn_like(keys)}
            bank.load_tensors(tensors, [str(i) for i in range(patches)])
        before = self.memory.snapshot()
        lesson = Lesson("edit", tail.readout.rows(texts), [1, 1], lambda: (0, 1), self.generator)
        start = time.perf_counter()
        fit = editor.learn(bank, lesson, tail, self.memory)
        seconds = time.perf_counter() - start
        self.memory.restore(before)
        assert fit.steps == steps, fit.reason
        return seconds

    def setup(self, views: int) -> float:
        """What a full edit does before its first step: encode the texts."""
        texts = [random_text(self.rng) for _ in range(2)]
        start = time.perf_counter()
        self.full.rows(
            self.full.readout.rows(texts), TPatcher().start(self.site), views=views, generator=self.generator
        )
        return time.perf_counter() - start


def better_threads(bench: Bench, tick: Callable[[], None]) -> dict[str, int]:
    """One thread or all of them, for each path the better."""
    choices = sorted({1, os.cpu_count() or 1})
    seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    for _ in range(3):
        for threads in choices:
            torch.set_num_threads(threads)
            seconds["cached", threads].append(bench.seconds(bench.cached, 16, bench.size.steps // 3))
            seconds["full", threads].append(bench.seconds(bench.full, 16, 2))
            tick()
    return {
        path: min(choices, key=lambda threads: statistics.median(seconds[path, threads])) for path in ("cached", "full")
    }


def dense_step(rows: list[Tensor], key: Tensor, z: Tensor) -> float:
    """Seconds of the released code's memory loss: the list of rows concatenated, every pair scored, all with gradient.

    Written anew from its description; forward and backward.
    """
    key = key.detach().requires_grad_()
    start = time.perf_counter()
    h = torch.cat(rows) @ key
    pairs = (h.unsqueeze(0) - z.unsqueeze(1)).flatten()
    loss = pairs.topk(1000).values.add(3).exp().mean() + h.repeat(len(z)).topk(1000).values.add(3).exp().mean()
    loss.backward()
    return time.perf_counter() - start


def measure(bench: Bench, threads: dict[str, int], tick: Callable[[], None]) -> dict[str, list[float]]:
    """Every variant once per round: seconds per edit."""
    size, seconds = bench.size, defaultdict(list)
    released = list(bench.memory.train.rows.clone().split(1))
    for round_ in range(size.repeats + 1):
        found = {}
        torch.set_num_threads(threads["full"])
        for views in VIEWS:
            setup = bench.setup(views)
            measured = bench.seconds(bench.full, views, size.full_steps)
            found[f"full views{views}"] = setup + (measured - setup) / size.full_steps * size.steps
        torch.set_num_threads(threads["cached"])
        for views in VIEWS:
            found[f"cached views{views}"] = bench.seconds(bench.cached, views, size.steps)
            tick()
        found["released memory loss"] = dense_step(released, bench.past_rows[0] / 100, torch.zeros(16))
        if round_:  # the first round warms up
            for name, value in found.items():
                seconds[name].append(value)
    return seconds


def measure_growth(bench: Bench, threads: int, tick: Callable[[], None]) -> dict[str, float]:
    """How many times as long an edit takes after the past edits as on the untouched model, measured in turns."""
    torch.set_num_threads(threads)
    fresh, steps, past = bench.memory.snapshot(), bench.size.steps, bench.size.past
    seconds: dict[tuple[int, int], list[float]] = defaultdict(list)
    for _ in range(bench.size.repeats):
        for patches in (0, past):
            if patches:
                bench.remember_past_edits()
            for views in VIEWS:
                seconds[views, patches].append(bench.seconds(bench.cached, views, steps, patches))
        bench.memory.restore(fresh)
        tick()
    middle = {variant: statistics.median(values) for variant, values in seconds.items()}
    return {f"views{views}": middle[views, past] / middle[views, 0] for views in VIEWS}


def run(size: Size) -> dict[str, object]:
    with Progress(transient=True) as progress:
        task = progress.add_task("an mBERT-sized model and its memory", total=9 + 3 * size.repeats)
        tick = partial(progress.advance, task)
        bench = Bench(size)
        tick()
        progress.update(task, description="one thread or all")
        threads = better_threads(bench, tick)
        progress.update(task, description="cached against full")
        seconds = measure(bench, threads, tick)
        progress.update(task, description="2,000 edits later")
        growth = measure_growth(bench, threads["cached"], tick)
    return summary(size, threads, {name: statistics.median(values) for name, values in seconds.items()}, growth)


def summary(
    size: Size, threads: dict[str, int], seconds: dict[str, float], growth: dict[str, float]
) -> dict[str, object]:
    """The figures as they are written; `growth_2000` is the worse of the two."""
    cached = {f"views{views}": seconds[f"cached views{views}"] for views in VIEWS}
    full = {f"views{views}": seconds[f"full views{views}"] for views in VIEWS}
    return {
        "speedup": {name: round(full[name] / cached[name], 1) for name in cached},
        "seconds_per_edit": {"cached": round(cached["views16"], 3), "full": round(full["views16"], 2)},
        "growth_2000": round(max(growth.values()), 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "growth": rounded(growth),
        "seconds": {"cached": rounded(cached), "full": rounded(full)},
        "ms_per_step": {
            "cached": rounded(cached, 1e3 / size.steps),
            "full": rounded(full, 1e3 / size.steps),
            "released_memory_loss_alone": round(1e3 * seconds["released memory loss"], 1),
        },
        "full_measured_steps": size.full_steps,
        "threads": threads,
        "processor": processor(),
        "size": asdict(size),
    }


def processor() -> str:
    """The machine's own name for its processor."""
    names = Path("/proc/cpuinfo")
    lines = names.read_text(encoding="utf-8").splitlines() if names.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())


def keep(result: dict[str, Any], out: Path | None) -> None:
    """Write the figures to a file, where one is named."""
    if out is not None:
        write_atomic(out, (json.dumps(result, indent=2) + "\n").encode())


def rounded(numbers: dict[str, float], factor: float = 1.0) -> dict[str, float]:
    return {name: round(factor * number, 3) for name, number in numbers.items()}


def show(result: dict) -> None:
    table = Table("path", *(f"{views} views" for views in VIEWS), title="seconds per edit")
    for path in ("full", "cached"):
        table.add_row(path, *(f"{result['seconds'][path][f'views{views}']:.3g}" for views in VIEWS))
    table.add_row("times faster", *(f"{result['speedup'][f'views{views}']:g}" for views in VIEWS))
    console = Console()
    console.print(table)
    console.print(f"{result['growth_2000']:g} times as long after {result['size']['past']:,} edits")
    console.print(f"peak memory {result['peak_mb']:,} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small memory and two rounds: does it run?")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    arguments = parser.parse_args()
    result = run(QUICK if arguments.quick else Size())
    show(result)
    keep(result, arguments.out)


if __name__ == "__main__":
    main()
