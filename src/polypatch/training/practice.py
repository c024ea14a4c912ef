"""Edits to train an editor on: parallel text of the data, with answers that are not the model's. No edit of the stream.

The text is what maps are learned from, or, where there is none, the memory. A class is any other than the model's; what
is to be written is what the model writes to another text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from polypatch.data import EditingData
from polypatch.edits import Edit, Lang, Text
from polypatch.errors import DataError, UnknownLabelError
from polypatch.sites import UNCHANGED, Tail

FEWEST = 20
"""Edits that can be trained on and leave some to validate by."""

LONGEST = 16
"""Tokens of an answer: of a longer one the model found no end."""

Sentence = Mapping[Lang, Text]
"""One sentence by language, the source first."""


def practice_edits(tail: Tail, data: EditingData, most: int, seed: int) -> tuple[Edit, ...]:
    """At most so many edits, in a random order.

    Raises:
        DataError: there are too few texts, or the model says one thing to all of them.
    """
    rng = random.Random(f"practice:{seed}")
    sentences = list(_sentences(data))
    rng.shuffle(sentences)
    sentences = sentences[:most]
    said = _said(tail, sentences)
    edits = [
        Edit(f"practice-{i}", sentence, target, source=next(iter(sentence)))
        for i, sentence in enumerate(sentences)
        if (target := _other(tail, said, i, rng))
    ]
    edits = [edit for edit in edits if _can_be_said(tail, edit)]
    if len(edits) < FEWEST:
        raise DataError(
            f"{data.name}: {len(edits)} texts to train an editor on, and {FEWEST} are needed: texts that stand in no edit "
            "and no locality set, to which the model says different things; give more parallel text or more memory"
        )
    return tuple(edits)


def _sentences(data: EditingData) -> Iterator[Sentence]:
    """Those of the parallel text that no edit and no locality set has a text of; or else of the memory."""
    asked, seen = set(data.asked(data.edits)), set[Text]()
    columns: Sequence[Mapping[Lang, Sequence[Text]]] = (
        [data.parallel] if data.parallel else [{lang: texts} for lang, texts in data.memory.items()]
    )
    for column in columns:
        for texts in zip(*column.values(), strict=True):
            if asked.isdisjoint(texts) and texts[0] not in seen:
                seen.add(texts[0])
                yield dict(zip(column, texts, strict=True))


def _said(tail: Tail, sentences: Sequence[Sentence]) -> list[dict[Lang, str]]:
    """What the model answers: a class to the source's text; else to each language's."""
    labels = tail.readout.answers is not None
    asked = [(i, lang) for i, one in enumerate(sentences) for lang in (list(one)[:1] if labels else one)]
    answers = tail.predict([sentences[i][lang] for i, lang in asked], UNCHANGED).answers
    said: list[dict[Lang, str]] = [{} for _ in sentences]
    for (i, lang), answer in zip(asked, answers, strict=True):
        said[i][lang] = answer
    return said


def _other(tail: Tail, said: Sequence[Mapping[Lang, str]], i: int, rng: random.Random) -> Mapping[Lang, str]:
    """Another answer in the same languages; nothing where none is found."""
    own = next(iter(said[i].values()))
    if tail.readout.answers is not None:
        return dict.fromkeys(said[i], rng.choice([label for label in tail.readout.answers if label != own]))
    others = rng.sample(said, min(len(said), FEWEST))
    whole = (one for one in others if one.keys() == said[i].keys() and all(text.strip() for text in one.values()))
    return next((one for one in whole if next(iter(one.values())) != own), {})


def _can_be_said(tail: Tail, edit: Edit) -> bool:
    """Whether the model could say it, and it is no answer that ran on until it was cut."""
    try:
        asked = tail.readout.ask([one.text for one in edit.examples], [one.target for one in edit.examples])
    except UnknownLabelError:
        return False
    return all(len(question.rows) <= LONGEST for question in asked)
