"""Perplexity of plain text, by language: what edits cost a model that writes, where nobody asks it anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polypatch.errors import InputError
from polypatch.languages import Lang

PlainTexts: TypeAlias = Mapping[Lang, Sequence[str]]
"""By language, texts that nobody asks anything."""

LogProbs: TypeAlias = Callable[[Sequence[str]], Sequence[NDArray[Any]]]
"""Texts -> of each the natural log-probabilities of its tokens, each given those before it: (tokens that have one,)."""


def perplexity(texts: PlainTexts, logprobs: LogProbs) -> dict[Lang, float]:
    """exp(−Σ log p(token | those before it) ÷ tokens) in each language, over all tokens of all its texts.

    It compares a model with itself, not models with different tokenizers. A language without a token is not there.

    Raises:
        InputError: `logprobs` gives another number of arrays than there are texts, or what is no log-probability.
    """
    found = {}
    for lang, some in texts.items():
        arrays = [np.asarray(one, dtype=np.float64).reshape(-1) for one in logprobs(some)] if some else []
        if len(arrays) != len(some):
            raise InputError(f"{len(some)} texts in {lang!r} were asked for, {len(arrays)} arrays came")
        tokens = np.concatenate(arrays) if arrays else np.zeros(0)
        if not (tokens <= 0).all():
            raise InputError(f"a log-probability is at most 0, and in {lang!r} one is {tokens[~(tokens <= 0)][0]}")
        if tokens.size:
            with np.errstate(over="ignore"):
                found[lang] = float(np.exp(-tokens.mean()))
    return found


def perplexities(texts: PlainTexts, before: LogProbs, after: LogProbs) -> dict[Lang, tuple[float, float]]:
    """The perplexity of the unedited and of the edited model, as `Report.perplexity` takes it.

    Raises:
        InputError: as for `perplexity`, or one of the two has tokens in a language where the other has none.
    """
    found = {}
    for lang, some in texts.items():  # both of one language, whose hidden states are still at hand the second time
        was, now = (perplexity({lang: some}, of).get(lang) for of in (before, after))
        if (was is None) != (now is None):
            raise InputError(f"tokens only before or only after, in {lang}")
        if was is not None and now is not None:
            found[lang] = (was, now)
    return found
