"""In what two pieces of plain data differ, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_MOST = 80


def different_field(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first field in which two objects differ, with both values; empty where none does."""
    for name in sorted({*was, *now}):
        if was.get(name, ...) != now.get(name, ...):
            one, other = (repr(fields[name]) if name in fields else "the default" for fields in (was, now))
            return f"{name} was {_short(one)} and is {_short(other)} now"
    return ""


def difference(was: str | None, now: str) -> str:
    """What was and what is; of two JSON objects the first field that differs."""
    with suppress(TypeError, ValueError):
        one, other = json.loads(was or ""), json.loads(now)
        if isinstance(one, dict) and isinstance(other, dict):
            return different_field(one, other)
    return f"was {_short(str(was))} and is {_short(now)} now"


def _short(shown: str) -> str:
    return shown if len(shown) <= _MOST else f"{shown[: _MOST - 1]}…"
