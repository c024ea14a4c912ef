"""The world on disk: a folder that is either whole and checked by checksums, or not there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from polypatch._version import __version__
from polypatch.errors import DataError
from polypatch.world.config import WorldConfig

if TYPE_CHECKING:
    from polypatch.world.speaking.config import SpeakingConfig

_LOG = logging.getLogger(__name__)

CHECKSUMS = "checksums.json"
_NOT_RECIPE = {"__init__.py", "cache.py", "load.py", "describe.py", "shipped.py"}
_ATTEMPTS = 3


def cache_root() -> Path:
    """The user's cache: POLYPATCH_CACHE, else XDG_CACHE_HOME/polypatch, else ~/.cache/polypatch."""
    if own := os.environ.get("POLYPATCH_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "polypatch"


def recipe_hash(config: WorldConfig | SpeakingConfig, *folders: Path) -> str:
    """Ten hex digits that change with any number of the config and any line of the code or text that makes a world.

    The code is this folder's, and that of the other `folders`.
    """
    digest = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    for folder in (Path(__file__).parent, *folders):
        for source in sorted(folder.glob("*.py")):
            if source.name not in _NOT_RECIPE:
                digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:10]


def world_path(seed: int, config: WorldConfig, cache_dir: str | Path | None = None) -> Path:
    """Where the world of `seed` and `config` lives, built or not."""
    root = Path(cache_dir) if cache_dir is not None else cache_root()
    return root / "world" / f"{__version__}-{recipe_hash(config)}-seed{seed}"


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def verify(folder: Path) -> None:
    """Check every file of the folder against its checksum.

    Raises:
        DataError: the folder is not a whole world; the message names the first wrong file and the fix.
    """
    fix = f"delete {folder} and build it again"
    try:
        expected = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / CHECKSUMS} is missing or unreadable ({error}): {fix}") from error
    found = _digests(folder)
    wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    if wrong:
        raise DataError(f"{folder / wrong[0]} is damaged, missing or foreign: {fix}")


@contextmanager
def _workshop(beside: Path) -> Iterator[Path]:
    """A temporary sibling of `beside`, removed on the way out, Ctrl-C included."""
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{beside.name}-", dir=beside.parent))
    except OSError as error:
        fix = "set POLYPATCH_CACHE to a folder that you can write to"
        raise DataError(f"cannot write to the cache {beside.parent} ({error.strerror}): {fix}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary sibling of `folder`, add checksums, and move it into place in one step.

    Whatever stands at `folder` is replaced if damaged. If another process has put a whole world there meanwhile, that
    one stays: the same seed gives the same world.

    Raises:
        DataError: the cache cannot be written to.
    """
    with _workshop(folder) as workshop:
        made = workshop / "world"
        made.mkdir()
        write(made)
        (made / CHECKSUMS).write_text(json.dumps(_digests(made), indent=1), encoding="utf-8")
        for attempt in range(_ATTEMPTS):
            if _place(made, folder, workshop / f"damaged-{attempt}"):
                return
        made.rename(folder)  # says what is in the way


def keep(folder: Path, write: Callable[[Path], None]) -> None:
    """`put`, unless the folder is there and whole; the log names what was damaged.

    Raises:
        DataError: the cache cannot be written to.
    """
    try:
        verify(folder)
    except DataError as damage:
        if folder.exists():
            _LOG.warning("the cached world is built again: %s", damage)
        put(folder, write)


def _place(made: Path, folder: Path, aside: Path) -> bool:
    """Rename `made` to `folder`, or find a whole world there; else move what is there `aside` and return False."""
    try:
        made.rename(folder)
    except OSError:
        try:
            verify(folder)
        except DataError:
            # moved, not deleted in place, so that no reader meets half a world; another builder may have been faster
            with suppress(OSError):
                folder.rename(aside)
            return False
    return True
