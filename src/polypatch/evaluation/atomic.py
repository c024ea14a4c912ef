"""Files that are either the old one or the new one, never half of it; and JSON in which NaN never appears."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_atomic(path: str | Path, content: bytes) -> Path:
    """Write `content` beside `path` and rename it into place (`os.replace`); missing folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # a plain open and not `tempfile`, whose files only their owner may read
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)  # noqa: PTH105 (the documented atomic primitive)
    finally:
        draft.unlink(missing_ok=True)
    return path


def to_json(value: object, *, indent: int | None = 2) -> str:
    """`value` as strict JSON: NaN and infinities become null, tuples lists, numpy scalars numbers."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def plain(value: object) -> object:
    """`value` rebuilt from dict, list, str, int, float, bool and None; anything else becomes its `str`."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
