"""Normal forms of generated answers: what two answers must share to be the same one, by language.

After SQuAD's script (case, punctuation, English articles) and MLQA's (Unicode's punctuation, German and Spanish
articles, Chinese by the character).

**Deviates:** of both, Unicode's compatibility form (NFKC) and case folding stand for lower case, so that widths,
ligatures and ``ß`` do not count; digits of every script are equal; Arabic vowel marks and tatweel go; and an answer of
nothing but articles or punctuation keeps them, where theirs would be empty and equal to every other empty one. Of MLQA,
its Vietnamese particles stay, and so does the Arabic article, which its script also cuts out of the middle of words.
Chinese, Japanese, Thai, Lao, Khmer and Burmese have no blanks; MLQA's script knows Chinese alone. Neither knows French:
its articles stay. XQuAD is scored by SQuAD's script, with English articles in every language.
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache

from polypatch.languages import Lang

UNSPACED = frozenset({"zh", "ja", "th", "lo", "km", "my"})
"""Languages that put no blanks between words."""

_ARTICLES = {
    "en": frozenset({"a", "an", "the"}),
    "de": frozenset({"ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem", "des"}),
    "es": frozenset({"un", "una", "unos", "unas", "el", "la", "los", "las"}),
}
_DOTTED = str.maketrans({"İ": "i", "I": "ı"})  # Turkish and Azerbaijani: two letters, not one in two cases
_DOTTED_LANGUAGES = frozenset({"tr", "az"})
_ARABIC_MARKS = re.compile(
    "[\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed]"
)

# Thai, Lao, Burmese, Khmer, Japanese, Chinese
_UNSPACED_LETTERS = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_TOKEN = re.compile(f"[{_UNSPACED_LETTERS}]|[^{_UNSPACED_LETTERS}]+")


@lru_cache(maxsize=1 << 16)
def normal(answer: str, lang: Lang) -> str:
    """The normal form of an answer in `lang`; that of a normal form is itself.

    NFKC, case folding, digits 0-9; no punctuation (Unicode's category P and ASCII's), no format characters, no Arabic
    vowel marks; no articles in English, German and Spanish; one blank between words, none in `UNSPACED`.
    """
    while (form := _once(answer, lang)) != answer:  # what is taken out may let its neighbours compose
        answer = form
    return form


def tokens(answer: str, lang: Lang) -> list[str]:
    """The tokens of an answer's normal form, for F1: words; in `UNSPACED` characters, and words of other scripts."""
    form = normal(answer, lang)
    return _TOKEN.findall(form) if lang in UNSPACED else form.split()


def _once(text: str, lang: Lang) -> str:
    text = unicodedata.normalize("NFKC", text)
    if lang in _DOTTED_LANGUAGES:
        text = text.translate(_DOTTED)
    text = unicodedata.normalize("NFKC", text.casefold())
    text = "".join(map(_plain, _ARABIC_MARKS.sub("", text)))
    words = "".join(char for char in text if not _is_punctuation(char)).split() or text.split()
    words = [word for word in words if word not in _ARTICLES.get(lang, ())] or words
    return ("" if lang in UNSPACED else " ").join(words)


def _plain(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return "" if category == "Cf" else char


def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char).startswith("P")
