"""Strict JSON: NaN never appears in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from polypatch.rendering.harmless import escaped


def to_json(value: object, *, indent: int | None = 2) -> str:
    """`value` as strict JSON: NaN and infinities become null, tuples lists, numpy scalars numbers.

    Characters that command a terminal or turn text round are written as escapes.
    """
    return escaped(json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False))


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
