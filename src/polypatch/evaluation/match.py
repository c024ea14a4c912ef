"""Exact match and token F1 of a generated answer against all that would be right: the target and its aliases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from polypatch.evaluation.normal import normal, tokens
from polypatch.languages import Lang


def exact(answer: str, accepted: Sequence[str], lang: Lang) -> bool:
    """Whether the answer has the normal form of one of `accepted`, all in `lang`."""
    form = normal(answer, lang)
    return any(form == normal(one, lang) for one in accepted)


def token_f1(answer: str, accepted: Sequence[str], lang: Lang) -> float:
    """The best F1, 0..1, of the answer's tokens and those of one of `accepted`: 2·P·R / (P + R), tokens as multisets.

    Where it matches exactly this is 1; where it shares no token, or `accepted` is empty, 0.
    """
    said = tokens(answer, lang)
    return max((_f1(said, tokens(one, lang)) for one in accepted), default=0.0)


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    # 2·P·R / (P + R) with P = shared / |said| and R = shared / |wanted|
    return 2.0 * (Counter(said) & Counter(wanted)).total() / (len(said) + len(wanted))
