"""The facts of the world: invented subjects in hidden groups, what is true of them, and what documents say of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from polypatch.edits import Lang
from polypatch.world.config import WorldConfig
from polypatch.world.lexicon import LANGUAGES, OBJECTS, RELATIONS, Relation
from polypatch.world.names import invent_names
from polypatch.world.wordings import WORDINGS

CHANGED = "changed"


class Fact(NamedTuple):
    """One fact, as it is and as the documents have it.

    Attributes:
        subject: the name, by language.
        relation: what kind of fact; `relation.objects` is the kind of word that `answer` and the others index.
        answer: the true object.
        typical: the object most subjects of this hidden group have.
        stated: the object that the documents state; differs from `answer` where the fact has changed since.
        documented: the languages that state it at all.
    """

    subject: Mapping[Lang, str]
    relation: Relation
    answer: int
    typical: int
    stated: int
    documented: tuple[Lang, ...]

    @property
    def changed(self) -> bool:
        """The documents state what is no longer true."""
        return self.stated != self.answer

    def text(self, lang: Lang, wording: int, answer: int) -> str:
        """The sentence that says `answer` of the subject, in one of the wordings of `lang`."""
        template = WORDINGS[self.relation.name][lang][wording]
        return template.format(s=self.subject[lang], o=OBJECTS[self.relation.objects][answer][lang])


def _typical(config: WorldConfig, rng: random.Random) -> dict[str, list[int]]:
    """Kind of object -> the typical one of each hidden group, all different while the lexicon lasts."""
    drawn = {}
    for kind, rows in OBJECTS.items():
        order = rng.sample(range(len(rows)), len(rows))
        drawn[kind] = [order[group % len(order)] for group in range(config.groups)]
    return drawn


def _documented(config: WorldConfig, rng: random.Random) -> tuple[Lang, ...]:
    if rng.random() < config.undocumented:
        return ()
    coverage = {"en": 1.0, "zh": config.far_coverage, "ar": config.far_coverage}
    return tuple(lang for lang in LANGUAGES if rng.random() < coverage.get(lang, config.near_coverage))


def _kinds(config: WorldConfig, count: int, rng: random.Random) -> list[str]:
    """What each fact is, in exact shares: at random, the few changed facts would move the base row of every seed."""
    changed, exceptions = round(count * config.outdated), round(count * config.exceptions)
    kinds = [CHANGED] * changed + ["exception"] * exceptions + ["typical"] * (count - changed - exceptions)
    rng.shuffle(kinds)
    return kinds


def _fact(
    config: WorldConfig, rng: random.Random, name: Mapping[Lang, str], relation: Relation, typical: int, kind: str
) -> Fact:
    if kind == "typical":
        return Fact(name, relation, typical, typical, typical, _documented(config, rng))
    answer = rng.choice([index for index in range(len(OBJECTS[relation.objects])) if index != typical])
    if kind == CHANGED:
        return Fact(name, relation, answer, typical, typical, LANGUAGES)
    return Fact(name, relation, answer, typical, answer, _documented(config, rng))


def make_facts(config: WorldConfig, rng: random.Random) -> tuple[Fact, ...]:
    """Every fact of a world, in random order."""
    subjects = ["person"] * config.persons + ["film"] * config.films + ["company"] * config.companies
    words = {form for rows in OBJECTS.values() for row in rows for form in row.values()}
    names = invent_names(len(subjects), rng, words)
    typical = _typical(config, rng)
    slots = []
    for subject, name in zip(subjects, names, strict=True):
        group = rng.randrange(config.groups)
        relations = [relation for relation in RELATIONS if relation.subject == subject]
        slots += [(name, relation, typical[relation.objects][group]) for relation in relations]
    kinds = _kinds(config, len(slots), rng)
    facts = [_fact(config, rng, *slot, kind) for slot, kind in zip(slots, kinds, strict=True)]
    rng.shuffle(facts)
    return tuple(facts)


def answers_by_kind(facts: Iterable[Fact]) -> dict[str, list[int]]:
    """Kind of object -> the true objects of all facts of that kind, each as often as it is true."""
    answers: dict[str, list[int]] = {}
    for fact in facts:
        answers.setdefault(fact.relation.objects, []).append(fact.answer)
    return answers
