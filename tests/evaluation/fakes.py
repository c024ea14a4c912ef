"""A fake edited model that answers from a table, and a stream small enough to work out by hand."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from polypatch.edits import Edit, Labelled, Text
from polypatch.errors import InputError
from polypatch.model.cost import Cost
from polypatch.model.rules import Rules
from polypatch.outcomes import EditOutcome, TrajectoryPoint
from polypatch.sites.rows import Question

LABELS = {0: "no", 1: "yes"}


class FakeReadout:
    """Of a model that writes freely, with a token for each character; case and accents are lost, and length is not."""

    answers, blank = None, "-"

    def ask(self, texts, answers, via=()):
        if any(len(answer) > 40 for answer in answers):
            raise InputError("too long")
        bare = (unicodedata.normalize("NFD", answer.lower()) for answer in answers)
        return [Question((), tuple(ord(c) for c in one if not unicodedata.combining(c))) for one in bare]

    def answer(self, ids):
        return "".join(map(chr, ids))


class FakeDelta:
    """Of four kilobytes."""

    def tensors(self):
        return {"values": torch.zeros(2, 500)}


@dataclass
class FakeEdited:
    """Text -> (label before, label after); without labels it writes freely."""

    answers: Mapping[Text, tuple[str, str]]
    outcomes: Mapping[str, EditOutcome] = field(default_factory=dict)
    sampled_languages: tuple[str, ...] = ("en", "de", "fr")
    recipe_name: str = "mpn-all"
    rules: Rules = field(default_factory=Rules)
    patches: int = 2
    trajectory: Sequence[TrajectoryPoint] = ()
    labels: Mapping[int, str] = field(default_factory=lambda: dict(LABELS))
    confidence: Mapping[Text, float] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    delta: FakeDelta = field(default_factory=FakeDelta)
    readout: FakeReadout = field(default_factory=FakeReadout)
    asked: list[list[Text]] = field(default_factory=list)

    def answers_before_after(self, texts):
        self.asked.append(list(texts))
        both = np.array([self.answers[text] for text in texts], dtype=object).reshape(-1, 2)
        return both[:, 0], both[:, 1], np.asarray([self.confidence.get(text, 1.0) for text in texts])


def outcome(edit_id, *languages, triggered=True, success=True, right=True, attempts=1, seconds=1.0):
    return EditOutcome(
        edit_id,
        triggered=triggered,
        success=success,
        source_correct=right,
        languages=languages,
        patches=int(triggered),
        attempts=attempts if triggered else 0,
        seconds=seconds,
    )


# Every text says what it is: edit, language, number. All targets are "yes", but e3's, which is "no".
EDITS = (
    Edit(
        "e1",
        {"en": "e1 en", "de": "e1 de", "fr": "e1 fr", "zh": "e1 zh"},
        {"en": "yes"},
        rephrases={"en": ("e1 en'", "e1 en''", "e1 en'''"), "de": ("e1 de'", "e1 de''")},
    ),
    Edit("e2", {"en": "e2 en", "de": "e2 de", "zh": "e2 zh"}, {"en": "yes"}, rephrases={"en": ("e2 en'",)}),
    Edit("e3", {"en": "e3 en", "de": "e3 de", "fr": "e3 fr"}, {"en": "no"}, rephrases={"fr": ("e3 fr'",)}),
    Edit("e4", {"en": "e4 en", "zh": "e4 zh"}, {"en": "yes"}),
)

N, Y = "no", "yes"
ANSWERS: dict[Text, tuple[str, str]] = {
    # reliability: before 1/4 (e3), after 3/4
    "e1 en": (N, Y), "e2 en": (N, Y), "e3 en": (N, N), "e4 en": (N, N),
    # clg[de]: before 1/3, after 3/3
    "e1 de": (N, Y), "e2 de": (N, Y), "e3 de": (N, N),
    # clg[fr]: before 1/2, after 1/2, but not the same half
    "e1 fr": (Y, N), "e3 fr": (Y, N),
    # clg[zh]: before 1/3, after 2/3; never sampled
    "e1 zh": (Y, Y), "e2 zh": (N, Y), "e4 zh": (N, N),
    # mlg: before 0/4, after 3/4 (micro; macro would be 5/6)
    "e1 en'": (N, Y), "e1 en''": (N, Y), "e1 en'''": (N, N), "e2 en'": (N, Y),
    # clg_rephrase after: de 1/2, fr 1/1 -> 75; before: de 0/2, fr 0/1
    "e1 de'": (N, Y), "e1 de''": (N, N), "e3 fr'": (Y, N),
    # locality: accuracy before 3/4, after 2/4; agreement 1/4
    "t1": (Y, Y), "t2": (Y, N), "t3": (Y, N), "t4": (N, Y),
}  # fmt: skip
LOCALITY = {
    "train": [Labelled("t1", "yes"), Labelled("t2", "yes"), Labelled("t3", "yes"), Labelled("t4", "yes")],
    "test.de": [Labelled("t4", "yes"), Labelled("t1", "yes")],
    "empty": [],
}
OUTCOMES = {
    "e1": outcome("e1", "en", "de", seconds=2.0, attempts=3),
    "e2": outcome("e2", "en", success=False, seconds=4.0),
    "e3": outcome("e3", triggered=False, seconds=0.5),
    "e4": outcome("e4", triggered=False, right=False, seconds=0.5),
}


def golden(**changes):
    return FakeEdited(ANSWERS, OUTCOMES, **changes)
