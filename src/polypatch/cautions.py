"""Warnings: what was done as asked and is likely not what was wanted."""

from __future__ import annotations

import sys
import warnings

from polypatch.errors import PolypatchWarning

DEAR = 2.0
"""Per cent of the other answers in one language: beyond it a change is warned of."""


def caution(message: str) -> None:
    """Warn at the line outside polypatch that led here."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "polypatch":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, PolypatchWarning, stacklevel=level)
