"""Folders that are replaced whole: filled under another name, looked at, and put in the place of the old one.

One writer at a time: a lock beside the folder, which dies with its process and is gone when nobody holds it. A link is
followed: what it points to is replaced, never the link.
"""

from __future__ import annotations

import glob
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from polypatch.errors import PolypatchError
from polypatch.files import beside, discard, hidden, shortened, sweep

PATIENCE = 60.0
"""Seconds to wait for another writer."""


def place_of(folder: Path) -> Path:
    """The folder that `folder` names: absolute, through links, without ``.`` and ``..``.

    Raises:
        OSError: links that lead to themselves; the root.
    """
    try:
        place = folder.resolve()
    except RuntimeError as error:  # how this Python says that links go round in circles
        raise OSError(str(error)) from error
    if not place.name:
        raise OSError("it is the root of all folders")
    return place


def aside(folder: Path) -> Path:
    """Where the old folder is while the new one takes its place; after a kill in between, the only one there is."""
    return hidden(folder, "old")


@contextmanager
def changing(folder: Path, error: type[PolypatchError], patience: float = PATIENCE) -> Iterator[None]:
    """Inside the block no other process replaces `folder`; whoever is inside may go in again.

    Raises:
        PolypatchError: of type `error`: another process is at it for longer than `patience` seconds, or the disk
            refuses.
    """
    with _refused(folder, error):
        place = place_of(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        # One object for one place: the same process may hold it twice.
        lock = FileLock(hidden(place, "lock"), is_singleton=True)
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise error(f"{folder}: another process is changing it; wait for it, or stop it") from None
    try:
        yield
    finally:
        if lock.lock_counter == 1:
            with suppress(OSError):  # before it is let go: who waits sees that its file is gone, and makes another
                Path(lock.lock_file).unlink()
        lock.release()


@contextmanager
def replacing(folder: Path, replaceable: Callable[[Path], str], error: type[PolypatchError]) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `folder` when the block ends well, and else goes.

    Args:
        folder: where; missing parents are made, and go again where the block fails.
        replaceable: why what is there may not be replaced, or the empty string.
        error: what to raise.

    Raises:
        PolypatchError: of type `error`: the disk refuses, another process is at work, or `folder` is taken.
    """
    new = [path for path in folder.absolute().parents if not path.exists()]
    try:
        with changing(folder, error), _refused(folder, error):
            place = place_of(folder)
            _settle(place)
            staging = beside(place)
            staging.mkdir()
            try:
                yield staging
                if place.exists() and (why := replaceable(place)):
                    raise error(f"{folder}: {why}")
                _swap(staging, place)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except BaseException:
        with suppress(OSError):  # somebody else has put something there meanwhile
            for path in new:
                path.rmdir()
        raise


@contextmanager
def _refused(folder: Path, error: type[PolypatchError]) -> Iterator[None]:
    try:
        yield
    except OSError as reason:
        raise error(f"{folder}: cannot be written ({reason.strerror or reason})") from reason


def _settle(place: Path) -> None:
    """Clear up what a kill in the middle of an earlier write left."""
    if aside(place).exists():
        if place.exists():
            discard(aside(place))
        else:
            aside(place).rename(place)
    for left in (place, aside(place)):
        sweep(place.parent, glob.escape(shortened(left.name)))


def _swap(staging: Path, place: Path) -> None:
    if not place.exists():
        staging.rename(place)
        return
    place.rename(aside(place))
    try:
        staging.rename(place)
    except BaseException:
        aside(place).rename(place)
        raise
    discard(aside(place))
