"""What the world's pre-training reads: the documented facts, as token ids, singly and beside their translation."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from tokenizers import Tokenizer

from polypatch.edits import Lang
from polypatch.world.facts import Fact
from polypatch.world.lexicon import LANGUAGES, OBJECTS
from polypatch.world.wordings import WORDINGS

SUBJECT: Final = "{s}"
OBJECT: Final = "{o}"


class Sentence(NamedTuple):
    """Token ids without specials, and for each token whether it stands for a replaced entity."""

    ids: list[int]
    replaced: list[bool]


class Document(NamedTuple):
    """One documented fact in one language; any wording of the language may say it."""

    fact: Fact
    lang: Lang


def make_documents(facts: Sequence[Fact]) -> tuple[Document, ...]:
    """Every (fact, language) that is documented."""
    return tuple(Document(fact, lang) for fact in facts for lang in fact.documented)


def vocabulary_sentences(facts: Sequence[Fact]) -> Iterator[str]:
    """Sentences that hold every name, object and template word: what the tokenizer is trained on."""
    for fact in facts:
        for lang in LANGUAGES:
            for wording in range(len(WORDINGS[fact.relation.name][lang])):
                yield fact.text(lang, wording, fact.answer)
    for rows in OBJECTS.values():
        yield from (form for row in rows for form in row.values())


class Composer:
    """Puts sentences together from token ids, piece by piece: the tokenizer never crosses a space or a full stop."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._pieces: dict[str, list[int]] = {}
        self._templates: dict[str, list[str]] = {}

    def ids(self, text: str) -> list[int]:
        """Token ids of a piece, without specials."""
        if text not in self._pieces:
            self._pieces[text] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return self._pieces[text]

    def sentence(self, template: str, subject: str, answer: str, replaced: str = "") -> Sentence:
        """The template filled in; `replaced` is the slot (``{s}`` or ``{o}``) whose tokens are marked."""
        if template not in self._templates:
            self._templates[template] = [part for part in re.split(r"(\{[so]\})", template) if part.strip()]
        fill = {SUBJECT: subject, OBJECT: answer}
        ids: list[int] = []
        marks: list[bool] = []
        for part in self._templates[template]:
            piece = self.ids(fill.get(part, part))
            ids += piece
            marks += [part == replaced] * len(piece)
        return Sentence(ids, marks)


_ENGLISH_TIMES: Final = 3
_OBJECT_REPLACED: Final = 0.4
_SUBJECT_REPLACED: Final = 0.1


class DocumentReader:
    """Draws pre-training sentences: half of them with the subject or the object replaced by another one.

    Replacements come from the other documents, as often as they stand there: drawn evenly from the lexicon they would
    be rare words, and a model would find them without reading the subject. English documents are
    drawn three times as often as the others: that is the language most is written in.
    """

    def __init__(self, documents: Sequence[Document], composer: Composer, rng: random.Random) -> None:
        english = [document for document in documents if document.lang == "en"]
        self._documents = [*documents, *(_ENGLISH_TIMES - 1) * english]
        self._composer = composer
        self._rng = rng
        self._subjects: dict[str, list[Mapping[Lang, str]]] = {}
        self._stated: dict[str, list[int]] = {}
        for fact, _ in documents:
            self._subjects.setdefault(fact.relation.subject, []).append(fact.subject)
            self._stated.setdefault(fact.relation.objects, []).append(fact.stated)

    def _say(self, fact: Fact, lang: Lang, slot: str) -> Sentence:
        """The fact in a random wording, with another entity in `slot` (none where empty)."""
        subject, answer = fact.subject, fact.stated
        if slot == SUBJECT:
            subject = self._rng.choice(self._subjects[fact.relation.subject])
        if slot == OBJECT:
            answer = self._rng.choice(self._stated[fact.relation.objects])
        template = self._rng.choice(WORDINGS[fact.relation.name][lang])
        marked = "" if subject is fact.subject and answer == fact.stated else slot
        word = OBJECTS[fact.relation.objects][answer][lang]
        return self._composer.sentence(template, subject[lang], word, marked)

    def _slot(self) -> str:
        draw = self._rng.random()
        if draw < _OBJECT_REPLACED:
            return OBJECT
        return SUBJECT if draw < _OBJECT_REPLACED + _SUBJECT_REPLACED else ""

    def single(self) -> list[Sentence]:
        """One document, true or with an entity replaced."""
        fact, lang = self._rng.choice(self._documents)
        return [self._say(fact, lang, self._slot())]

    def pair(self) -> list[Sentence]:
        """One document and its translation, in either order, at most one of them with an entity replaced."""
        fact, lang = self._rng.choice(self._documents)
        translation = self._rng.choice([one for one in fact.documented if one != lang] or [lang])
        both = [self._say(fact, lang, self._slot()), self._say(fact, translation, "")]
        return both if self._rng.random() < 0.5 else both[::-1]
