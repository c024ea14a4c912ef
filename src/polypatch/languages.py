"""Language codes: which there are, and which one was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from polypatch.arguments import items_in, shortened
from polypatch.errors import InputError

Lang: TypeAlias = str
"""ISO 639 code, lower case: of two letters (``en``, ``zh``), or of three where there is none of two (``ceb``)."""

_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el
en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu
ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na
nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn
so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""

TWO_LETTERS = frozenset(_CODES.split())
"""ISO 639-1: its 183 codes, and two that it withdrew and corpora still use (``bh``, ``sh``)."""

_BY_COUNTRY = "at:de cn:zh cz:cs dk:da gb:en gr:el jp:ja rs:sr ua:uk us:en vn:vi"
_WITHDRAWN = "in:id iw:he ji:yi jw:jv mo:ro"

MEANT = dict(pair.split(":") for pair in f"{_BY_COUNTRY} {_WITHDRAWN}".split())
"""What is often written for a language and is no code of any."""


def is_lang(code: object) -> bool:
    """Whether it is a lower-case ISO 639 code: one of the two-letter codes, or any three letters.

    Of three letters there are 7,900 codes; whether these are one is not looked up.
    """
    return isinstance(code, str) and (code in TWO_LETTERS or re.fullmatch(r"[a-z]{3}", code) is not None)


def not_a_lang(code: object) -> str:
    """What to say of a code that is none: which one was meant, where that can be told."""
    first = re.split("[-_]", code.strip().lower())[0] if isinstance(code, str) else ""
    meant = MEANT.get(first, first)
    advice = f"; write {meant!r}" if is_lang(meant) else " such as 'en'"
    return f"{shortened(code)} is not a lower-case ISO 639 language code{advice}"


def languages_in(given: Any, name: str = "languages") -> tuple[Lang, ...]:
    """Language codes as they were given: a list, or the keys of a mapping.

    Raises:
        InputError: one string, what is no list of strings, or a code that does not exist.
    """
    codes = items_in(tuple(given) if isinstance(given, Mapping) else given, name, '["de", "fr"]')
    for code in codes:
        if not is_lang(code):
            raise InputError(f"{name} is a list of language codes, and {not_a_lang(code)}")
    return codes
