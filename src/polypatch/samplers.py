"""From which inputs is the change learned? A sampler draws examples of an edit; it never sees the model.

``redraw`` says how often: ``"per_edit"`` draws once and trains on that; ``"per_step"`` draws anew at every optimiser
step. The MPN paper says "randomly sampled"; its Table 3 is only explained by a new draw at every step
(`docs/deviations.md`), which is therefore the default.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, Protocol

from polypatch.edits import MAPPED, Edit, Example, Lang

Redraw = Literal["per_step", "per_edit"]


class Sampler(Protocol):
    """Pure and seeded: the same edit and the same random state give the same examples, the source first."""

    @property
    def redraw(self) -> Redraw:
        """Whether an editor gets a new draw at every step."""
        ...

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """The examples to train on; `edit` holds the languages that may be drawn and no others."""
        ...


@dataclass(frozen=True)
class SourceOnly:
    """The source-language example alone: the monolingual editor."""

    redraw: Redraw = "per_edit"

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """One example."""
        del rng
        return (edit.example(edit.source),)


@dataclass(frozen=True, kw_only=True)
class SourcePlusRandom:
    """The source example and its parallel in `k` other languages, drawn without replacement (MPN: eq. 9, k = 1)."""

    k: int = 1
    redraw: Redraw = "per_step"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be at least 1, not {self.k}; use SourceOnly() for none")

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """1 + min(k, other languages) examples."""
        others = edit.languages[1:]
        drawn = rng.sample(others, min(self.k, len(others)))
        return tuple(edit.example(lang) for lang in (edit.source, *drawn))


@dataclass(frozen=True, kw_only=True)
class SourcePlusMapped:
    """The source example alone, and its query mapped to other languages: no translation of the edit is needed.

    Attributes:
        languages: those to map to; without any, `attach` fills in those of its parallel text.
        parallel: true parallel examples beside, of all languages that the edit has; these are not mapped to.
    """

    languages: tuple[Lang, ...] = ()
    parallel: bool = False
    redraw: Redraw = "per_edit"

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """The source, true parallels where wanted, then the mapped ones (languages ``~de``, …)."""
        del rng
        true = edit.languages if self.parallel else (edit.source,)
        mapped = (f"{MAPPED}{lang}" for lang in self.languages if lang not in true)
        return tuple(edit.example(lang) for lang in (*true, *mapped))


@dataclass(frozen=True)
class AllLanguages:
    """Every language the edit has: an upper bound, and cheap where queries are cached."""

    redraw: Redraw = "per_edit"

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """One example per language."""
        del rng
        return tuple(edit.example(lang) for lang in edit.languages)


@dataclass(frozen=True)
class OnlyLanguages:
    """The source and the same fixed languages for every edit, as far as the edit has them."""

    languages: tuple[Lang, ...]
    redraw: Redraw = "per_edit"

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """The source, then `languages` in their order."""
        del rng
        chosen = (lang for lang in self.languages if lang in edit.prompt)
        return tuple(edit.example(lang) for lang in dict.fromkeys((edit.source, *chosen)))
