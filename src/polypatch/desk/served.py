"""What a service needs of whatever answers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from polypatch.desk.reader import Version
from polypatch.edits import Edit, Text
from polypatch.model.explain import Explanation
from polypatch.model.fix import Fix
from polypatch.store.history import HistoryLine


class Served(Protocol):
    """A `Desk`, or what stands for one; each says the same by the same name."""

    @property
    def name(self) -> str:
        """Of the model, for people."""

    @property
    def writes(self) -> bool:
        """Whether the model writes its answers."""

    @property
    def inside(self) -> int:
        """Edits in the model."""

    @property
    def patches(self) -> int:
        """Neurons added, or entries of a codebook."""

    def answers(self, texts: Sequence[Text]) -> Version:
        """The model's answers, all by one state of the model."""

    def why(self, text: Text) -> Explanation:
        """Which edits act on a text."""

    def history(self) -> list[HistoryLine]:
        """Every edit that was handled, in order."""

    def trial(self, edit: Edit) -> Fix:
        """What a fix would do."""

    def keep(self, edit: Edit) -> Fix:
        """Make a fix and keep it."""

    def revert(self, edit_ids: Sequence[str]) -> None:
        """Take edits back."""
