"""Where saved edits are: in a folder of their own, or in the folder of a run."""

from __future__ import annotations

from pathlib import Path

from polypatch.errors import InputError
from polypatch.files import hidden
from polypatch.store.folder import aside

EDITS, JOURNAL, CONFIG = "edits", "journal.sqlite", "edit_config.json"


def session_journal(folder: Path) -> Path:
    """The folder of the journal of a session on a folder of edits."""
    return hidden(folder, "session")


def edit_folders(folder: Path) -> list[Path]:
    """The saved edits in a run's folder: ``edits``, or ``edits-0``, ``edits-1``, …, in order."""
    left = (path.with_name(path.name[1:].removesuffix(".old")) for path in folder.glob(f".{EDITS}*.old"))
    found = {path for path in (*folder.glob(f"{EDITS}*"), *left) if holds_edits(path)}
    return sorted(found, key=lambda path: (len(path.name), path.name))


def holds_edits(folder: Path) -> bool:
    """Whether edits were saved there; also where a kill in the middle of replacing them moved the old ones aside."""
    return (folder / CONFIG).is_file() or (not folder.exists() and (aside(folder) / CONFIG).is_file())


def find_edits(folder: Path) -> Path:
    """`folder` if it holds edits, or the one folder of edits in it.

    Raises:
        InputError: there is none, or there are several.
    """
    if holds_edits(folder):
        return folder
    found = edit_folders(folder) if folder.is_dir() else []
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{folder} holds several: {', '.join(str(path) for path in found)}; name one")
    if (folder / JOURNAL).is_file():
        raise InputError(
            f"{folder}: holds no saved edits yet, but a run that was not finished; go on with it by polypatch edit … "
            f"--resume, or take out what it has by polypatch save {folder} FOLDER"
        )
    what = "holds no saved edits" if folder.is_dir() else "no such folder"
    raise InputError(f"{folder}: {what}; give a folder that polypatch edit wrote, such as RUN/edits")
