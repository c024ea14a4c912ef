"""The facts as an experiment: what the model is corrected on, and what it must go on saying."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from polypatch.data.base import EditingData
from polypatch.edits import Edit, Labelled, Lang, Text
from polypatch.world.facts import Fact, make_facts
from polypatch.world.lexicon import LANGUAGES
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.prompts import TAUGHT
from polypatch.world.speaking.texts import Knowledge, knowledge, name_of, prompts, sentence


class Sets(NamedTuple):
    """The facts by use; none has two."""

    edits: tuple[Fact, ...]
    locality: tuple[Fact, ...]
    validation: tuple[Fact, ...]
    memory: tuple[Fact, ...]


def make_sets(config: SpeakingConfig, seed: int) -> Sets:
    """Invent the facts of `seed`: the *wrong* and the *unknown* are edits, the *known* are shared out to the rest.

    The subjects are those of the classifier's world of the same seed. No global random state is touched.
    """
    facts = make_facts(config.facts, random.Random(seed))
    known = [fact for fact in facts if knowledge(fact) is Knowledge.KNOWN]
    locality, validation = config.locality_facts, config.locality_facts + config.validation_facts
    return Sets(
        edits=tuple(fact for fact in facts if knowledge(fact) is not Knowledge.KNOWN),
        locality=tuple(known[:locality]),
        validation=tuple(known[locality:validation]),
        memory=tuple(known[validation:]),
    )


def editing_data(sets: Sets) -> EditingData:
    """The sets as an experiment.

    Memory and validation hold the prompts of known facts in every wording, and a sentence about each; row i says the
    same in every language, and `parallel` is the prompts among them. Locality sets ask for what is documented in the
    language: ``known`` as it was taught, ``reworded`` in the other wordings (``known.de``, …). `held_out` is plain text
    about the facts of the locality sets.
    """
    return EditingData(
        name="speaking-world",
        edits=tuple(as_edit(number, fact) for number, fact in enumerate(sets.edits, start=1)),
        memory=_by_language(sets.memory, lambda fact, lang: (*prompts(fact, lang), sentence(fact, lang, 0))),
        validation=_by_language(sets.validation, lambda fact, lang: (*prompts(fact, lang), sentence(fact, lang, 0))),
        locality=_locality("known", sets.locality, slice(TAUGHT))
        | _locality("reworded", sets.locality, slice(TAUGHT, None)),
        parallel=_by_language(sets.memory, prompts),
        held_out=_by_language(sets.locality, lambda fact, lang: (sentence(fact, lang, 0),)),
    )


def as_edit(number: int, fact: Fact) -> Edit:
    """The fact as an edit: a prompt and the true answer in every language; rephrases are the untaught wordings."""
    asked = {lang: prompts(fact, lang) for lang in LANGUAGES}
    return Edit(
        id=f"fact-{number:04d}",
        prompt={lang: asked[lang][0] for lang in LANGUAGES},
        target={lang: name_of(fact, lang, fact.answer) for lang in LANGUAGES},
        rephrases={lang: asked[lang][TAUGHT:] for lang in LANGUAGES},
        ground_truth={lang: name_of(fact, lang, fact.stated) for lang in LANGUAGES} if fact.changed else {},
        subject=dict(fact.subject),
    )


def _by_language(facts: Iterable[Fact], texts: Callable[[Fact, Lang], Sequence[Text]]) -> dict[Lang, tuple[Text, ...]]:
    facts = tuple(facts)
    return {lang: tuple(text for fact in facts for text in texts(fact, lang)) for lang in LANGUAGES}


def _locality(name: str, facts: Sequence[Fact], wordings: slice) -> dict[str, tuple[Labelled, ...]]:
    return {
        name if lang == "en" else f"{name}.{lang}": tuple(
            Labelled(text, name_of(fact, lang, fact.answer))
            for fact in facts
            if lang in fact.documented
            for text in prompts(fact, lang)[wordings]
        )
        for lang in LANGUAGES
    }
