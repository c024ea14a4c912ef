"""Claims about the facts, true (SUPPORTS) and false (REFUTES), split so that no two splits speak of the same fact."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from polypatch.edits import Edit, Labelled, Lang
from polypatch.world.config import WorldConfig
from polypatch.world.facts import Fact, answers_by_kind
from polypatch.world.lexicon import LANGUAGES, OBJECTS
from polypatch.world.wordings import ENGLISH_WORDINGS, WORDINGS, plain

LABELS = ("SUPPORTS", "REFUTES")


class Claim(NamedTuple):
    """One statement about a fact: an object and an English wording (the other languages have one wording per role)."""

    fact: Fact
    answer: int
    wording: int

    @property
    def label(self) -> str:
        """SUPPORTS where the object is the true one, else REFUTES."""
        return LABELS[self.answer != self.fact.answer]

    def text(self, lang: Lang) -> str:
        """The claim in `lang`: in its English wording, or the parallel wording of the other languages."""
        held = self.wording >= plain("en")
        return self.fact.text(lang, self.wording if lang == "en" else plain(lang) * held, self.answer)

    def rephrases(self, lang: Lang) -> tuple[str, ...]:
        """The claim in every wording of `lang` that is kept for rephrases."""
        count = len(WORDINGS[self.fact.relation.name][lang])
        return tuple(self.fact.text(lang, wording, self.answer) for wording in range(plain(lang), count))

    def labelled(self, lang: Lang) -> Labelled:
        """The claim in `lang` with its label."""
        return Labelled(self.text(lang), self.label)


class Splits(NamedTuple):
    """The claims by use. No fact has claims in two splits; `test` is in wordings that no other split uses."""

    train: tuple[Claim, ...]
    val: tuple[Claim, ...]
    edit: tuple[Claim, ...]
    test: tuple[Claim, ...]


def wrong_answers(fact: Fact, count: int, pool: Sequence[int], misled: float, rng: random.Random) -> list[int]:
    """`count` different wrong objects for `fact`, first the one that people believe, if there is one.

    That is the old object where the documents are outdated, and with probability `misled` the typical one where the
    truth is an exception. The rest come from `pool`, the answers of other facts: drawn evenly from the lexicon, wrong
    objects would be rare words, and a model would learn to know them by that.
    """
    wrong = [fact.stated] if fact.changed else []
    if not wrong and fact.typical != fact.answer and rng.random() < misled:
        wrong = [fact.typical]
    if len({*pool, fact.answer}) <= count:  # a very small world has too few answers
        pool = range(len(OBJECTS[fact.relation.objects]))
    while len(wrong) < count:
        drawn = rng.choice(pool)
        if drawn not in (fact.answer, *wrong):
            wrong.append(drawn)
    return wrong


class _Author:
    """Makes claims about facts; knows all facts, to draw wrong objects as often as they are right elsewhere."""

    def __init__(self, facts: Sequence[Fact], misled: float, rng: random.Random) -> None:
        self._pools = answers_by_kind(facts)
        self._misled = misled
        self._rng = rng

    def write(self, facts: Sequence[Fact], wordings: range, each: int) -> tuple[Claim, ...]:
        """`each` true claims (different wordings) and `each` false ones (different objects) per fact, shuffled."""
        claims = []
        for fact in facts:
            claims += [Claim(fact, fact.answer, wording) for wording in self._rng.sample(wordings, each)]
            wrong = wrong_answers(fact, each, self._pools[fact.relation.objects], self._misled, self._rng)
            claims += [Claim(fact, answer, self._rng.choice(wordings)) for answer in wrong]
        self._rng.shuffle(claims)
        return tuple(claims)


class Dealt(NamedTuple):
    """The facts by the split that may speak of them."""

    edit: Sequence[Fact]
    test: Sequence[Fact]
    val: Sequence[Fact]
    train: Sequence[Fact]


def deal(facts: Sequence[Fact], config: WorldConfig) -> Dealt:
    """Deal the facts to the splits. Facts that have changed since go to the edits: when the rest was labelled, they had
    not changed yet.
    """
    ordered = sorted(facts, key=lambda fact: not fact.changed)
    edit_end = config.edit_facts
    test_end = edit_end + config.test_facts
    val_end = test_end + config.val_facts
    return Dealt(ordered[:edit_end], ordered[edit_end:test_end], ordered[test_end:val_end], ordered[val_end:])


def make_splits(dealt: Dealt, misled: float, rng: random.Random) -> Splits:
    """Make the claims of every split. Each is half SUPPORTS, half REFUTES."""
    author = _Author([fact for facts in dealt for fact in facts], misled, rng)
    plain_wordings, held_wordings = range(plain("en")), range(plain("en"), ENGLISH_WORDINGS)
    return Splits(
        edit=author.write(dealt.edit, plain_wordings, 1),
        test=author.write(dealt.test, held_wordings, 2),
        val=author.write(dealt.val, plain_wordings, 3),
        train=author.write(dealt.train, plain_wordings, 3),
    )


def as_edit(number: int, claim: Claim) -> Edit:
    """The claim as an edit of the stream: six parallel prompts, two English rephrases, one in each other language."""
    return Edit(
        id=f"world-{number:04d}",
        prompt={lang: claim.text(lang) for lang in LANGUAGES},
        target={"en": claim.label},
        rephrases={lang: claim.rephrases(lang) for lang in LANGUAGES},
        subject=dict(claim.fact.subject),
    )
