"""What is in a world, as plain data: counts, balance, and how well the unedited model does in each language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polypatch.edits import Edit, Labelled, Lang
from polypatch.world.claims import LABELS
from polypatch.world.lexicon import LANGUAGES
from polypatch.world.load import World


@dataclass(frozen=True, slots=True)
class WorldSummary:
    """The figures of a world; all accuracies and shares are in 0..1, measured on the unedited model.

    Attributes:
        path, seed: where it is and what made it.
        parameters, vocabulary: the size of the model.
        counts: rows of every set (``edits``, ``memory``, ``validation``, and the locality sets).
        supports: share of the edits labelled SUPPORTS.
        accuracy: on the edits, by language.
        rephrase_accuracy: on their rephrases, by language.
        locality: accuracy by locality set.
        wrong_source, wrong_any, wrong_all: share of the edits wrong in English, in any language, in all.
        examples: a few edits, those that the model gets wrong everywhere first.
    """

    path: str
    seed: int
    parameters: int
    vocabulary: int
    counts: dict[str, int]
    supports: float
    accuracy: dict[Lang, float]
    rephrase_accuracy: dict[Lang, float]
    locality: dict[str, float]
    wrong_source: float
    wrong_any: float
    wrong_all: float
    examples: tuple[Edit, ...]


def describe(world: World, examples: int = 3) -> WorldSummary:
    """Measure `world`; runs the model over its edits and locality sets (seconds)."""
    edits = world.data.edits
    right = {lang: _right(world, [Labelled(e.prompt[lang], e.target_in(lang)) for e in edits]) for lang in LANGUAGES}
    wrong = [sum(not right[lang][row] for lang in LANGUAGES) for row in range(len(edits))]
    order = sorted(range(len(edits)), key=lambda row: -wrong[row])
    return WorldSummary(
        path=str(world.path),
        seed=world.seed,
        parameters=world.model.num_parameters(),
        vocabulary=len(world.tokenizer),
        counts=_counts(world),
        supports=_share([e.target_in(e.source) == LABELS[0] for e in edits]),
        accuracy={lang: _share(rows) for lang, rows in right.items()},
        rephrase_accuracy={lang: _share(_right(world, _rephrases(edits, lang))) for lang in LANGUAGES},
        locality={name: _share(_right(world, rows)) for name, rows in world.data.locality.items()},
        wrong_source=1 - _share(right["en"]),
        wrong_any=_share([count > 0 for count in wrong]),
        wrong_all=_share([count == len(LANGUAGES) for count in wrong]),
        examples=tuple(edits[row] for row in order[:examples]),
    )


def _right(world: World, rows: Sequence[Labelled]) -> list[bool]:
    labels = world.predict([row.text for row in rows])
    return [label == row.label for label, row in zip(labels, rows, strict=True)]


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


def _rephrases(edits: Sequence[Edit], lang: Lang) -> list[Labelled]:
    return [Labelled(text, edit.target_in(lang)) for edit in edits for text in edit.rephrases[lang]]


def _counts(world: World) -> dict[str, int]:
    data = world.data
    counts = {"edits": len(data.edits), "memory": len(data.memory["en"]), "validation": len(data.validation["en"])}
    return counts | {name: len(rows) for name, rows in data.locality.items()}
