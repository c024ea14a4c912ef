"""Facts that a model reads (IKE) while it writes: read at every position of a prompt, or at the one that is looked at.

Both in turn, after one round that is not counted; both must write the same.
"""

from __future__ import annotations

import statistics
import time
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.progress import track

import polypatch as pp
from on_facts import parser_of, spec_of
from polypatch.deltas.fact_reader import FactReader
from polypatch.sites import text_beside
from tail import keep, processor

WAYS = {"every position": lambda new: new, "the last": text_beside.asked}


def measure(edited: pp.EditedModel, prompts: list[tuple[int, ...]], rounds: int) -> dict[str, Any]:
    """Seconds of each way, medians of all rounds, and how many times as fast as at every position."""
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    said: set[tuple[tuple[int, ...], ...]] = set()
    for number in track(range(rounds + 1)):
        for way, asked in WAYS.items():
            vars(edited.delta)["_reader"] = FactReader(edited.site)  # a new one remembers nothing
            with patch.object(text_beside, "asked", asked):
                start = time.perf_counter()
                written = edited.readout.greedy(prompts)
                spent[way] += [time.perf_counter() - start] if number else []
            said.add(tuple(one.ids for one in written))
    (_,) = said
    medians = {way: statistics.median(seconds) for way, seconds in spent.items()}
    return {
        "seconds": medians,
        "times as fast": {way: medians["every position"] / seconds for way, seconds in medians.items()},
        "prompts": len(prompts),
        "tokens of a prompt, mean": statistics.mean(map(len, prompts)),
        "rounds": rounds,
        "processor": processor(),
    }


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--facts", type=int, default=20, help="so many edits")
    parser.add_argument("--prompts", type=int, default=100, help="so many, in all languages")
    parser.add_argument("--rounds", type=int, default=3, help="how often every way is timed")
    arguments = parser.parse_args()
    edits = spec_of(arguments).open().data.edits
    torch.set_num_threads(1)
    edited = pp.open(arguments.model, recipe="ike", memory=None)
    edited.edit(edits[: arguments.facts], rules=pp.Rules(keep_failed=True))
    texts = list(dict.fromkeys(text for edit in edits for text in edit.prompt.values()))[: arguments.prompts]
    result = measure(edited, [edited.readout.prompt(text) for text in texts], arguments.rounds)
    Console().print_json(data={**result, "facts": edited.delta.patches, "threads": 1})
    keep({**result, "facts": edited.delta.patches, "threads": 1}, arguments.out)


if __name__ == "__main__":
    main()
