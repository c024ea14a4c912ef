"""Greedy decoding of a language model's prompts: batches that end with their longest answer, or go on in stages.

All ways in turn, after one round that is not counted; each must write the same.
"""

from __future__ import annotations

import statistics
import time
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.progress import track

from on_facts import parser_of, spec_of
from polypatch.sites.readouts import greedy as decoding
from polypatch.sites.readouts.writing import Writing
from tail import keep, processor

WAYS: dict[str, tuple[int, ...]] = {"at one go": (), "at six tokens": (6,), "in stages": decoding.STAGES}


def measure(readout: Writing, prompts: list[tuple[int, ...]], rounds: int) -> dict[str, Any]:
    """Seconds of each way, medians of all rounds, and how many times as fast as at one go."""
    torch.set_num_threads(1)
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    lengths: set[tuple[int, ...]] = set()
    for number in track(range(rounds + 1)):
        for way, stages in WAYS.items():
            with patch.object(decoding, "STAGES", stages):
                start = time.perf_counter()
                written = readout.greedy(prompts)
                spent[way] += [time.perf_counter() - start] if number else []
            lengths.add(tuple(len(one.ids) for one in written))
    (lengths_of_all,) = lengths
    medians = {way: statistics.median(seconds) for way, seconds in spent.items()}
    return {
        "seconds": medians,
        "times as fast": {way: medians["at one go"] / seconds for way, seconds in medians.items()},
        "prompts": len(prompts),
        "tokens of an answer, mean": statistics.mean(lengths_of_all),
        "tokens of an answer, most": max(lengths_of_all),
        "rounds": rounds,
        "threads": 1,
        "processor": processor(),
    }


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--prompts", type=int, default=2000, help="so many, in all languages")
    parser.add_argument("--rounds", type=int, default=3, help="how often every way is timed")
    arguments = parser.parse_args()
    bench = spec_of(arguments).open()
    readout = bench.tail.readout
    assert isinstance(readout, Writing)
    texts = dict.fromkeys(text for edit in bench.data.edits for text in edit.prompt.values())
    with bench.tail.site.evaluating():
        result = measure(readout, [readout.prompt(text) for text in list(texts)[: arguments.prompts]], arguments.rounds)
    Console().print_json(data=result)
    keep(result, arguments.out)


if __name__ == "__main__":
    main()
