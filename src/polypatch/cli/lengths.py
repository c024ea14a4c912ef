"""Figure 3 of any edits: how long their sentences are, beside the paper's means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from rich.console import Console

from polypatch.cli.console import Bars
from polypatch.data import load_data
from polypatch.data.lengths import PAPER_LENGTHS, lengths, unit
from polypatch.edits import Lang
from polypatch.evaluation.figures import save_figure
from polypatch.evaluation.length_figure import length_figure
from polypatch.evaluation.strict_json import to_json
from polypatch.files import writing
from polypatch.rendering.grid import Column, Grid
from polypatch.runs import BenchSpec

PICTURE = "figure3.png"


@dataclass(frozen=True)
class Lengths:
    """Sentence lengths by language: mean, how many sentences, and the paper's mean."""

    folder: Path
    means: Mapping[Lang, tuple[float, int, float | None]]

    def to_json(self) -> str:
        """For ``--json``."""
        rows = {
            lang: {"mean": ours, "sentences": count, "unit": unit(lang), "paper": paper}
            for lang, (ours, count, paper) in self.means.items()
        }
        return to_json({"experiment": "figure3", "languages": rows})

    def show(self, console: Console) -> None:
        """For people."""
        rows = [
            (lang, f"{ours:.1f}", "–" if paper is None else f"{paper:.1f}", unit(lang), f"{count:,}")
            for lang, (ours, count, paper) in self.means.items()
        ]
        titles = ("Language", "Mean length", "The paper's", "Unit", "Sentences")
        console.print(Grid(tuple(Column("", title) for title in titles), tuple(rows)).to_console())
        console.print(f"Written to {self.folder / PICTURE}", soft_wrap=True)


def measured_lengths(data: str, out: Path, limit: int | None, bars: Bars) -> Lengths:
    """Measure the edits of `data`, or of the embedded world, and draw the figure.

    Raises:
        DataError: the data cannot be read.
    """
    edits = (load_data(data) if data else BenchSpec().open(bars.opening).data).edits[:limit]
    measured = lengths(edits)
    with writing(out):
        units = {lang: unit(lang) for lang in measured}
        save_figure(length_figure(measured, units=units, paper=PAPER_LENGTHS), out / PICTURE)
    return Lengths(
        out, {lang: (mean(values), len(values), PAPER_LENGTHS.get(lang)) for lang, values in measured.items()}
    )
