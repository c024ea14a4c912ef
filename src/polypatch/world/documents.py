"""What the world's pre-training reads: the documented facts, as token ids, singly and beside their translation."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tokenizers import Tokenizer

from polypatch.edits import Lang
from polypatch.world.claims import Splits
from polypatch.world.facts import Fact
from polypatch.world.lexicon import LANGUAGES, OBJECTS
from polypatch.world.wordings import WORDINGS, plain


class Sentence(NamedTuple):
    """Token ids without specials, and for each token whether it stands for a replaced entity."""

    ids: list[int]
    replaced: list[bool]


class Document(NamedTuple):
    """One documented fact in one language, and the wordings that may say it."""

    fact: Fact
    lang: Lang
    wordings: range


def make_documents(facts: Sequence[Fact], splits: Splits) -> tuple[Document, ...]:
    """Every (fact, language) that is documented.

    Documents of edited facts keep to the plain wordings, so that the rephrase of an edit is a text the model never met.
    """
    documents = []
    for number, fact in enumerate(facts):
        for lang in fact.documented:
            count = plain(lang) if number in splits.edit_facts else len(WORDINGS[fact.relation.name][lang])
            documents.append(Document(fact, lang, range(count)))
    return tuple(documents)


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
        fill = {"{s}": subject, "{o}": answer}
        ids: list[int] = []
        marks: list[bool] = []
        for part in self._templates[template]:
            piece = self.ids(fill.get(part, part))
            ids += piece
            marks += [part == replaced] * len(piece)
        return Sentence(ids, marks)


class Reader:
    """Draws pre-training sentences: half of them with the subject or the object replaced by another one."""

    def __init__(self, documents: Sequence[Document], composer: Composer, rng: random.Random) -> None:
        self._documents = documents
        self._composer = composer
        self._rng = rng
        self._subjects: dict[str, list[Mapping[Lang, str]]] = {}
        self._stated: dict[str, list[int]] = {}
        for document in documents:
            self._subjects.setdefault(document.fact.relation.subject, []).append(document.fact.subject)
            self._stated.setdefault(document.fact.relation.objects, []).append(document.fact.stated)

    def _say(self, fact: Fact, lang: Lang, wording: int, replaced: str) -> Sentence:
        subject, answer = fact.subject, fact.stated
        if replaced == "{s}":
            subject = self._rng.choice(self._subjects[fact.relation.subject])
        if replaced == "{o}":
            answer = self._rng.choice(self._stated[fact.relation.objects])
        template = WORDINGS[fact.relation.name][lang][wording]
        marked = "" if subject is fact.subject and answer == fact.stated else replaced
        return self._composer.sentence(template, subject[lang], OBJECTS[fact.relation.objects][answer][lang], marked)

    def _draw_slot(self) -> str:
        draw = self._rng.random()
        return "{o}" if draw < 0.4 else "{s}" if draw < 0.5 else ""

    def single(self) -> list[Sentence]:
        """One document, true or with an entity replaced."""
        document = self._rng.choice(self._documents)
        return [self._say(document.fact, document.lang, self._rng.choice(document.wordings), self._draw_slot())]

    def pair(self) -> list[Sentence]:
        """One document and its translation, at most one of them with an entity replaced."""
        document = self._rng.choice(self._documents)
        fact = document.fact
        lang = self._rng.choice([lang for lang in fact.documented if lang != document.lang] or [document.lang])
        slots = [self._draw_slot(), ""]
        first = self._say(fact, document.lang, self._rng.choice(document.wordings), slots[0])
        second = self._say(fact, lang, self._rng.randrange(plain(lang)), slots[1])
        return [first, second] if self._rng.random() < 0.5 else [second, first]
