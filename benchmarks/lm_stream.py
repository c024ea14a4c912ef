"""A thousand edits of a language model in one stream: what holds at 1, 10, 100, 1,000, and what an edit costs then.

Every edit is asked again at each mark, by what the model writes. For the time, the same new edits are made behind all
of the stream and behind its first ten, one model after the other in one process.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from on_facts import parser_of, spec_of
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit
from polypatch.evaluation import evaluate
from polypatch.experiments.language_models import FACTS
from polypatch.runs import Run, Workbench
from tail import keep, processor

FEW = 10


def stands(edits: Sequence[Edit]) -> list[Edit]:
    """Those that no later one contradicts, in any language: a question with several true answers is asked for each."""
    last = {text: (edit.id, edit.target_in(lang)) for edit in edits for lang, text in edit.prompt.items()}
    return [edit for edit in edits if all(last[text][1] == edit.target_in(lang) for lang, text in edit.prompt.items())]


def state(bench: Workbench, edited: EditedModel, edits: Sequence[Edit]) -> dict[str, Any]:
    """What the model is worth after these edits, all asked again."""
    report = evaluate(edited, edits, locality=bench.data.locality)
    standing = stands(edits)
    apart = evaluate(edited, standing) if len(standing) < len(edits) else report
    kept = [found.agreement for found in report.locality.values() if found.agreement is not None]
    return {
        "patches": edited.patches,
        "reliability": report.reliability,
        "clg": report.clg_avg,
        "other wording": report.mlg,
        "other wording, other languages": report.clg_rephrase,
        "standing": len(standing),
        "reliability, standing": apart.reliability,
        "clg, standing": apart.clg_avg,
        "locality, mean": statistics.fmean(kept) if kept else None,
        "locality, worst language": min(kept, default=None),
    }


def timed(edited: EditedModel, edits: Sequence[Edit]) -> list[float]:
    """Seconds of each edit that was made."""
    return [outcome.seconds for outcome in edited.stream(edits) if outcome.triggered]


def measure(bench: Workbench, run: Run, probes: int) -> dict[str, Any]:
    """The stream with its marks, then the probes behind all of it and behind its first ten."""
    torch.set_num_threads(1)
    stream = bench.stream(run)
    if len(stream) <= probes + FEW:
        raise SystemExit(f"the data have {len(stream)} edits for a stream and {probes} probes")
    whole, new = stream[:-probes], stream[-probes:]
    bench.encode([run])
    marks = {mark for mark in (1, 10, 100, 1_000) if mark < len(whole)} | {len(whole)}
    edited, found, spent = bench.attach(run), {}, []
    for done, outcome in enumerate(track(edited.stream(whole), total=len(whole)), start=1):
        spent.append(outcome.seconds)
        if done in marks:
            found[done] = state(bench, edited, whole[:done])
    late = timed(edited, new)
    edited.unload()
    edited = bench.attach(run)
    timed(edited, whole[:FEW])
    early = timed(edited, new)
    edited.unload()
    return {
        "trajectory": found,
        "edits": len(whole),
        "seconds_per_edit": {"stream": statistics.fmean(spent), f"behind {FEW}": statistics.fmean(early)}
        | {f"behind {len(whole)}": statistics.fmean(late)},
        "growth": statistics.fmean(late) / statistics.fmean(early),
        "growth, of medians": statistics.median(late) / statistics.median(early),
        "probes": len(new),
        "first and last 100 of the stream": [statistics.fmean(spent[:100]), statistics.fmean(spent[-100:])],
        "threads": 1,
        "processor": processor(),
    }


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--edits", type=int, default=1_000, help="of the stream")
    parser.add_argument("--probes", type=int, default=40, help="edits that are timed")
    arguments = parser.parse_args()
    run = Run(recipe="polypatch-linear", memory_languages=FACTS, order=0, allow_contradictions=True)
    result = measure(
        spec_of(arguments).open(), replace(run, limit=arguments.edits + arguments.probes), arguments.probes
    )
    Console().print_json(data=result)
    keep(result, arguments.out)


if __name__ == "__main__":
    main()
