"""The folder of a run: refused before the work starts, and never half replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polypatch.errors import InputError
from polypatch.files import discard, sweep
from polypatch.store.folder import aside

REPORT, MARKDOWN, CELLS, EDITS, JOURNAL = "report.json", "report.md", "cells.json", "edits", "journal.sqlite"
_CONFIG = "edit_config.json"
_NAMES = (REPORT, MARKDOWN, "cells*.json", "trajectory.png")


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


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Inside the block a disk's refusal is an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror or error})") from error


def edit_folders(folder: Path) -> list[Path]:
    """The saved edits in a run's folder: ``edits``, or ``edits-0``, ``edits-1``, …, in order."""
    left = (path.with_name(path.name[1:].removesuffix(".old")) for path in folder.glob(f".{EDITS}*.old"))
    found = {path for path in (*folder.glob(f"{EDITS}*"), *left) if holds_edits(path)}
    return sorted(found, key=lambda path: (len(path.name), path.name))


def holds_edits(folder: Path) -> bool:
    """Whether edits were saved there; also where a kill in the middle of replacing them moved the old ones aside."""
    return (folder / _CONFIG).is_file() or (not folder.exists() and (aside(folder) / _CONFIG).is_file())


def require_no_reverted(folder: Path) -> None:
    """Refuse to write the edits of a run anew where some were taken back by hand: they would be in the model again.

    Raises:
        InputError: there are such edits.
    """
    from polypatch.errors import ArtefactError
    from polypatch.store.artefact import read_artefact

    for path in edit_folders(folder):
        try:
            records = read_artefact(path, tensors=False).records
        except ArtefactError:  # damaged: what is in the journal is all there is
            continue
        reverted = [record.outcome.edit_id for record in records if record.reverted]
        if reverted:
            named = ", ".join(reverted[:3]) + (", …" if len(reverted) > 3 else "")
            raise InputError(
                f"{path}: {named} reverted since, and the journal would bring that back; keep the folder elsewhere "
                "with polypatch save, then use --overwrite"
            )


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


def _files(folder: Path) -> list[Path]:
    return sorted(path for names in _NAMES for path in folder.glob(names) if path.is_file())
