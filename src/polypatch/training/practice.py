"""Edits to train an editor on: parallel text of the data, with answers that are not the model's. No edit of the stream.

The text is what maps are learned from, or, where there is none, the memory. A class is any other than the model's; what
is to be written are the first words that the model writes to another text, or of that text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from polypatch.data import EditingData
from polypatch.edits import Edit, Lang, Text
from polypatch.errors import DataError, InputError
from polypatch.sites import UNCHANGED, Question, Tail

FEWEST = 20
"""Edits that can be trained on and leave some to validate by."""

POOL = 60
"""Sentences whose answers are wanted of others."""

WORDS, LETTERS = 3, 24
"""Of an answer, at most: a model may find no end."""

AlignedText = Mapping[Lang, Text]
"""One sentence by language, the source first."""


def practice_edits(tail: Tail, data: EditingData, most: int, seed: int) -> tuple[Edit, ...]:
    """At most so many edits, in a random order.

    Raises:
        DataError: there are too few texts, or the model says one thing to all of them.
    """
    rng = random.Random(f"practice:{seed}")
    sentences = list(_sentences(data))
    rng.shuffle(sentences)
    answers, edits = _answers(tail, sentences[:POOL]), list[Edit]()
    for i, sentence in enumerate(sentences[:most]):
        edits += _drawn(answers, f"practice-{i}", sentence, rng)
    right = tail.right([_question(tail, edit) for edit in edits], UNCHANGED)
    # Of what is said already any other answer is wrong.
    others = (
        [edit] if not said else _drawn(answers, edit.id, edit.prompt, rng, edit)
        for edit, said in zip(edits, right, strict=True)
    )
    edits = [edit for found in others for edit in found]
    if len(edits) < FEWEST:
        raise DataError(
            f"{data.name}: {len(edits)} texts to train an editor on, and {FEWEST} are needed: texts that stand in no "
            "edit and no locality set, to which the model says different things; give more parallel text or memory"
        )
    return tuple(edits)


def _sentences(data: EditingData) -> Iterator[AlignedText]:
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


def _answers(tail: Tail, sentences: Sequence[AlignedText]) -> list[dict[Lang, str]]:
    """What may be wanted, by language: each class; else the first words that the model writes to some sentences.

    Where it writes nothing at all to one, those of the sentence.
    """
    labels = tail.readout.answers
    if labels is not None:
        languages = dict.fromkeys(lang for one in sentences for lang in one)
        return [dict.fromkeys(languages, label) for label in labels]
    said = iter(tail.predict([text for one in sentences for text in one.values()], UNCHANGED).answers)
    found = [{lang: _begun(next(said)) or _begun(text) for lang, text in one.items()} for one in sentences]
    return [{lang: answer for lang, answer in one.items() if _can_say(tail, answer)} for one in found]


def _begun(text: Text) -> str:
    """The first words; of a pair the second text's."""
    return " ".join((text if isinstance(text, str) else text[-1]).split()[:WORDS])[:LETTERS].strip()


def _drawn(
    answers: Sequence[Mapping[Lang, str]], name: str, sentence: AlignedText, rng: random.Random, but: Edit | None = None
) -> list[Edit]:
    """One edit of a sentence, in the languages that have a text and an answer; none where the source has none.

    `but` is one whose answer is not to be drawn.
    """
    source = next(iter(sentence))
    known = [one for one in answers if source in one and (but is None or one[source] != but.target[source])]
    if not known:
        return []
    target = rng.choice(known)
    both = [lang for lang in sentence if lang in target]
    prompt = {lang: sentence[lang] for lang in both}
    return [Edit(name, prompt, {lang: target[lang] for lang in both}, source=source)]


def _question(tail: Tail, edit: Edit) -> Question:
    (asked,) = tail.readout.ask([edit.prompt[edit.source]], [edit.target[edit.source]])
    return asked


def _can_say(tail: Tail, answer: str) -> bool:
    try:
        tail.readout.ask([tail.readout.blank], [answer])
    except InputError:
        return False
    return True
