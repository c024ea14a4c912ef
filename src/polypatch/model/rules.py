"""Rules: how edits are made and judged, whatever the recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from polypatch.data.given import labelled_in
from polypatch.edits import Labelled, Lang
from polypatch.languages import languages_in
from polypatch.model.guard import Guard
from polypatch.settings import Settings, at_least


@dataclass(frozen=True, kw_only=True)
class Watch(Settings):
    """What to measure along the way: every `every` edits, reliability on past edits and accuracy on these sets."""

    every: Annotated[int, at_least(1)]
    locality: Mapping[str, Sequence[Labelled]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "locality", labelled_in(self.locality))


@dataclass(frozen=True, kw_only=True)
class Rules(Settings):
    """How edits are made and judged, whatever the recipe.

    Attributes:
        retries: further attempts, with fresh random numbers, at an edit that did not take or cost too much.
        keep_failed: keep what a failed edit left in the model (the released code does); False takes it back. What
            costs more than a guard allows is taken back in any case.
        guard: take back an edit that costs more on held-out texts than its budget.
        allow_contradictions: accept edits that want different answers to the very same input.
        languages: what samplers and triggers may use beside the source; None: every language an edit has.
        watch: measure a trajectory.
        seed: of everything random in the edits; one history has one seed.
    """

    retries: Annotated[int, at_least(0)] = 0
    keep_failed: bool = False
    guard: Guard | None = None
    allow_contradictions: bool = False
    languages: Sequence[Lang] | None = None
    watch: Watch | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.languages is not None:
            object.__setattr__(self, "languages", languages_in(self.languages))

    def plain(self) -> dict[str, Any]:
        """What is written beside saved edits of how they were judged; the guard's texts are not."""
        more = {"allow_contradictions": self.allow_contradictions, "languages": self.languages and list(self.languages)}
        said = {name: value for name, value in more.items() if value}
        return {"retries": self.retries, "keep_failed": self.keep_failed, **said}
