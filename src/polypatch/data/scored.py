"""Several translations of one sentence, each with the probability that its model gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from polypatch.edits import words_of


class ScoredText(NamedTuple):
    """One translation.

    Attributes:
        text: the translation.
        confidence: the geometric mean of its tokens' probabilities, its end included, exp(mean log p): 0 to 1. None
            where it is not known: of a translator that says none, or in a cache of an older polypatch.
    """

    text: str
    confidence: float | None = None


def ordered(found: Sequence[ScoredText], kept: str | None = None) -> tuple[ScoredText, ...]:
    """The first, then those that are another text, the surest first; texts that differ in white space only are one.

    Args:
        found: the translations, that of the model's own search first.
        kept: the text that was taken before, which stays the first.
    """
    found = [one._replace(text=one.text.strip()) for one in found]
    first = found[0] if kept is None else next((one for one in found if one.text == kept), ScoredText(kept))
    others = sorted(found, key=lambda one: -(one.confidence or 0.0))
    distinct = {words_of(first.text): first}
    for one in others:
        if one.text:
            distinct.setdefault(words_of(one.text), one)
    return tuple(distinct.values())
