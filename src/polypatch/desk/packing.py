"""A folder as a zip file, for somebody to take away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def zipped(write: Callable[[Path], object]) -> bytes:
    """What `write` puts into a folder, as a zip file of that folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "folder"
        write(folder)
        return Path(shutil.make_archive(str(Path(place) / "packed"), "zip", folder)).read_bytes()
