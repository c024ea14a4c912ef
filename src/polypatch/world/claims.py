"""Claims about the facts, true (SUPPORTS) and false (REFUTES), split so that no two splits speak of the same fact."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from polypatch.edits import Edit, Labelled, Lang
from polypatch.world.config import WorldConfig
from polypatch.world.facts import Fact, other
from polypatch.world.lexicon import LANGUAGES
from polypatch.world.wordings import WORDINGS, plain

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
    edit_facts: frozenset[int]


def wrong_answers(fact: Fact, count: int, misled: float, rng: random.Random) -> list[int]:
    """`count` different wrong objects for `fact`; for an exception, with probability `misled`, first the typical one.

    Where the documents state an old object, that is the wrong object to claim.
    """
    wrong = [fact.stated] if fact.stated != fact.answer else []
    if not wrong and fact.typical != fact.answer and rng.random() < misled:
        wrong = [fact.typical]
    while len(wrong) < count:
        wrong.append(other(rng, fact.choices, fact.answer, *wrong))
    return wrong


def _claims(facts: Sequence[Fact], wordings: range, each: int, misled: float, rng: random.Random) -> tuple[Claim, ...]:
    """`each` true claims (different wordings) and `each` false ones (different objects) for every fact, shuffled."""
    claims = []
    for fact in facts:
        claims += [Claim(fact, fact.answer, wording) for wording in rng.sample(wordings, each)]
        wrong = wrong_answers(fact, each, misled, rng)
        claims += [Claim(fact, answer, rng.choice(wordings)) for answer in wrong]
    rng.shuffle(claims)
    return tuple(claims)


def make_splits(facts: Sequence[Fact], config: WorldConfig, rng: random.Random) -> Splits:
    """Deal the facts to the splits and make their claims. Every split is half SUPPORTS, half REFUTES."""
    ends = [config.edit_facts, config.edit_facts + config.test_facts]
    ends.append(ends[-1] + config.val_facts)
    edit, test, val, train = facts[: ends[0]], facts[ends[0] : ends[1]], facts[ends[1] : ends[2]], facts[ends[2] :]
    trained = range(plain("en"))
    held = range(plain("en"), 5)
    return Splits(
        train=_claims(train, trained, 3, config.misled, rng),
        val=_claims(val, trained, 3, config.misled, rng),
        edit=_claims(edit, trained, 1, config.misled, rng),
        test=_claims(test, held, 2, config.misled, rng),
        edit_facts=frozenset(range(config.edit_facts)),
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
