"""The work behind ``polypatch save``."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from polypatch.cli.console import as_json
from polypatch.errors import InputError
from polypatch.store.artefact import Artefact, read_artefact
from polypatch.store.cut import require_current
from polypatch.store.journal import read_journal
from polypatch.store.places import EDITS, JOURNAL, edit_folders, find_edits, holds_edits
from polypatch.store.unsaved import from_journal
from polypatch.store.write import write_artefact


@dataclass(frozen=True)
class SavedEdits:
    """What was written.

    Attributes:
        folder: where.
        source: the folder or the journal it came from.
        edits: how many, by status.
        patches: neurons in it.
        address: on the hub; None where it was not uploaded.
    """

    folder: str
    source: str
    edits: dict[str, int]
    patches: int
    address: str | None = None

    def __str__(self) -> str:
        count = ", ".join(f"{number} {status}" for status, number in self.edits.items())
        lines = [f"{self.folder}: {sum(self.edits.values())} edits ({count}), {self.patches} patches, of {self.source}"]
        return "\n".join([*lines, *([f"uploaded to {self.address}"] if self.address else [])])

    def to_json(self) -> str:
        """For ``--json``."""
        return as_json(asdict(self))


def save_edits(run: Path, folder: Path, *, overwrite: bool, repo_id: str | None, private: bool) -> SavedEdits:
    """Write the edits of a run to `folder`, and upload them where a repository is named.

    Raises:
        PolypatchError: there are none or several, `folder` is taken, or the hub refuses.
    """
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists; take another folder, or add --overwrite")
    artefact, source = edits_of(run)
    require_current(artefact)
    write_artefact(folder, artefact)
    address = _pushed(artefact, repo_id, private, folder) if repo_id is not None else None
    count = Counter(str(record.status) for record in artefact.records)
    return SavedEdits(str(folder), source, dict(count), len(artefact.owners), address)


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


def _pushed(artefact: Artefact, repo_id: str, private: bool, folder: Path) -> str:
    from polypatch.cli.prepare import prepare

    prepare()
    from polypatch.store.load import push_artefact

    try:
        # The texts of the memory stay here: they may be nobody else's business.
        return push_artefact(replace(artefact, memory=None), repo_id, private=private, token=None)
    except InputError as error:
        raise InputError(f"{error}; the edits are in {folder}") from error
