"""What a terminal shows while edits are made: a bar, notes, and a word at once where most of the first do not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polypatch.cli.console import Bars, Stop
from polypatch.editors.widths import settings_for
from polypatch.outcomes import EditOutcome
from polypatch.recipes import DEFAULT

if TYPE_CHECKING:
    from polypatch.runs import Run

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


class EditWatcher:
    """The bar over edits, notes, and what is said at a Ctrl-C: a `polypatch.runs.record.Watcher`."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.opening, self.say = bars.opening, bars.say

    def begins(self, run: Run, total: int, width: int) -> None:
        """So many edits follow."""
        self.name, self.total = run.name, total
        self.first = FirstFailures(run.recipe, run.built().at(width).editor, width)
        self.done = self.patches = self.triggered = self.took = 0

    def editing(self) -> Stop:
        """Inside the block a Ctrl-C ends after this edit."""
        return Stop(self.stopping)

    def made(self, outcome: EditOutcome) -> None:
        """One more edit."""
        self.done += 1
        self.patches += outcome.patches
        self.triggered += outcome.triggered
        self.took += outcome.triggered and outcome.success
        if note := self.first.add(outcome):
            self.bars.say(note)
        note = "1 patch" if self.patches == 1 else f"{self.patches} patches"
        if self.triggered:
            note += f", {100 * self.took / self.triggered:.0f} % took"
        self.bars.update(self.name, self.done, self.total, note)

    def stopping(self) -> None:
        """Ctrl-C was heard."""
        self.bars.say("stopping after this edit; Ctrl-C once more gives it up")
