"""What ``polypatch data xfever-edit`` made, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from polypatch.data.fever import PAPER
from polypatch.edits import Lang
from polypatch.evaluation.strict_json import to_json
from polypatch.rendering.grid import Grid, labels

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
        console.print(self._counts().to_console())
        console.print(self._lengths().to_console())
        console.print(
            f"{self.edits:,} edits, {self.rephrases:,} rephrases; {self.unrephrased:,} edits have none. "
            f"{self.left_over:,} claims left over by the split."
        )
        console.print(f"{self.memory:,} texts for the memory, {self.locality_train:,} for locality train.")
        empty = {lang: one.empty for lang, one in self.languages.items() if one.empty}
        if empty:
            said = ", ".join(f"{count} in {lang}" for lang, count in empty.items())
            console.print(f"Translations that came out empty and were left out: {said}.")
        console.print(f"{self.folder}: edits.jsonl, xfever-edit.json, lengths.png, …", soft_wrap=True)

    def _counts(self) -> Grid:
        rows = [
            (NAMES[name], ROLES[name], f"{count:,}", f"{PAPER[name]:,}", f"{self.supports[name]:.1f}")
            for name, count in self.counts.items()
        ]
        return labels(("Set", "Role", "Claims", "Paper", "SUPPORTS %"), rows, numbers=3)

    def _lengths(self) -> Grid:
        rows = []
        for lang, one in self.languages.items():
            paper = "–" if one.paper is None else f"{one.paper:.1f}"
            sentences, new = f"{one.sentences:,}", f"{one.new:,}"
            rows.append((lang, one.unit, one.model or "–", f"{one.mean:.1f}", paper, sentences, new))
        return labels(("Language", "Unit", "Model", "Mean length", "Paper", "Edits", "New"), rows, numbers=4)
