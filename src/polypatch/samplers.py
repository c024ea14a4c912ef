"""From which inputs is the change learned? A sampler draws examples of an edit; it never sees the model.

Where an edit has several texts in a language, its renderings, all are drawn with it; a sampler that draws languages at
random draws one of them.

``redraw`` says how often: ``"per_edit"`` draws once and trains on that; ``"per_step"`` draws anew at every optimiser
step. The MPN paper says "randomly sampled"; its Table 3 is only explained by a new draw at every step
(`docs/deviations.md`), which is therefore the default.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from polypatch.edits import MAPPED, Edit, Example, Lang
from polypatch.languages import languages_in
from polypatch.settings import Settings, at_least

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
class SourceOnly(Settings):
    """The source-language example alone: the monolingual editor."""

    redraw: Redraw = "per_edit"

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """One example, and the source's renderings."""
        del rng
        return edit.examples_in(edit.source)


@dataclass(frozen=True, kw_only=True)
class SourcePlusRandom(Settings):
    """The source example and its parallel in `k` other languages, drawn without replacement (MPN: eq. 9, k = 1)."""

    k: Annotated[int, at_least(1, hint="SourceOnly() draws none")] = 1
    redraw: Redraw = "per_step"

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """1 + min(k, other languages) examples, and the source's renderings."""
        others = edit.languages[1:]
        drawn = rng.sample(others, min(self.k, len(others)))
        return (*edit.examples_in(edit.source), *(_one_of(edit.examples_in(lang), rng) for lang in drawn))


@dataclass(frozen=True, kw_only=True)
class SourcePlusMapped(Settings):
    """The source example, `k` of its true parallels, and its query mapped to the other languages.

    Attributes:
        languages: those to map to; without any, `attach` fills in those of its parallel text.
        k: languages whose true parallel is drawn, which are not mapped to: with 0 no translation of the edit is needed,
            None takes all that the edit has.
        named: map to those languages alone that the edit names an answer for; `attach` sets it where a model answers in
            words of its own.
    """

    languages: tuple[Lang, ...] = ()
    k: Annotated[int, at_least(0, hint="None draws every language of the edit")] | None = 0
    redraw: Redraw = "per_edit"
    named: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "languages", languages_in(self.languages))
        super().__post_init__()

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """The source, the true parallels, then the mapped ones (languages ``~de``, …)."""
        others = edit.languages[1:]
        drawn = others if self.k is None else rng.sample(others, min(self.k, len(others)))
        true = (edit.source, *drawn)
        wanted = [lang for lang in self.languages if lang in edit.target] if self.named else self.languages
        mapped = (edit.example(f"{MAPPED}{lang}") for lang in wanted if lang not in true)
        return (*_all_in(edit, true), *mapped)


@dataclass(frozen=True)
class AllLanguages(Settings):
    """Every language the edit has: an upper bound, and cheap where queries are cached."""

    redraw: Redraw = "per_edit"

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """One example per language, and its renderings."""
        del rng
        return edit.examples


@dataclass(frozen=True)
class OnlyLanguages(Settings):
    """The source and the same fixed languages for every edit, as far as the edit has them."""

    languages: tuple[Lang, ...]
    redraw: Redraw = "per_edit"

    def __post_init__(self) -> None:
        object.__setattr__(self, "languages", languages_in(self.languages))
        super().__post_init__()

    def __call__(self, edit: Edit, rng: random.Random) -> tuple[Example, ...]:
        """The source, then `languages` in their order."""
        del rng
        chosen = (lang for lang in self.languages if lang in edit.prompt)
        return _all_in(edit, dict.fromkeys((edit.source, *chosen)))


def _all_in(edit: Edit, languages: Iterable[Lang]) -> tuple[Example, ...]:
    return tuple(example for lang in languages for example in edit.examples_in(lang))


def _one_of(examples: Sequence[Example], rng: random.Random) -> Example:
    # One alone takes no random number: what was drawn before there were renderings is drawn still.
    return rng.choice(examples) if len(examples) > 1 else examples[0]
