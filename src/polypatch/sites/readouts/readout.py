"""What a model is asked, and what its answer is: the readout. It belongs to the model, as its tokenizer does.

Everything below it knows rows and ids, and not what an id means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from polypatch.arguments import shortened, unknown_label
from polypatch.edits import Text
from polypatch.errors import InputError, UnknownLabelError
from polypatch.sites.discovery.anatomy import Place
from polypatch.sites.encoding.tokens import Tokens
from polypatch.sites.layers.two_classes import labels_of
from polypatch.sites.network.model_kind import ModelKind
from polypatch.sites.readouts.decoded_tokens import DECODED_TOKENS, DecodedTokens
from polypatch.sites.readouts.masked_tokens import MASKED_TOKENS, MaskedTokens
from polypatch.sites.readouts.next_tokens import NEXT_TOKENS, NextTokens
from polypatch.sites.readouts.prompts import MOST
from polypatch.sites.rows import Question, Row, Spoken, Standpoint
from polypatch.sites.site import FeedForwardSite

CLASSES = "classes"


class Readout(Protocol):
    """How texts and answers become rows and ids, and back."""

    kind: str
    """Its name in `READOUTS`."""

    tokens: Tokens

    blank: str
    """The shortest text that any answer can be given to."""

    @property
    def width(self) -> int:
        """How many ids there are: classes, or entries of the vocabulary."""
        ...

    @property
    def answers(self) -> Collection[str] | None:
        """All that the model can answer; None where it writes freely."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """How answers are written, by the names of `ReadoutSettings`; nothing where they are classes."""
        ...

    @property
    def marks(self) -> Mapping[str, Any]:
        """What answers hang on beside the weights, the configuration and how texts are cut; plain data by name.

        The tokens that end an answer, those that stand before every one, the chat template; nothing of a classifier.
        """
        ...

    def ask(self, texts: Sequence[Text], answers: Sequence[str], via: Sequence[str] = ()) -> list[Question]:
        """What must be said for each text to be answered so: a row for a class, a row for each token of an answer.

        Args:
            texts: n of them.
            answers: n answers that are wanted.
            via: n names of the maps that queries go through, empty for none.

        Raises:
            UnknownLabelError: an answer that the model cannot give.
        """
        ...

    def keep(self, texts: Sequence[Text]) -> list[tuple[Row, ...]]:
        """What must not change in each text for it to count as unchanged: a row, or every position."""
        ...

    def seen(self, row: Row) -> Row:
        """All that the query of a row hangs on, as a row: where it is the same, so is the query."""
        ...

    def rows(self, texts: Sequence[Text]) -> list[Row]:
        """The row of each text whose query stands for it: where its answer begins."""
        ...

    @property
    def longest(self) -> int:
        """Tokens of a text that are read, at most."""
        ...

    def is_cut(self, text: Text) -> bool:
        """Whether a text has more tokens than that."""
        ...

    def answer(self, ids: Sequence[int]) -> str:
        """What the ids said to a question mean."""
        ...

    def token(self, one: int) -> str:
        """What one id alone means."""
        ...

    def predict(self, texts: Sequence[Text], model: Standpoint) -> Spoken:
        """What the model answers to texts."""
        ...

    def answer_rows(self, texts: Sequence[Text], model: Standpoint) -> list[tuple[Row, ...]]:
        """The rows that say that answer, per text."""
        ...


class ClassLabel:
    """A classifier: one row per text, at the place its head reads; the ids are its classes.

    Args:
        tokens: cuts texts.
        labels: class index -> label.
        last: whether the head reads the last token, and not the first.
    """

    kind, blank = CLASSES, "-"
    settings: Mapping[str, Any] = {}
    marks: Mapping[str, Any] = {}

    def __init__(self, tokens: Tokens, labels: dict[int, str], *, last: bool = False) -> None:
        self.tokens, self.labels, self.last = tokens, labels, last
        self.classes = {name: i for i, name in labels.items()}

    @classmethod
    def of(cls, site: FeedForwardSite, tokens: Tokens) -> ClassLabel:
        """That of a Hugging Face sequence classifier."""
        return cls(tokens, labels_of(site.model), last=site.anatomy.place is Place.LAST)

    @property
    def width(self) -> int:
        """Classes."""
        return len(self.labels)

    @property
    def answers(self) -> Collection[str]:
        """The labels."""
        return self.classes

    def id_of(self, label: str) -> int:
        """The class index of a label.

        Raises:
            UnknownLabelError: the model has no such class.
        """
        if label not in self.classes:
            raise UnknownLabelError(f"the model has no class {shortened(label)}; {unknown_label(label, self.classes)}")
        return self.classes[label]

    def ask(self, texts: Sequence[Text], answers: Sequence[str], via: Sequence[str] = ()) -> list[Question]:
        """One row and one class each."""
        rows, maps = self.rows(texts), via or [""] * len(texts)
        return [
            Question((replace(row, via=name) if name else row,), (self.id_of(answer),))
            for row, answer, name in zip(rows, answers, maps, strict=True)
        ]

    def keep(self, texts: Sequence[Text]) -> list[tuple[Row, ...]]:
        """One row each."""
        return [(row,) for row in self.rows(texts)]

    def seen(self, row: Row) -> Row:
        """The row itself: its position sees all others."""
        return row

    def rows(self, texts: Sequence[Text]) -> list[Row]:
        """The row that the head reads of each text."""
        return self.tokens.rows(texts, last=self.last)

    @property
    def longest(self) -> int:
        """The longest input."""
        return self.tokens.max_length

    def is_cut(self, text: Text) -> bool:
        """Whether a text is longer."""
        return len(self.rows([text])[0].tokens) >= self.longest and self.tokens.is_cut(text)

    def answer(self, ids: Sequence[int]) -> str:
        """The label."""
        (label,) = ids
        return self.labels[int(label)]

    def token(self, one: int) -> str:
        """The label."""
        return self.answer([one])

    def predict(self, texts: Sequence[Text], model: Standpoint) -> Spoken:
        """The likeliest class of each."""
        found = model.said(self.rows(texts))
        return Spoken([self.answer([i]) for i in found.ids.tolist()], found.probability)

    def answer_rows(self, texts: Sequence[Text], model: Standpoint) -> list[tuple[Row, ...]]:
        """The row that the head reads, whatever the model says to it."""
        del model
        return self.keep(texts)


@dataclass(frozen=True)
class ReadoutSettings:
    """What a model is asked, and how.

    Attributes:
        kind: a name of `READOUTS`; None for the usual one of its kind of model.
        most: tokens of an answer, its end included, where it writes one.
        chat: wrap prompts in the tokenizer's chat template.
    """

    kind: str | None = None
    most: int = MOST
    chat: bool = False


READOUTS: dict[str, Callable[..., Readout]] = {
    CLASSES: ClassLabel.of,
    NEXT_TOKENS: NextTokens,
    DECODED_TOKENS: DecodedTokens,
    MASKED_TOKENS: MaskedTokens,
}
"""THE TABLE of readouts, the only place that lists them: name -> how one is made, of a site and its `Tokens`.

One for a model that writes takes `most` and `chat` as well, by these names.
"""

USUAL = {
    ModelKind.CLASSIFIER: CLASSES,
    ModelKind.CAUSAL: NEXT_TOKENS,
    ModelKind.SEQ2SEQ: DECODED_TOKENS,
    ModelKind.MASKED: MASKED_TOKENS,
}
"""What a model is asked unless told otherwise."""


def readout_of(asked: str | ReadoutSettings | None, site: FeedForwardSite, tokens: Tokens) -> Readout:
    """The readout that is asked for, or of that name, for a site; None for the usual one of its kind of model.

    Raises:
        InputError: the table has none, or one for another kind; or answers are classes, and are not written at all.
    """
    asked = asked if isinstance(asked, ReadoutSettings) else ReadoutSettings(asked)
    kind = USUAL[site.kind] if asked.kind is None else asked.kind
    if kind not in READOUTS:
        raise InputError(f"no readout is called {shortened(kind)}; the table has {', '.join(READOUTS)}")
    if kind in USUAL.values() and kind != USUAL[site.kind]:
        raise InputError(f"{type(site.model).__name__} is a {site.kind} model, and cannot be asked by {kind!r}")
    if site.kind.writes:
        return READOUTS[kind](site, tokens, most=asked.most, chat=asked.chat)
    if asked.chat or asked.most != MOST:
        raise InputError(
            f"{type(site.model).__name__} is a classifier and writes no answers: leave chat, and their tokens, out"
        )
    return READOUTS[kind](site, tokens)
