"""How long sentences are, counted as MPN counts them: in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from polypatch.edits import Edit, Lang

PAPER_LENGTHS = {"en": 8.2, "de": 7.8, "fr": 8.9, "es": 8.8, "zh": 13.2, "ar": 7.4}
"""Mean sentence lengths of MPN's data, appendix A.1; the paper does not say what it counted."""

UNSPACED: Mapping[Lang, str] = {
    "zh": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f",
    "ja": "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff",
    "th": "\u0e00-\u0e7f",
}
"""Languages written without spaces, and their characters."""


def unit(lang: Lang) -> str:
    """What `length` counts in `lang`: ``words`` or ``characters``."""
    return "characters" if lang in UNSPACED else "words"


def length(text: str, lang: Lang) -> int:
    """Words between white space; in a language without spaces its characters, and the words of other scripts in it.

    Source: appendix A.1 names lengths without their unit. Words between white space are an inference: English FEVER
    claims have 8.29 of them, the paper says 8.2.
    **Deviates:** unknown for Chinese, where 13.2 can only be characters or nearly so. A name left in Latin letters
    counts as its words, punctuation not at all.
    """
    if lang not in UNSPACED:
        return len(text.split())
    own = UNSPACED[lang]
    return len(re.findall(f"[{own}]|[^\\W{own}]+", text))


def lengths(edits: Iterable[Edit]) -> dict[Lang, list[int]]:
    """The lengths of the prompts by language, in the order of the edits."""
    found: dict[Lang, list[int]] = {}
    for edit in edits:
        for lang in edit.languages:
            text = edit.prompt[lang]
            words = text if isinstance(text, str) else " ".join(text)
            found.setdefault(lang, []).append(length(words, lang))
    return found


def mean(values: Sequence[int]) -> float:
    """The mean, NaN of nothing."""
    return sum(values) / len(values) if values else float("nan")
