"""What is in a speaking world, as plain data: counts, and what the unedited model knows in each language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from polypatch.edits import Edit, Lang
from polypatch.world.facts import Fact
from polypatch.world.lexicon import LANGUAGES
from polypatch.world.speaking.load import SpeakingWorld
from polypatch.world.speaking.prompts import TAUGHT
from polypatch.world.speaking.texts import Knowledge, knowledge, name_of, prompts


@dataclass(frozen=True, slots=True)
class SpeakingSummary:
    """The figures of a speaking world; shares are in 0..1, of greedy answers that match exactly.

    Attributes:
        path, seed: where it is and what made it.
        parameters, vocabulary: the size of the model.
        facts: how many there are, by what the documents make of them.
        counts: rows of every set (``edits``, ``memory``, ``validation``, and the locality sets).
        matches: what is asked and expected (`ROWS`), by language; None where there is nothing to ask.
        examples: a few edits.
    """

    path: str
    seed: int
    parameters: int
    vocabulary: int
    facts: dict[str, int]
    counts: dict[str, int]
    matches: dict[str, dict[Lang, float | None]]
    examples: tuple[Edit, ...]


class _Row(NamedTuple):
    """Which facts are asked about, in which wordings, and whether the truth is expected or what the documents state."""

    facts: Callable[[Fact, Lang], bool]
    wordings: slice
    truth: bool = True


_TAUGHT, _OTHER = slice(TAUGHT), slice(TAUGHT, None)


def _is(kind: Knowledge) -> Callable[[Fact, Lang], bool]:
    return lambda fact, _: knowledge(fact) is kind


def _documented(here: bool) -> Callable[[Fact, Lang], bool]:
    return lambda fact, lang: knowledge(fact) is Knowledge.KNOWN and (lang in fact.documented) is here


ROWS: Final[dict[str, _Row]] = {
    "known": _Row(_documented(True), _TAUGHT),
    "known, another wording": _Row(_documented(True), _OTHER),
    "known, in other languages only": _Row(_documented(False), _TAUGHT),
    "wrong: as it was taught": _Row(_is(Knowledge.WRONG), _TAUGHT, truth=False),
    "wrong: the truth": _Row(_is(Knowledge.WRONG), _TAUGHT),
    "unknown: the truth": _Row(_is(Knowledge.UNKNOWN), _TAUGHT),
}
"""What is asked: facts that documents of the language state as they are, also in wordings that were not taught, and
facts that only documents of other languages state; outdated facts; and facts that no document states."""


def describe_speaking(world: SpeakingWorld, examples: int = 3) -> SpeakingSummary:
    """Measure `world`; the model answers every prompt of every fact in every language (half a minute)."""
    facts = [fact for some in world.sets for fact in some]
    said = {lang: _answers(world, [text for fact in facts for text in prompts(fact, lang)]) for lang in LANGUAGES}
    return SpeakingSummary(
        path=str(world.path),
        seed=world.seed,
        parameters=world.model.num_parameters(),
        vocabulary=len(world.tokenizer),
        facts={kind.value: sum(knowledge(fact) is kind for fact in facts) for kind in Knowledge},
        counts=_counts(world),
        matches={
            name: {lang: _matches(facts, lang, row, said[lang]) for lang in LANGUAGES} for name, row in ROWS.items()
        },
        examples=world.data.edits[:examples],
    )


def _answers(world: SpeakingWorld, texts: Sequence[str]) -> dict[str, str]:
    return dict(zip(texts, world.answer(texts), strict=True))


def _matches(facts: Iterable[Fact], lang: Lang, row: _Row, said: dict[str, str]) -> float | None:
    flags = [
        said[text] == name_of(fact, lang, fact.answer if row.truth else fact.stated)
        for fact in facts
        if row.facts(fact, lang)
        for text in prompts(fact, lang)[row.wordings]
    ]
    return sum(flags) / len(flags) if flags else None


def _counts(world: SpeakingWorld) -> dict[str, int]:
    data = world.data
    counts = {"edits": len(data.edits), "memory": len(data.memory["en"]), "validation": len(data.validation["en"])}
    return counts | {name: len(rows) for name, rows in data.locality.items()}
