"""The edits of a run as its journal has them: an artefact without the model, and without learning anything again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polypatch.artefact import Artefact
from polypatch.errors import JournalError
from polypatch.files import strict_json
from polypatch.journal import Entry, Journal, read_journal


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
    if config["delta"] == "patches":
        return Artefact(*_patches(entries, config["hidden_size"]), records, config)
    weights = [entry.tensors for entry in entries if entry.tensors is not None]
    if not weights:
        raise JournalError(f"{folder}: none of the {len(entries)} edits in the journal has changed the model yet")
    return Artefact(weights[-1], (), records, config)


def _patches(entries: Sequence[Entry], width: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    import torch

    parts: dict[str, list[Any]] = {
        "keys": [torch.empty(0, width)],
        "biases": [torch.empty(0)],
        "values": [torch.empty(0, width)],
    }
    owners: list[str] = []
    for entry in entries:
        if entry.tensors is not None:
            owners += [entry.record.outcome.edit_id] * len(entry.tensors["biases"])
            for name, part in parts.items():
                part.append(entry.tensors[name])
    return {name: torch.cat(part) for name, part in parts.items()}, tuple(owners)


def _note(fold: int) -> str:
    return f"artefact of fold {fold}"
