"""Invented names: syllables in Latin script, and the same syllables in Chinese and Arabic script by rule."""

from __future__ import annotations

import random
from typing import Final

from polypatch.edits import Lang
from polypatch.world.lexicon import LANGUAGES

_VOWELS: Final = "aeiou"
_HAN: Final = {
    "b": "巴贝比博布",
    "d": "达德迪多杜",
    "f": "法费菲福富",
    "g": "加格吉戈古",
    "k": "卡克基科库",
    "l": "拉莱利洛卢",
    "m": "马梅米莫穆",
    "n": "纳内尼诺努",
    "r": "腊雷里罗鲁",
    "s": "萨塞西索苏",
    "t": "塔特蒂托图",
    "v": "瓦韦维沃武",
    "z": "扎泽齐佐祖",
}
_HAN_CODA: Final = {"": "", "n": "恩", "s": "斯", "l": "尔"}
_ARABIC: Final = dict(zip("bdfgklmnrstvz", "بدفغكلمنرستڤز", strict=True))
_ARABIC_VOWEL: Final = dict(zip(_VOWELS, "اييوو", strict=True))


def _name(rng: random.Random) -> dict[Lang, str]:
    """One name of two or three syllables, in every language."""
    syllables = [(rng.choice("bdfgklmnrstvz"), rng.choice(_VOWELS)) for _ in range(rng.choice((2, 3)))]
    coda = rng.choice(("", "n", "s", "l"))
    latin = ("".join(c + v for c, v in syllables) + coda).capitalize()
    han = "".join(_HAN[c][_VOWELS.index(v)] for c, v in syllables) + _HAN_CODA[coda]
    arabic = "".join(_ARABIC[c] + _ARABIC_VOWEL[v] for c, v in syllables) + _ARABIC.get(coda, "")
    return {lang: {"zh": han, "ar": arabic}.get(lang, latin) for lang in LANGUAGES}


def invent_names(count: int, rng: random.Random, taken: set[str]) -> list[dict[Lang, str]]:
    """`count` names, each as {language: form}, no two alike in any script and none equal to a word in `taken`.

    Arabic writes e like i and o like u, so names that differ in Latin script can meet there: those are drawn again.
    """
    names: list[dict[Lang, str]] = []
    used = {word.casefold() for word in taken}
    while len(names) < count:
        name = _name(rng)
        forms = {form.casefold() for form in name.values()}
        if used.isdisjoint(forms):
            used |= forms
            names.append(name)
    return names
