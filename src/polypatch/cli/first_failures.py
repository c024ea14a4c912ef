"""A word at once where most of the first edits do not take, and what to do about it."""

from __future__ import annotations

from typing import Any

from polypatch.editors.widths import settings_for
from polypatch.outcomes import EditOutcome
from polypatch.recipes import DEFAULT

LOOKED_AT = 8
TOO_MANY = 5


class FirstFailures:
    """Watches the first edits that need a change.

    Args:
        recipe: the row's name.
        editor: how the edits are learned, its settings fitted to the model.
        width: of the model.
    """

    def __init__(self, recipe: str, editor: Any, width: int) -> None:
        self._recipe, self._editor, self._width = recipe, editor, width
        self._looked_at = self._failed = 0

    def add(self, outcome: EditOutcome) -> str:
        """What to say after this edit: once, when five of the first eight did not take; else nothing."""
        if not outcome.triggered or self._looked_at == LOOKED_AT or self._failed == TOO_MANY:
            return ""
        self._looked_at += 1
        self._failed += not outcome.success
        if self._failed < TOO_MANY:
            return ""
        said = f"{self._failed} of the first {self._looked_at} edits that needed a change did not take"
        return f"note: {said} (the last: {outcome.failure}); {self._advice()}"

    def _advice(self) -> str:
        others = [
            f"--set {name}={value:g}"
            for name, value in settings_for(self._width).items()
            if getattr(self._editor, name, value) != value
        ]
        if others:
            return f"settings for a model {self._width} wide: {' '.join(others)}"
        if self._recipe != DEFAULT:
            return f"--retries tries again, and --recipe {DEFAULT} computes a patch in place of training it"
        return "a memory with fewer texts leaves more room, and --retries tries again with other random numbers"
