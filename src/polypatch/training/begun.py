"""A training that was begun: the folder beside its result in which all is kept to go on from, and what it is of."""

from __future__ import annotations

from pathlib import Path

from polypatch.errors import InputError
from polypatch.evaluation.strict_json import to_json
from polypatch.files import discard, strict_json, write_atomic, writing
from polypatch.store.identity import Identity

STARTED = "started.json"


def work_of(out: Path) -> Path:
    """The folder, until `out` is there."""
    return out.with_name(f"{out.name}.training")


def require_own(work: Path, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that is in the way, before the work.

    Raises:
        InputError: it is of something else, or of a training that nobody wants to go on with.
    """
    if work.exists() and not (work / STARTED).is_file():
        raise InputError(f"{work}: is in the way and is no training of polypatch; take another --out")
    if work.exists() and not (resume or overwrite):
        raise InputError(f"{work}: a training that was not finished; go on with it by --resume, or add --overwrite")


def begin(work: Path, identity: Identity, overwrite: bool) -> None:
    """Write down what is trained; where something was begun, it must be the same.

    Raises:
        InputError: it is not, or the disk refuses.
    """
    if overwrite and work.exists():
        discard(work)
    with writing(work):
        if not (work / STARTED).is_file():
            write_atomic(work / STARTED, to_json(identity.facts).encode())
            return
    begun = strict_json((work / STARTED).read_bytes(), str(work / STARTED), InputError)
    identity.require(begun, work, "give the same command, or --overwrite to start anew", InputError)
