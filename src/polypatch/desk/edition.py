"""Editions: the states of a model's edits, in the order in which its one writer made them."""

from __future__ import annotations

from dataclasses import dataclass

from polypatch.store.artefact import Artefact


@dataclass(frozen=True)
class Edition:
    """One state of the edits.

    Attributes:
        writer: who made it; a writer that is started again has another name, and has all that the one before answered.
        number: how many changes this writer had made.
        edits: in the model, those that needed no change included.
        patches: in the model.
    """

    writer: str
    number: int
    edits: int
    patches: int

    def holds(self, other: Edition) -> bool:
        """Whether this is known to have all that `other` has; of two writers nobody knows without asking."""
        return self.writer == other.writer and self.number >= other.number


@dataclass(frozen=True)
class Edits:
    """What is in the model at an edition.

    Attributes:
        edition: which one.
        artefact: the edits, without a memory.
    """

    edition: Edition
    artefact: Artefact
