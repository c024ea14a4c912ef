"""Files that are either the old one or the new one, never half of it; and files that are what they seem to be."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from polypatch.errors import InputError

LONGEST = 200
"""Bytes of a name that endings are put behind."""


def write_atomic(path: str | Path, content: bytes) -> Path:
    """Write `content` beside `path`, force it to disk, and rename it into place; missing folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A plain open and not `tempfile`, whose files only their owner may read.
    draft = beside(path)
    try:
        write_synced(draft, content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def beside(path: Path) -> Path:
    """A free name beside `path`, for what is being written or removed; `sweep` finds it after a kill."""
    return hidden(path, f"{uuid.uuid4().hex}.tmp")


def hidden(path: Path, ending: str) -> Path:
    """``.NAME.ending`` beside `path`, which may be called ``.`` or ``..``."""
    path = path.resolve() if path.name in ("", "..") else path
    return path.with_name(f".{shortened(path.name)}.{ending}")


def shortened(name: str) -> str:
    """A file's name with room for an ending: no file system has longer ones than 255 bytes."""
    raw = os.fsencode(name)
    return name if len(raw) <= LONGEST else f"{sha256(raw)[:32]}"


def discard(folder: Path) -> None:
    """Remove a folder. It is there or not, never half of it, also after a kill."""
    gone = beside(folder)
    folder.rename(gone)
    shutil.rmtree(gone)


def sweep(folder: Path, names: str) -> None:
    """Remove what kills left `beside` in `folder`, for files and folders whose (shortened) names match `names`."""
    for left in folder.glob(f".{names}.{'[0-9a-f]' * 32}.tmp"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Inside the block a disk's refusal is an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror or error})") from error


def read_plain(path: Path, follow_links: bool, error: type[Exception]) -> bytes:
    """The bytes of a plain file; `error` for a link (unless followed), a folder, a pipe, a device, or a refusal."""
    try:
        mode = (path.stat() if follow_links else path.lstat()).st_mode
        if stat.S_ISLNK(mode):
            raise error(f"{path}: is a link; a folder of edits holds plain files, so that nothing outside it is read")
        if not stat.S_ISREG(mode):
            raise error(f"{path}: is not a file")
        return path.read_bytes()
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except OSError as reason:
        raise error(f"{path}: cannot be read ({reason.strerror or reason})") from reason


def strict_json(raw: bytes, where: str, error: type[Exception]) -> Any:
    """The value of a JSON text as the standard has it: UTF-8, no NaN, no name twice; `error` for anything else."""

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number of JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a name occurs twice in one object")
        return dict(pairs)

    try:
        return json.loads(raw.decode(), parse_constant=constant, object_pairs_hook=once)
    except (ValueError, RecursionError) as reason:
        raise error(f"{where}: not readable as JSON ({reason})") from reason


def sha256(raw: bytes) -> str:
    """The hash, in hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()
