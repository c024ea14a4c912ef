"""Figure 3 of any edits: how long their sentences are, beside the paper's means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from polypatch.data import load_data
from polypatch.data.lengths import PAPER_LENGTHS, lengths, unit
from polypatch.edits import Lang
from polypatch.evaluation.figures import save_figure
from polypatch.evaluation.length_figure import length_figure
from polypatch.files import writing
from polypatch.runs import BenchSpec
from polypatch.runs.bench_spec import OnStage

PICTURE = "figure3.png"


@dataclass(frozen=True)
class Lengths:
    """Sentence lengths by language: mean, how many sentences, and the paper's mean."""

    folder: Path
    means: Mapping[Lang, tuple[float, int, float | None]]

    def plain(self) -> dict[str, Any]:
        """Plain data."""
        rows = {
            lang: {"mean": ours, "sentences": count, "unit": unit(lang), "paper": paper}
            for lang, (ours, count, paper) in self.means.items()
        }
        return {"experiment": "figure3", "languages": rows}


def measured_lengths(data: str, out: Path, limit: int | None, opening: OnStage | None = None) -> Lengths:
    """Measure the edits of `data`, or of the embedded world, and draw the figure.

    Raises:
        DataError: the data cannot be read.
    """
    edits = (load_data(data) if data else BenchSpec().open(opening).data).edits[:limit]
    measured = lengths(edits)
    with writing(out):
        units = {lang: unit(lang) for lang in measured}
        save_figure(length_figure(measured, units=units, paper=PAPER_LENGTHS), out / PICTURE)
    return Lengths(
        out, {lang: (mean(values), len(values), PAPER_LENGTHS.get(lang)) for lang, values in measured.items()}
    )
