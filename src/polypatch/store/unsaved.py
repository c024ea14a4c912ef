"""The edits of a run as its journal has them: an artefact without the model, and without learning anything again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from polypatch.data.memory import Kept
from polypatch.data.memory_file import (
    MemoryFile,
    memory_file_from_plain,
    memory_from_lines,
    memory_lines,
    parallel_from_lines,
    parallel_lines,
)
from polypatch.deltas.kinds import KINDS, standing_alone
from polypatch.errors import InputError, JournalError
from polypatch.files import strict_json
from polypatch.store.artefact import MEMORY, PARALLEL, Artefact, read_artefact
from polypatch.store.journal import Entry, Journal, read_journal
from polypatch.store.places import EDITS, JOURNAL, edit_folders, find_edits, holds_edits


def keep_surroundings(journal: Journal, fold: int, artefact: Artefact) -> None:
    """Write down what an artefact says beside its edits, once per fold, and the texts of its memory once."""
    journal.note(_note(fold), json.dumps(artefact.config))
    if isinstance(artefact.memory, Kept):
        journal.note(MEMORY, memory_lines(artefact.memory).decode())
    elif artefact.memory is not None:
        journal.note(MEMORY_FILE, json.dumps(artefact.memory.to_plain()))
    if artefact.memory is not None and artefact.memory.parallel is not None:
        journal.note(PARALLEL, parallel_lines(artefact.memory.parallel).decode())


def from_journal(folder: Path, fold: int) -> Artefact:
    """What a fold of the run in `folder` has made so far.

    Raises:
        JournalError: no journal, a broken one, or one that has nothing that could be saved yet.
    """
    facts, folds = read_journal(folder)
    entries = folds.get(fold, [])
    if _note(fold) not in facts or not entries:
        raise JournalError(f"{folder}: the journal holds no edit yet; go on with the run by polypatch edit … --resume")
    config = strict_json(facts[_note(fold)].encode(), f"{folder}: the journal's {_note(fold)}", JournalError)
    records = tuple(entry.record for entry in entries)
    memory = _memory(facts, f"{folder}: the journal's")
    return Artefact(*_left(folder, entries, config), records, config, memory=memory)


def _left(
    folder: Path, entries: Sequence[Entry], config: Mapping[str, Any]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The tensors of all these edits, and whose they are."""
    if KINDS[config["delta"]].in_parts:
        return _grown(entries, config)
    weights = [entry.tensors for entry in entries if entry.tensors is not None]
    if not weights:
        raise JournalError(f"{folder}: none of the {len(entries)} edits in the journal has changed the model yet")
    return weights[-1], ()


def _memory(notes: Mapping[str, str], where: str) -> Kept | MemoryFile | None:
    """The memory, where it was noted."""
    memory: Kept | MemoryFile | None = None
    if MEMORY in notes:
        memory = memory_from_lines(notes[MEMORY].encode(), f"{where} {MEMORY}")
    elif MEMORY_FILE in notes:
        plain = strict_json(notes[MEMORY_FILE].encode(), f"{where} {MEMORY_FILE}", JournalError)
        memory = memory_file_from_plain(plain, f"{where} {MEMORY_FILE}")
    if memory is not None and PARALLEL in notes:
        memory = replace(memory, parallel=parallel_from_lines(notes[PARALLEL].encode(), f"{where} {PARALLEL}"))
    return memory


def _grown(entries: Sequence[Entry], config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the edits left one after another, put together by an empty delta of their kind."""
    first: Mapping[str, Any] = next((entry.tensors for entry in entries if entry.tensors is not None), {})
    delta = standing_alone(config, first)
    assert delta is not None  # only such kinds grow
    for entry in entries:
        if entry.tensors is not None:
            delta.adopt(entry.record.outcome.edit_id, entry.tensors)
    return delta.tensors(), tuple(delta.owners)


MEMORY_FILE = "memory file"


def _note(fold: int) -> str:
    return f"artefact of fold {fold}"


def edits_of(run: Path) -> tuple[Artefact, str]:
    """The edits of a run, or of one part of it: as it saved them, else as its journal has them; and where from.

    Raises:
        InputError: there is no such run, or it has several parts.
    """
    if not holds_edits(run) and (part := _part(run)) is not None:
        folder, number = part
        return from_journal(folder, number), str(folder / JOURNAL)
    return read_artefact(found := find_edits(run)), str(found)


def _part(run: Path) -> tuple[Path, int] | None:
    """The run's folder and the fold, where `run` names edits that only a journal has."""
    name = re.fullmatch(rf"{EDITS}(?:-(\d+))?", run.name)
    if (run / JOURNAL).is_file():
        folds = _folds(run)
        if folds > 1:
            parts = ", ".join(str(run / f"{EDITS}-{number}") for number in range(folds))
            raise InputError(f"{run} holds several: {parts}; name one")
        return None if edit_folders(run) else (run, 0)
    if name and (run.parent / JOURNAL).is_file():
        number = int(name[1] or 0)
        if number < _folds(run.parent):
            return run.parent, number
    return None


def _folds(run: Path) -> int:
    facts, _ = read_journal(run, tensors=False)
    return int(facts.get("folds", "1"))
