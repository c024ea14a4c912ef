"""The edits of a run as its journal has them: an artefact without the model, and without learning anything again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polypatch.deltas.kinds import KINDS, standing_alone
from polypatch.errors import JournalError
from polypatch.files import strict_json
from polypatch.store.artefact import Artefact
from polypatch.store.journal import Entry, Journal, read_journal


def keep_config(journal: Journal, fold: int, config: Mapping[str, Any]) -> None:
    """Write down what an artefact says beside its edits, once per fold."""
    journal.note(_note(fold), json.dumps(config))


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
    if KINDS[config["delta"]].in_parts:
        return Artefact(*_grown(entries, config), records, config)
    weights = [entry.tensors for entry in entries if entry.tensors is not None]
    if not weights:
        raise JournalError(f"{folder}: none of the {len(entries)} edits in the journal has changed the model yet")
    return Artefact(weights[-1], (), records, config)


def _grown(entries: Sequence[Entry], config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the edits left one after another, put together by an empty delta of their kind."""
    first: Mapping[str, Any] = next((entry.tensors for entry in entries if entry.tensors is not None), {})
    delta = standing_alone(config, first)
    assert delta is not None  # only such kinds grow
    for entry in entries:
        if entry.tensors is not None:
            delta.adopt(entry.record.outcome.edit_id, entry.tensors)
    return delta.tensors(), tuple(delta.owners)


def _note(fold: int) -> str:
    return f"artefact of fold {fold}"
