"""Short runs of many editors on one workbench: what they share, against each on its own.

Shared are the memory, what editors work out of it, and what the unedited model says; the queries are encoded before.
Every run is done both ways, one after the other, after one round that is not counted.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from on_facts import parser_of, spec_of
from polypatch.experiments.language_models import FACTS, SETTINGS
from polypatch.runs import Run, Workbench
from tail import keep, processor

EDITORS = ("grace", "memoir", "ultraedit", "rome-mpn", "memit-mpn", "alphaedit-mpn")


def forget(bench: Workbench, run: Run) -> None:
    """Let the next run begin as the first of its grid does."""
    recipe = run.built()
    tail = bench.tail_at(recipe.layer, recipe.reads)
    tail.memories = {}
    if tail.unedited is not None:
        tail.unedited._known.clear()


def seconds(bench: Workbench, run: Run, *, shared: bool) -> float:
    """Of one run with its report."""
    if not shared:
        forget(bench, run)
    start = time.perf_counter()
    bench.run(run)
    return time.perf_counter() - start


def measure(bench: Workbench, runs: list[Run], rounds: int) -> dict[str, Any]:
    """Seconds of every run both ways, medians of all rounds, and the ratio of all together."""
    torch.set_num_threads(1)
    bench.encode(runs)
    found: dict[str, dict[str, list[float]]] = {run.recipe: {"apart": [], "shared": []} for run in runs}
    for number in track(range(rounds + 1)):
        for run in runs:
            for way in ("apart", "shared"):
                spent = seconds(bench, run, shared=way == "shared")
                if number:
                    found[run.recipe][way].append(spent)
    medians = {name: {way: statistics.median(spent) for way, spent in ways.items()} for name, ways in found.items()}
    whole = {way: sum(ways[way] for ways in medians.values()) for way in ("apart", "shared")}
    return {
        "seconds of a run": medians,
        "times as fast": {name: ways["apart"] / ways["shared"] for name, ways in medians.items()},
        "times as fast, all together": whole["apart"] / whole["shared"],
        "rounds": rounds,
        "edits of a run": runs[0].limit,
        "threads": 1,
        "processor": processor(),
    }


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--edits", type=int, default=1, help="of a run")
    parser.add_argument("--rounds", type=int, default=3, help="how often every run is timed")
    arguments = parser.parse_args()
    shared: dict[str, Any] = {"memory_languages": FACTS, "limit": arguments.edits, "allow_contradictions": True}
    runs = [Run(recipe=name, order=0, settings=SETTINGS.get(name, {}), **shared) for name in EDITORS]
    result = measure(spec_of(arguments).open(), runs, arguments.rounds)
    Console().print_json(data=result)
    keep(result, arguments.out)


if __name__ == "__main__":
    main()
