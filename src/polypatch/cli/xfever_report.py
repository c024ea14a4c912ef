"""What ``polypatch data xfever-edit`` made, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from polypatch.data.fever import PAPER
from polypatch.edits import Lang
from polypatch.evaluation.strict_json import to_json

NAMES = {"train": "D_train", "validation": "D_val", "editing": "D_edit", "test": "D_test"}
ROLES = {
    "train": "trains the model; memory and locality train come from it",
    "validation": "chooses the model, watches the stopping rule",
    "editing": "the edits, translated",
    "test": "locality test",
}


@dataclass(frozen=True)
class LanguageFigures:
    """One language of the edits.

    Attributes:
        mean: sentence length, in `unit`.
        paper: the same in the paper's appendix A.1, where it has the language.
        sentences: edits that have a prompt in it; `empty` is how many came out empty.
        new: sentences that were translated by this run, the others were in the cache.
    """

    mean: float
    unit: str
    paper: float | None
    sentences: int
    new: int
    model: str | None
    empty: int


@dataclass(frozen=True)
class Made:
    """One finished folder."""

    folder: Path
    counts: Mapping[str, int]
    left_over: int
    supports: Mapping[str, float]
    edits: int
    rephrases: int
    unrephrased: int
    memory: int
    locality_train: int
    languages: Mapping[Lang, LanguageFigures]
    lengths: Mapping[Lang, Sequence[int]]

    def plain(self) -> dict[str, object]:
        """For JSON, without the single lengths."""
        shown = {name: value for name, value in asdict(self).items() if name != "lengths"}
        return {**shown, "paper": PAPER}

    def to_json(self) -> str:
        """For ``--json``."""
        return to_json(self.plain())

    def show(self, console: Console) -> None:
        """For people."""
        console.print(self._counts())
        console.print(self._lengths())
        console.print(
            f"{self.edits:,} edits, {self.rephrases:,} rephrases; {self.unrephrased:,} edits have none. "
            f"{self.left_over:,} claims left over by the split."
        )
        console.print(f"{self.memory:,} texts for the memory, {self.locality_train:,} for locality train.")
        empty = {lang: one.empty for lang, one in self.languages.items() if one.empty}
        if empty:
            said = ", ".join(f"{count} in {lang}" for lang, count in empty.items())
            console.print(f"Translations that came out empty and were left out: {said}.")
        console.print(f"{self.folder}: edits.jsonl, xfever-edit.json, lengths.png, …", soft_wrap=True, markup=False)

    def _counts(self) -> Table:
        table = _table("Set", "Claims", "Paper", "SUPPORTS %", "Role")
        for name, count in self.counts.items():
            table.add_row(NAMES[name], f"{count:,}", f"{PAPER[name]:,}", f"{self.supports[name]:.1f}", ROLES[name])
        return table

    def _lengths(self) -> Table:
        table = _table("Language", "Mean length", "Paper", "Unit", "Edits", "New", "Model")
        for lang, one in self.languages.items():
            paper = "–" if one.paper is None else f"{one.paper:.1f}"
            sentences, new = f"{one.sentences:,}", f"{one.new:,}"
            table.add_row(lang, f"{one.mean:.1f}", paper, one.unit, sentences, new, one.model or "–")
        return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for column in columns:
        numbers = column in ("Claims", "Paper", "SUPPORTS %", "Mean length", "Edits", "New")
        table.add_column(column, justify="right" if numbers else "left")
    return table
