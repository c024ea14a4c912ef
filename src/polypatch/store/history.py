"""The history of a run or of a folder of edits: as it was saved, else as the journal has it. Read without torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from polypatch.edits import Lang, language_of
from polypatch.errors import InputError
from polypatch.outcomes import EditRecord, Status
from polypatch.store.artefact import read_artefact
from polypatch.store.journal import read_journal
from polypatch.store.places import EDITS, JOURNAL, edit_folders, find_edits, holds_edits


@dataclass(frozen=True)
class HistoryLine:
    """One edit of the history, and the part of the run it belongs to where there are several."""

    record: EditRecord
    fold: int | None = None

    @property
    def time(self) -> str:
        """When its status last changed."""
        return self.record.reverted or self.record.outcome.finished

    @property
    def words(self) -> str:
        """All that is said of the edit in words: its id, its prompts and its targets, a line each."""
        edit = self.record.edit
        prompts = () if edit is None else edit.prompt.values()
        texts = (text if isinstance(text, str) else " ".join(text) for text in prompts)
        return "\n".join([self.record.outcome.edit_id, *texts, *(() if edit is None else edit.target.values())])

    def plain(self) -> dict[str, Any]:
        """Plain data."""
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
class HistoryFilter:
    """Which lines of a history are wanted: all that fit every field that is given; of them the last `limit`.

    Attributes:
        statuses: any of these.
        lang: it was learned in this language.
        glob: what its id is like.
        since: its status changed then or later.
        limit: so many lines.
        prompt_lang: it has a prompt in this language, learned or not.
        words: what stands in its id, a prompt or a target, in capitals or not.
    """

    statuses: Sequence[Status] = ()
    lang: Lang | None = None
    glob: str | None = None
    since: datetime | None = None
    limit: int | None = None
    prompt_lang: Lang | None = None
    words: str = ""

    def choose(self, lines: Sequence[HistoryLine]) -> list[HistoryLine]:
        """Those that fit; of them the last ones."""
        found = [line for line in lines if self._fits(line)]
        return found if self.limit is None else found[-self.limit :]

    def _fits(self, line: HistoryLine) -> bool:
        outcome, edit = line.record.outcome, line.record.edit
        if self.since is not None and (not line.time or moment(line.time) < self.since):
            return False
        return (
            (not self.statuses or line.record.status in self.statuses)
            and (self.lang is None or self.lang in map(language_of, outcome.languages))
            and (self.glob is None or fnmatchcase(outcome.edit_id, self.glob))
            and (self.prompt_lang is None or (edit is not None and self.prompt_lang in edit.prompt))
            and self.words.casefold() in line.words.casefold()
        )


def history(folder: Path) -> list[HistoryLine]:
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


def _lines(parts: dict[int | None, tuple[EditRecord, ...]]) -> list[HistoryLine]:
    return [HistoryLine(record, fold) for fold in sorted(parts, key=lambda n: n or 0) for record in parts[fold]]


def _number(place: Path) -> int | None:
    """The N of edits-N."""
    found = re.fullmatch(rf"{EDITS}-(\d+)", place.name)
    return int(found[1]) if found else None


def moment(text: str) -> datetime:
    """A date, or a date and a time, in ISO 8601; in UTC unless it says otherwise.

    Raises:
        InputError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no date; write 2026-05-01, or 2026-05-01T12:30") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
