"""A checkpoint's folder: written whole or not at all, and put in the place of nothing but another checkpoint."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polypatch.cli.folder import writing
from polypatch.errors import InputError

_CONFIG, _WEIGHTS = "config.json", ("*.safetensors", "*.bin")


def holds_checkpoint(folder: Path) -> bool:
    """Whether `folder` is one: a configuration and weights."""
    return (folder / _CONFIG).is_file() and any(any(folder.glob(name)) for name in _WEIGHTS)


def require_free(folder: Path, overwrite: bool) -> None:
    """Check that a checkpoint may be written to `folder`.

    Raises:
        InputError: there is something, which is not to be replaced.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not overwrite:
        raise InputError(f"{folder} exists; take another --out, or add --overwrite")
    if folder.is_symlink() or not holds_checkpoint(folder):
        raise InputError(f"{folder}: exists and holds no checkpoint; refusing to replace it")


@contextmanager
def staged(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A new folder to write to, which takes the place of `folder` when the block ends well, and else goes.

    Raises:
        InputError: the disk refuses, or `folder` is taken.
    """
    new = [path for path in (folder.parent, *folder.parent.parents) if not path.exists()]
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.new-"))
        try:
            yield staging
            staging.chmod(0o755)
            require_free(folder, overwrite)  # once more: that was minutes ago
            _replace(staging, folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            with suppress(OSError):  # somebody else has put something there meanwhile
                for path in new:
                    path.rmdir()
            raise


def _replace(staging: Path, folder: Path) -> None:
    if not folder.exists():
        staging.rename(folder)
        return
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.old-"))
    folder.rename(aside / folder.name)
    try:
        staging.rename(folder)
    except BaseException:
        (aside / folder.name).rename(folder)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
