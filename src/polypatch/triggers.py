"""When is a change needed? A trigger names the examples to look at; one wrong answer among them asks for a change."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from polypatch.edits import Edit, Example


class Trigger(Enum):
    """Which wrong answers start an edit, under the model as it is when the edit arrives."""

    SOURCE = "source"
    """The source-language example (Transformer-Patcher)."""
    SAMPLED = "sampled"
    """Any of the examples the sampler drew first (MPN *only*)."""
    ANY = "any"
    """Any language the edit may use (MPN *all*)."""
    ALWAYS = "always"
    """Every edit, also one that is right already."""

    def examples(self, edit: Edit, sampled: Sequence[Example]) -> tuple[Example, ...]:
        """The examples whose answers decide; empty for ALWAYS, which needs none."""
        if self is Trigger.ALWAYS:
            return ()
        if self is Trigger.SAMPLED:
            return tuple(sampled)
        return edit.examples if self is Trigger.ANY else (edit.example(edit.source),)

    def fires(self, right: Sequence[bool]) -> bool:
        """Whether a change is needed, given which of `examples` are answered right."""
        return self is Trigger.ALWAYS or not all(right)
