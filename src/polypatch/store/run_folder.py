"""The folder of a run: refused before the work starts, and never half replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polypatch.errors import InputError
from polypatch.files import discard, sweep, writing
from polypatch.store.folder import aside
from polypatch.store.places import EDITS, JOURNAL, edit_folders

REPORT, MARKDOWN, PAGE = "report.json", "report.md", "report.html"
CELLS, ANSWERS = "cells.json", "answers.jsonl"
_NAMES = (REPORT, MARKDOWN, PAGE, "cells*.json", "answers*.jsonl", "trajectory.png")


def claim(folder: Path, overwrite: bool, resume: bool = False) -> None:
    """Check that results can be written to `folder`, and that none are lost by it.

    Raises:
        InputError: it holds results, is a file, or cannot be written to.
    """
    held = results_in(folder)
    begun = (folder / JOURNAL).is_file()
    if begun and not held and not (overwrite or resume):
        raise InputError(f"{folder} holds a run that was not finished; go on with it by --resume, or add --overwrite")
    if held and not overwrite and not (begun and resume):
        raise InputError(f"{folder} holds results ({', '.join(held[:3])}); take another --out, or add --overwrite")
    probe = folder / ".polypatch-probe"
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        for path in new:  # a mistake found later should not leave an empty folder
            path.rmdir()


def results_in(folder: Path) -> list[str]:
    """The names of the results in a folder."""
    return [path.name for path in (*_files(folder), *edit_folders(folder))]


def clear(folder: Path) -> None:
    """Remove what an earlier run left, and nothing else."""
    with writing(folder):
        for path in _files(folder):
            path.unlink()
        for path in edit_folders(folder):
            for gone in (path, aside(path)):
                if gone.exists():
                    discard(gone)
        for names in (*_NAMES, f"{EDITS}*"):
            sweep(folder, names)


def require_as_made(folder: Path) -> None:
    """Refuse to write the edits of a run anew where some were taken back or added since: the journal knows neither.

    Raises:
        InputError: there are such edits.
    """
    from polypatch.errors import ArtefactError
    from polypatch.store.artefact import read_artefact
    from polypatch.store.journal import read_journal

    _, folds = read_journal(folder, tensors=False)
    made = {entry.record.outcome.edit_id for entries in folds.values() for entry in entries}
    for path in edit_folders(folder):
        try:
            records = read_artefact(path, tensors=False).records
        except ArtefactError:  # damaged: what is in the journal is all there is
            continue
        _require_none(path, [one.outcome.edit_id for one in records if one.reverted], "reverted", "bring that back")
        added = [one.outcome.edit_id for one in records if one.outcome.edit_id not in made]
        _require_none(path, added, "added", "leave that out")


def _require_none(path: Path, ids: Sequence[str], what: str, lost: str) -> None:
    if ids:
        named = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
        raise InputError(
            f"{path}: {named} {what} since, and the journal would {lost}; keep the folder elsewhere with polypatch "
            "save, then use --overwrite"
        )


def _files(folder: Path) -> list[Path]:
    return sorted(path for names in _NAMES for path in folder.glob(names) if path.is_file())
