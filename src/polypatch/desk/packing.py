"""A folder as a zip file, for somebody to take away."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path


def zipped(write: Callable[[Path], object]) -> bytes:
    """What `write` puts into a folder, as a zip file of that folder."""
    with tempfile.TemporaryDirectory() as place:
        folder, packed = Path(place) / "folder", io.BytesIO()
        write(folder)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    file.write(path, path.relative_to(folder))
        return packed.getvalue()
