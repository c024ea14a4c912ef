"""The facts of a world as questions with answers, and as plain text."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from polypatch.edits import Lang
from polypatch.world.facts import Fact
from polypatch.world.lexicon import LANGUAGES, OBJECTS
from polypatch.world.speaking.prompts import PROMPTS
from polypatch.world.wordings import WORDINGS

_FULL_STOP: Final = {lang: "。" if lang == "zh" else "." for lang in LANGUAGES}


class Knowledge(StrEnum):
    """What the documents make of a fact."""

    KNOWN = "known"
    """They state it as it is."""
    WRONG = "wrong"
    """They state what is no longer true."""
    UNKNOWN = "unknown"
    """They do not state it."""


def knowledge(fact: Fact) -> Knowledge:
    """What a reader of the documents can know of the fact."""
    if fact.changed:
        return Knowledge.WRONG
    return Knowledge.KNOWN if fact.documented else Knowledge.UNKNOWN


def written(lang: Lang, words: str) -> str:
    """A text as `lang` is written: Chinese without the spaces that stand between its words here."""
    return words.replace(" ", "") if lang == "zh" else words


def spaced_prompt(fact: Fact, lang: Lang, wording: int) -> str:
    """The prompt with spaces between all words, Chinese ones too."""
    return PROMPTS[fact.relation.name][lang][wording].format(s=fact.subject[lang])


def prompt(fact: Fact, lang: Lang, wording: int) -> str:
    """What is asked about the fact: a text that ends where the answer begins."""
    return written(lang, spaced_prompt(fact, lang, wording))


def prompts(fact: Fact, lang: Lang) -> tuple[str, ...]:
    """Every prompt of the fact in `lang`."""
    return tuple(prompt(fact, lang, wording) for wording in range(len(PROMPTS[fact.relation.name][lang])))


def name_of(fact: Fact, lang: Lang, index: int) -> str:
    """The name in `lang` of the object `index`: ``fact.answer`` is the truth, ``fact.stated`` what documents say."""
    return OBJECTS[fact.relation.objects][index][lang]


def sentence(fact: Fact, lang: Lang, wording: int) -> str:
    """What a document says of the fact, without a full stop: where the object is its end, it ends as an answer does."""
    return written(lang, fact.text(lang, wording, fact.stated)).removesuffix(_FULL_STOP[lang])


def sentences(fact: Fact, lang: Lang) -> tuple[str, ...]:
    """What documents say of the fact in `lang`, in every wording."""
    return tuple(sentence(fact, lang, wording) for wording in range(len(WORDINGS[fact.relation.name][lang])))


def spaced_texts(facts: Iterator[Fact] | tuple[Fact, ...]) -> Iterator[str]:
    """Prompts and sentences with spaces between all words, and every object's name: what the vocabulary is made of."""
    for fact in facts:
        for lang in LANGUAGES:
            for wording in range(len(PROMPTS[fact.relation.name][lang])):
                yield spaced_prompt(fact, lang, wording)
            for wording in range(len(WORDINGS[fact.relation.name][lang])):
                yield fact.text(lang, wording, fact.stated)
    for rows in OBJECTS.values():
        yield from (form for row in rows for form in row.values())
