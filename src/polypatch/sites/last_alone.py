"""Passes of which only the last position is looked at: what comes of the others need not be worked out.

Greedy decoding says so. What reads whole texts at every position (`polypatch.sites.text_beside`) goes by it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Here(threading.local):
    """What one thread has said."""

    alone = False


_HERE = _Here()


@contextmanager
def last_alone() -> Iterator[None]:
    """Inside the block nobody looks at what this thread's passes give at other positions than their last."""
    before, _HERE.alone = _HERE.alone, True
    try:
        yield
    finally:
        _HERE.alone = before


def asked(new: int) -> int:
    """How many of a pass's `new` positions are looked at, counted from the last."""
    return 1 if _HERE.alone else new
