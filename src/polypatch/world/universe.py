"""Everything a seed decides before any training: facts, claims, documents, and the editing data made of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from polypatch.data.base import EditingData
from polypatch.edits import Labelled, Lang, Text
from polypatch.world.claims import Claim, Splits, as_edit, deal, make_splits
from polypatch.world.config import WorldConfig
from polypatch.world.documents import Document, make_documents
from polypatch.world.facts import Fact, make_facts
from polypatch.world.lexicon import LANGUAGES


class Universe(NamedTuple):
    """The text of one world: pure data, the same for the same seed and config."""

    facts: tuple[Fact, ...]
    splits: Splits
    documents: tuple[Document, ...]


def make_universe(config: WorldConfig, seed: int) -> Universe:
    """Invent the world of `seed`; takes a fraction of a second and touches no global random state.

    No document states a fact of the test set: the model can only infer it from what it knows of the subject.
    """
    rng = random.Random(seed)
    facts = make_facts(config, rng)
    dealt = deal(facts, config)
    documents = make_documents([*dealt.edit, *dealt.val, *dealt.train])
    return Universe(facts, make_splits(dealt, config.misled, rng), documents)


def editing_data(splits: Splits, config: WorldConfig) -> EditingData:
    """The splits as an experiment. Memory and validation texts are aligned: row i says the same in every language.

    The claims about a part of the fine-tuning facts are kept out of the memory, to measure locality on.
    """
    facts = list(dict.fromkeys(_about(claim) for claim in splits.train))
    kept = set(facts[: round(len(facts) * config.locality_share)])
    probes = [claim for claim in splits.train if _about(claim) in kept]
    memory = [claim for claim in splits.train if _about(claim) not in kept]
    return EditingData(
        name="world",
        edits=tuple(as_edit(number, claim) for number, claim in enumerate(splits.edit, start=1)),
        memory={lang: _texts(memory, lang) for lang in LANGUAGES},
        validation={lang: _texts(splits.val, lang) for lang in LANGUAGES},
        locality=_locality("train", probes) | _locality("test", splits.test),
        parallel={lang: _texts(memory, lang) for lang in LANGUAGES},
    )


def _about(claim: Claim) -> tuple[str, str]:
    return claim.fact.subject["en"], claim.fact.relation.name


def _texts(claims: Sequence[Claim], lang: Lang) -> tuple[Text, ...]:
    return tuple(claim.text(lang) for claim in claims)


def _locality(name: str, claims: Sequence[Claim]) -> dict[str, tuple[Labelled, ...]]:
    """Each text once: the English wordings of one claim share their parallel text."""
    return {
        name if lang == "en" else f"{name}.{lang}": tuple(dict.fromkeys(claim.labelled(lang) for claim in claims))
        for lang in LANGUAGES
    }
