"""Facts as sentences with a gap: what a causal model can continue, and the edits and the facts around them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from polypatch.data.fact_edits import FactInLanguage, fact_material, first_answers
from polypatch.data.known import halves
from polypatch.data.rows import KnownFact, Material
from polypatch.edits import Lang

SECOND = "facts left out whose question has another answer already"
NO_WORDING = "facts left out in a language where no wording ends in the answer"


@dataclass
class Clozes:
    """Facts in all their languages.

    Attributes:
        name: of the data set.
        facts: id -> language -> (subject, answer).
        wordings: (language, relation) -> sentences with `subject` and `gap` in them.
        relation: id -> relation.
        subject: what stands for the subject in a wording.
        gap: what stands for the answer.
        left_out: why -> how many facts.
    """

    name: str
    subject: str
    gap: str
    facts: dict[str, dict[Lang, tuple[str, str]]] = field(default_factory=dict)
    wordings: dict[tuple[Lang, str], list[str]] = field(default_factory=dict)
    relation: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def languages(self) -> set[Lang]:
        """The languages with a wording that can be continued."""
        return {lang for (lang, _), texts in self.wordings.items() if _prompts(texts, self)}


def before_gap(wording: str, gap: str) -> str:
    """The text before the gap where nothing but punctuation is behind it, else nothing."""
    before, found, behind = wording.partition(gap)
    ends = all(char.isspace() or unicodedata.category(char).startswith("P") for char in behind)
    return before.rstrip() if found and ends else ""


def cloze_material(found: Clozes, languages: tuple[Lang, ...], where: object) -> Material:
    """Half of the facts as edits, and the others around them; the first wording asks, the others are rephrases.

    Raises:
        DataError: no fact of the source language has a wording.
    """
    missing = 0
    answers: dict[str, Mapping[Lang, FactInLanguage]] = {}
    prompts = {key: _prompts(texts, found) for key, texts in found.wordings.items()}
    for key, fact in found.facts.items():
        rows = {lang: (fact[lang], prompts.get((lang, found.relation[key]), ())) for lang in languages if lang in fact}
        told = {lang: _answer(*pair, found.subject, texts) for lang, (pair, texts) in rows.items() if texts}
        missing += len(rows) - len(told)
        if languages[0] in told:
            answers[f"{found.name}-{key}"] = told
    facts = [_fact(key, rows) for key, rows in answers.items()]
    edited, others = halves(facts)
    made = fact_material(
        found.name,
        languages,
        {fact.id: answers[fact.id] for fact in edited},
        others=others,
        notes={**found.left_out, NO_WORDING: missing},
        where=where,
    )
    return first_answers(made)


def _prompts(wordings: Sequence[str], found: Clozes) -> tuple[str, ...]:
    texts = dict.fromkeys(before_gap(wording, found.gap) for wording in wordings)
    return tuple(text for text in texts if found.subject in text)


def _answer(subject: str, target: str, mark: str, texts: Sequence[str]) -> FactInLanguage:
    first, *others = dict.fromkeys(text.replace(mark, subject) for text in texts)
    return FactInLanguage(first, target, rephrases=tuple(others), subject=subject)


def _fact(key: str, rows: Mapping[Lang, FactInLanguage]) -> KnownFact:
    wordings = {lang: (row.prompt, *row.rephrases) for lang, row in rows.items()}
    return KnownFact(key, wordings, {lang: row.target for lang, row in rows.items()})
