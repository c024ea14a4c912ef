"""The work behind ``polypatch log``. Imports no torch, so that it answers at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text as Shown

from polypatch.cli.console import as_json
from polypatch.cli.shown import shown
from polypatch.edits import Lang
from polypatch.errors import InputError
from polypatch.outcomes import EditRecord, Status
from polypatch.store.artefact import read_artefact
from polypatch.store.journal import read_journal
from polypatch.store.places import EDITS, JOURNAL, edit_folders, find_edits, holds_edits

STYLES = {
    Status.TAKEN: "green",
    Status.FAILED: "red",
    Status.TAKEN_BACK: "yellow",
    Status.NOT_NEEDED: "dim",
    Status.REVERTED: "dim",
}

COLUMNS = ("Time, UTC", "Fold", "Edit", "Status", "Trained on", "Patches", "Steps", "Seconds", "Locality drop")
NUMBERS = ("Fold", "Patches", "Steps", "Seconds", "Locality drop")
MAYBE = ("Fold", "Locality drop")


@dataclass(frozen=True)
class Line:
    """One edit of the history, and the part of the run it belongs to where there are several."""

    record: EditRecord
    fold: int | None = None

    @property
    def time(self) -> str:
        """When its status last changed."""
        return self.record.reverted or self.record.outcome.finished

    def plain(self) -> dict[str, Any]:
        """For ``--json``."""
        outcome, edit = self.record.outcome, self.record.edit
        return {
            "id": outcome.edit_id,
            "fold": self.fold,
            "status": self.record.status,
            "finished": outcome.finished or None,
            "reverted": self.record.reverted or None,
            "languages": list(outcome.languages),
            "patches": outcome.patches,
            "steps": outcome.steps,
            "attempts": outcome.attempts,
            "seconds": outcome.seconds,
            "locality_drop": outcome.locality_drop,
            "reason": outcome.failure,
            "source": None if edit is None else edit.source,
            "prompt": None if edit is None else edit.prompt[edit.source],
            "target": None if edit is None else edit.target_in(edit.source),
        }


@dataclass(frozen=True)
class Wanted:
    """Which lines: see the options of ``polypatch log``."""

    statuses: tuple[str, ...] = ()
    lang: Lang | None = None
    glob: str | None = None
    since: datetime | None = None
    limit: int | None = None

    @classmethod
    def read(
        cls, statuses: Sequence[str], lang: Lang | None, glob: str | None, since: str | None, limit: int | None
    ) -> Wanted:
        """From what was typed.

        Raises:
            InputError: no status or no date is called that.
        """
        named = tuple(status.lower().replace("-", " ").replace("_", " ") for status in statuses)
        for status, typed in zip(named, statuses, strict=True):
            if status not in STYLES:
                known = ", ".join(one.replace(" ", "-") for one in STYLES)
                raise InputError(f"--status {typed}: there are {known}")
        return cls(named, lang, glob, None if since is None else _moment(since), limit)

    def choose(self, lines: Sequence[Line]) -> list[Line]:
        """Those that fit; of them the last ones."""
        found = [line for line in lines if self._fits(line)]
        return found if self.limit is None else found[-self.limit :]

    def _fits(self, line: Line) -> bool:
        outcome = line.record.outcome
        if self.since is not None and (not line.time or _moment(line.time) < self.since):
            return False
        return (
            (not self.statuses or line.record.status in self.statuses)
            and (self.lang is None or self.lang in outcome.languages)
            and (self.glob is None or fnmatchcase(outcome.edit_id, self.glob))
        )


def history(folder: Path) -> list[Line]:
    """Every edit of a run or of a folder of edits: as it was saved, else as the journal has it.

    Raises:
        InputError: neither edits nor a journal are there.
    """
    if holds_edits(folder) or not (folder / JOURNAL).is_file():
        places = [folder] if holds_edits(folder) else edit_folders(folder) or [find_edits(folder)]
        return _lines({_number(place): read_artefact(place, tensors=False).records for place in places})
    _, folds = read_journal(folder, tensors=False)
    several = len(folds) > 1 or any(_number(place) is not None for place in edit_folders(folder))
    parts = {n if several else None: tuple(one.record for one in entries) for n, entries in folds.items()}
    # What was saved is later than the journal: it knows what was reverted.
    for place in edit_folders(folder):
        parts[_number(place)] = read_artefact(place, tensors=False).records
    return _lines(parts)


def show(lines: Sequence[Line], console: Console) -> None:
    """For people: a row an edit, and below it what was asked for and why it failed."""
    rows = [_cells(line) for line in lines]
    # Columns that say nothing are left out: the fold of one, the cost that nobody watched.
    there = [i for i, name in enumerate(COLUMNS) if name not in MAYBE or any(row[i].plain for row in rows)]
    widths = {i: max(cell_len(one) for one in (COLUMNS[i], *(row[i].plain for row in rows))) for i in there}
    narrow = sum(widths.values()) + 2 * (len(there) - 1) > console.width
    if narrow:  # then the languages stand with the text
        there.remove(COLUMNS.index("Trained on"))

    def padded(cells: Sequence[Shown]) -> Shown:
        line = Shown()
        for i in there:
            gap = " " * (widths[i] - cell_len(cells[i].plain))
            line += Shown(gap) + cells[i] if COLUMNS[i] in NUMBERS else cells[i] + Shown(gap)
            line.append("  ")
        line.rstrip()
        return line

    head = padded([Shown(name) for name in COLUMNS])
    head.stylize("bold")
    console.print(head, soft_wrap=True)
    for row, line in zip(rows, lines, strict=True):
        console.print(padded(row), soft_wrap=True)
        for text in _below(line.record, narrow):
            console.print(Shown("    ") + text, soft_wrap=True)


def to_json(lines: Sequence[Line]) -> str:
    """For machines."""
    return as_json([line.plain() for line in lines])


def _lines(parts: dict[int | None, tuple[EditRecord, ...]]) -> list[Line]:
    return [Line(record, fold) for fold in sorted(parts, key=lambda n: n or 0) for record in parts[fold]]


def _number(place: Path) -> int | None:
    """The N of edits-N."""
    found = re.fullmatch(rf"{EDITS}-(\d+)", place.name)
    return int(found[1]) if found else None


def _cells(line: Line) -> list[Shown]:
    record, outcome = line.record, line.record.outcome
    return [
        Shown(line.time[:16].replace("T", " ") or "–"),
        Shown("" if line.fold is None else str(line.fold)),
        Shown(shown(outcome.edit_id, 40), "bold"),
        Shown(record.status, STYLES[record.status]),
        Shown(", ".join(outcome.languages) or "–"),
        *(Shown(cell) for cell in (str(outcome.patches), str(outcome.steps), f"{outcome.seconds:.2f}")),
        Shown("" if outcome.locality_drop is None else f"{outcome.locality_drop:.2f}"),
    ]


def _below(record: EditRecord, narrow: bool) -> list[Shown]:
    edit, lines = record.edit, []
    if narrow and record.outcome.languages:
        lines.append(Shown(f"trained on {', '.join(record.outcome.languages)}"))
    if edit is not None:
        lines.append(Shown(f"{shown(edit.prompt[edit.source], 120)} → {shown(edit.target_in(edit.source), 60)}"))
    if record.outcome.reason:
        lines.append(Shown(shown(record.outcome.failure), "dim"))
    return lines


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no date; write 2026-05-01, or 2026-05-01T12:30") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
