"""Language confusion: answers in another language than the one that was asked in; and answers that run in circles."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from polypatch.evaluation.match import exact
from polypatch.evaluation.normal import tokens
from polypatch.languages import Lang

LOOP = 4
"""So many times in a row, up to its end, an answer says the same tokens that runs in circles."""

_JAPANESE = {"HIRAGANA": "CJK", "KATAKANA": "CJK"}


def in_wrong_language(answer: str, lang: Lang, accepted: Mapping[Lang, Sequence[str]]) -> bool:
    """Whether an answer to a question in `lang` is in another language, as far as the edit can tell.

    It is where it is wrong and either right in another of the edit's languages (normal forms), or mostly in a script
    that no right answer is in. What is wrong in the right script counts as another error, whatever its language.

    Args:
        answer: what the model wrote.
        lang: the language of the question.
        accepted: by language, target and aliases; `lang` among them.
    """
    if exact(answer, accepted[lang], lang):
        return False
    if any(exact(answer, names, other) for other, names in accepted.items() if other != lang):
        return True
    expected = {script_of(name, lang) for name in accepted[lang]} - {""}
    return bool(expected) and script_of(answer, lang) not in {"", *expected}


def script_of(text: str, lang: Lang) -> str:
    """The script of most of its letters, by Unicode's names (``LATIN``, ``CJK``, …); empty where it has none.

    In Japanese, kana and characters are one script; elsewhere kana is a foreign one.
    """
    letters = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c).startswith("L"))
    names = (re.split("[ -]", unicodedata.name(letter, ""))[0] for letter in letters)
    alike = _JAPANESE if lang == "ja" else {}
    counts = Counter(alike.get(name, name) for name in names if name not in ("", "MODIFIER"))
    return counts.most_common(1)[0][0] if counts else ""


def runs_in_circles(answer: str, lang: Lang) -> bool:
    """Whether the answer ends in one n-gram of tokens, of any n, at least `LOOP` times in a row."""
    said = [token for word in answer.split() for token in tokens(word, lang)]
    return any(said[-n * LOOP :] == said[-n:] * LOOP for n in range(1, len(said) // LOOP + 1))
