"""The demo's second part: a small language model of the same world, corrected in English and asked in six languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polypatch.api import attach, shuffled
from polypatch.data.memory import MemoryTexts
from polypatch.edits import Edit, Lang
from polypatch.evaluation import Report, evaluate
from polypatch.evaluation.aggregate import with_original
from polypatch.model.rules import Rules
from polypatch.outcomes import EditOutcome
from polypatch.recipes import DEFAULT
from polypatch.world.speaking import load_speaking_world

LIMIT = 20
"""Edits."""

EVERY = 1
"""Of the world's memory so many-th texts, and"""

ASKED = 60
"""so many questions of a set, in every language: a demo is to take seconds."""


@dataclass(frozen=True)
class InLanguage:
    """One question in one language, and what the model answers before and after the edits."""

    lang: Lang
    prompt: str
    before: str
    after: str
    wanted: str


@dataclass(frozen=True)
class SpeakingPart:
    """What this part found.

    Attributes:
        reports: the unedited model's row, and the edited one's.
        example: the first fact that was wrong, in every language.
    """

    reports: Sequence[Report]
    example: Sequence[InLanguage]


def speaking(seed: int, limit: int | None, tell: Callable[[EditOutcome, int, int], None]) -> SpeakingPart:
    """Edit the speaking world of a seed.

    Args:
        seed: of the world and of the edits.
        limit: so many edits; None for `LIMIT`.
        tell: told of every edit, as (outcome, edits done, edits in all).
    """
    world = load_speaking_world(seed)
    data, edits = world.data, shuffled(world.data.edits, 0)[: min(limit or LIMIT, LIMIT)]
    parts = (data.memory, data.validation)
    train, validation = ({lang: texts[::EVERY] for lang, texts in part.items()} for part in parts)
    edited = attach(
        world.model,
        tokenizer=world.tokenizer,
        memory=MemoryTexts(train, validation),
        rules=Rules(seed=seed, allow_contradictions=True),
    )
    for done, outcome in enumerate(edited.stream(edits), start=1):
        tell(outcome, done, len(edits))
    locality = {name: rows[:ASKED] for name, rows in data.locality.items()}
    report = evaluate(edited, edits, locality)
    taken = next((edit for edit in edits if edited.outcomes[edit.id].triggered), edits[0])
    before, after = edited.predict_before_after([taken.prompt[lang] for lang in taken.languages])
    answers = zip(taken.languages, before, after, strict=True)
    example = [_answer(taken, lang, str(was), str(now)) for lang, was, now in answers]
    edited.unload()
    return SpeakingPart(with_original([report]), example)


def _answer(edit: Edit, lang: Lang, before: str, after: str) -> InLanguage:
    return InLanguage(lang, str(edit.prompt[lang]), before, after, edit.target_in(lang))


NAME = f"{DEFAULT}, the world that speaks"
"""Of its bar."""
