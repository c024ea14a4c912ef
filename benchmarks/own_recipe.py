"""What an edit costs under polypatch's own recipe, against MPN's, and what 5,000 edits do to it.

A random mBERT-sized BERT, 40,000 rows of learning memory and 10,000 more. Both editors learn the same pairs of texts,
whose queries are drawn from the memory's own cloud and are in the cache already; in turns, medians.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import defaultdict
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from mbert_sized import mbert_sized, random_text, realistic_queries
from polypatch.editors import DiscriminantPatch, Editor, Lesson, Memory, MemoryRows, TPatcher
from polypatch.editors.widths import fitted
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail, Row
from tail import keep, processor

EDITORS: dict[str, Editor] = {
    "polypatch-linear": DiscriminantPatch(),
    "mpn": TPatcher(views=0, max_steps=150),
}
"""MPN without dropout views, its faster form; 150 steps are the earliest at which its stopping rule ends an edit."""

FEW, MANY = 100, 5_000


class Bench:
    """The model, its tail, and memories with the spread of a trained model's."""

    def __init__(self, memory: int, validation: int, rounds: int) -> None:
        model, tokenizer = mbert_sized()
        self.site = FeedForwardSite(model)
        self.tail = FrozenTail(self.site, tokenizer)
        anchor = self.tail.queries(self.tail.readout.rows([random_text(random.Random(0))])).q[0]
        rows = realistic_queries(anchor, memory + validation + 2 * MANY + 2 * (rounds + 1))
        kept, held, self.past, edits = rows.split([memory, validation, 2 * MANY, 2 * (rounds + 1)])
        self.memory = Memory(self.known("memory", kept), self.known("validation", held))
        self.known("past", self.past)
        # Two languages of one edit lie near each other, far nearer than two texts do.
        pairs = torch.stack([edits[::2], 0.9 * edits[::2] + 0.1 * edits[1::2]], dim=1)
        self.edits = [self.known(f"edit {i}", queries).asked for i, queries in enumerate(pairs)]

    def known(self, name: str, queries: Tensor) -> MemoryRows:
        """Rows with these queries [n, d], which are in the cache."""
        rows = drawn(name, len(queries))
        self.tail.cache.add(rows, queries)
        return MemoryRows(rows, queries)

    def seconds(self, name: str, number: int, patches: int) -> float:
        """One edit after `patches` others, towards the class that the model does not give."""
        editor, rows = fitted(EDITORS[name], self.site.hidden_size), self.edits[number]
        bank = editor.start(self.site)
        before = self.memory.snapshot()
        if patches:
            # All but one, and the last by itself: a bank that grows has room for the next, one just loaded has not.
            bank.load_tensors(silent(self.past[: patches - 1]), [str(i) for i in range(patches - 1)])
            last = silent(self.past[patches - 1 : patches])
            bank.extend(["last"], last["keys"], last["biases"], last["values"])
            self.memory.append(drawn("past", 2 * patches), self.past[: 2 * patches], editor.memory_copies)
        # The first look at a memory that has grown reads it; a stream grows by one edit at a time.
        editor.learn(editor.start(self.site), self.lesson(self.edits[0]), self.tail, self.memory)
        start = time.perf_counter()
        editor.learn(bank, self.lesson(rows), self.tail, self.memory)
        taken = time.perf_counter() - start
        self.memory.restore(before)
        return taken

    def lesson(self, rows: list[Row]) -> Lesson:
        """Both rows, to say what they do not."""
        wanted = 1 - int(self.tail.said(rows, UNCHANGED).ids[0])
        return Lesson("edit", rows, [wanted, wanted], lambda: (0, 1), torch.Generator().manual_seed(0))


def drawn(name: str, count: int) -> list[Row]:
    """Rows that no text has."""
    return [Row((i, *name.encode()), 0) for i in range(count)]


def silent(keys: Tensor) -> dict[str, Tensor]:
    """Patches that fire nowhere."""
    n = len(keys)
    return {"keys": keys / keys.shape[1], "biases": torch.full((n,), -9.0), "values": torch.randn_like(keys)}


def measure(rounds: int, memory: int, validation: int) -> dict[str, object]:
    """Seconds per edit, ratios, growth."""
    torch.set_num_threads(1)
    seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    with Progress(transient=True) as progress:
        task = progress.add_task("an mBERT-sized model and its memory", total=rounds + 1)
        bench = Bench(memory, validation, rounds)
        progress.update(task, description="edits")
        for number in range(rounds + 1):
            for name in EDITORS:
                for patches in (FEW, MANY) if name == "polypatch-linear" else (FEW,):
                    taken = bench.seconds(name, number, patches)
                    if number:  # the first round warms up
                        seconds[name, patches].append(taken)
            progress.advance(task)
    middle = {key: statistics.median(values) for key, values in seconds.items()}
    ours = middle["polypatch-linear", FEW]
    return {
        "seconds_per_edit": {name: round(middle[name, FEW], 4) for name in EDITORS},
        "times_faster": {name: round(middle[name, FEW] / ours, 1) for name in EDITORS if name != "polypatch-linear"},
        "growth_100_to_5000": round(middle["polypatch-linear", MANY] / ours, 2),
        "rounds": rounds,
        "memory": memory,
        "validation": validation,
        "processor": processor(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small memory and two rounds: does it run?")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    arguments = parser.parse_args()
    result = measure(2, 4_000, 1_000) if arguments.quick else measure(5, 40_000, 10_000)
    Console().print_json(data=result)
    keep(result, arguments.out)


if __name__ == "__main__":
    main()
