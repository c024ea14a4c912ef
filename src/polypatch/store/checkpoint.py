"""A checkpoint's folder: written whole or not at all, and put in the place of nothing but another checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from polypatch.errors import InputError
from polypatch.store.folder import replacing

_CONFIG, _WEIGHTS = "config.json", ("*.safetensors", "*.bin")


def holds_checkpoint(folder: Path) -> bool:
    """Whether `folder` is one: a configuration and weights."""
    return (folder / _CONFIG).is_file() and any(any(folder.glob(name)) for name in _WEIGHTS)


def require_free(folder: Path, overwrite: bool) -> None:
    """Check that a checkpoint may be written to `folder`.

    Raises:
        InputError: there is something, which is not to be replaced.
    """
    if folder.exists() and (why := _taken(folder, overwrite)):
        raise InputError(f"{folder}: {why}")


def _taken(folder: Path, overwrite: bool) -> str:
    if not overwrite:
        return "exists; take another --out, or add --overwrite"
    return "" if holds_checkpoint(folder) else "exists and holds no checkpoint; refusing to replace it"


@contextmanager
def staged(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A new folder to write to, which takes the place of `folder` when the block ends well, and else goes.

    Raises:
        InputError: the disk refuses, or `folder` is taken.
    """
    with replacing(folder, lambda place: _taken(place, overwrite), InputError) as staging:
        try:
            yield staging
        except SafetensorError as error:  # what its writer makes of a full disk
            raise InputError(f"{folder}: cannot be written ({error})") from error
