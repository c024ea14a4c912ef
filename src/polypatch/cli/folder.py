"""The folder of a run: refused before the work starts, and never half replaced."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polypatch.errors import InputError

REPORT, MARKDOWN, CELLS, EDITS, JOURNAL = "report.json", "report.md", "cells.json", "edits", "journal.sqlite"
_CONFIG = "edit_config.json"


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
            shutil.rmtree(path)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Inside the block a disk's refusal is an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror or error})") from error


def edit_folders(folder: Path) -> list[Path]:
    """The saved edits in a run's folder: ``edits``, or ``edits-0``, ``edits-1``, …, in order."""
    found = [path for path in folder.glob(f"{EDITS}*") if (path / _CONFIG).is_file()]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def find_edits(folder: Path) -> Path:
    """`folder` if it holds edits, or the one folder of edits in it.

    Raises:
        InputError: there is none, or there are several.
    """
    if (folder / _CONFIG).is_file():
        return folder
    found = edit_folders(folder) if folder.is_dir() else []
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{folder} holds several: {', '.join(str(path) for path in found)}; name one")
    what = "holds no saved edits" if folder.is_dir() else "no such folder"
    raise InputError(f"{folder}: {what}; give a folder that polypatch edit wrote, such as RUN/edits")


def _files(folder: Path) -> list[Path]:
    names = (REPORT, MARKDOWN, "cells*.json", "trajectory.png")
    return sorted(path for name in names for path in folder.glob(name) if path.is_file())
