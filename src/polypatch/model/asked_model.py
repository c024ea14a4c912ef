"""An edited model as people ask it: labels, probabilities, which patches fire, and why an answer is what it is."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polypatch.arguments import text_in, texts_in
from polypatch.edits import Text
from polypatch.errors import InputError
from polypatch.model.answers import Answered, answered
from polypatch.model.cost import Cost, cost_of, described
from polypatch.model.explain import Explanation, Firing, explain, firing
from polypatch.model.state import State
from polypatch.rendering.harmless import one_line
from polypatch.sites import Row, Said
from polypatch.sites.rows import Spoken, Standpoint
from polypatch.sites.tails.tail import slice_of


@dataclass(repr=False)
class AskedModel(State):
    """A model that is asked, and not changed by that."""

    @property
    def labels(self) -> Mapping[int, str]:
        """Class index -> label; empty where the model writes freely."""
        return dict(enumerate(self.readout.answers or ()))

    def class_of(self, label: str) -> int:
        """The class index of a label.

        Raises:
            UnknownLabelError: the model has no such class.
            InputError: it has none at all.
        """
        self._require_classes()
        ((_, wanted),) = self.readout.ask(["-"], [label])
        return wanted[0]

    def probabilities(self, texts: Sequence[Text]) -> Tensor:
        """Softmax of the model's own forward passes: [n, classes].

        Of a language model [n, vocabulary], for the token that its answer begins with.
        """
        rows = self.readout.rows(texts_in(texts, "texts", empty=True))
        self.site.require_type()
        with self.site.lock.shared(), self.site.evaluating():
            return self.tail.encoder.logits_of(self.model, rows).softmax(-1)

    def spoken(self, texts: Sequence[Text]) -> Spoken:
        """The answers of the model itself to a list of texts, and how probable each is.

        Of an answer in words that is the probability of its least sure token.
        """
        texts = texts_in(texts, "texts", empty=True)
        if self.readout.answers is not None:
            best = self.probabilities(texts).max(-1)
            return Spoken([self.readout.answer([i]) for i in best.indices.tolist()], best.values.double())
        self.site.require_type()
        with self.site.reading(), self.site.evaluating():
            return self.readout.predict(texts, Standpoint(self._said, nullcontext, self.site.bare, changed=True))

    def _said(self, rows: Sequence[Row]) -> Said:
        """What the model itself says to rows, as it stands; in slices, as a vocabulary is wide."""
        size, found = slice_of(self.readout.width), [(torch.empty(0, dtype=torch.long), torch.empty(0).double())]
        for start in range(0, len(rows), size):
            logits = self.tail.encoder.logits_of(self.model, rows[start : start + size])
            sure, ids = logits.double().softmax(-1).max(-1)
            found.append((ids, sure.nan_to_num(0.0)))
        return Said(*map(torch.cat, zip(*found, strict=True)))

    def predict(self, texts: Text | Sequence[Text]) -> Any:
        """The answer to one text (a string or a pair), or the list of answers to several (a list): labels, or words.

        Runs the model itself, with its edits unless inside ``disabled()``. A language model writes the likeliest token,
        and the next, up to its end.
        """
        if isinstance(texts, str | tuple):
            return self.predict([texts])[0]
        return self.spoken(texts).answers

    __call__ = predict

    def predict_proba(self, texts: Text | Sequence[Text]) -> NDArray[np.float64]:
        """The probability of every class, in the order of `labels`: [classes] of one text, [n, classes] of a list.

        Raises:
            InputError: a language model, which has no classes.
        """
        self._require_classes()
        if isinstance(texts, str | tuple):
            texts = [texts]
            return self.predict_proba(texts).reshape(-1)
        shares: NDArray[np.float64] = self.probabilities(texts).double().numpy()
        return shares

    def _require_classes(self) -> None:
        if self.readout.answers is None:
            raise InputError(
                f"{type(self.model).__name__} writes its answers and has no classes: predict gives them, "
                "answers_before_after how probable they are as well"
            )

    def predict_before_after(self, texts: Sequence[Text]) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """Answers of the unedited and of the edited model, from the tail: [n], [n]."""
        return self.answers_before_after(texts)[:2]

    def answers_before_after(self, texts: Sequence[Text]) -> Answered:
        """The same, and the probability that the edited model gives its answer: [n], [n], [n]."""
        with self._looking():
            return answered(self.tail.asked, self.delta, texts_in(texts, "texts", empty=True))

    @property
    def cost(self) -> Cost:
        """What the edits cost elsewhere: held-out texts that answer otherwise than unedited, by language."""
        return cost_of(self)

    def __repr__(self) -> str:
        return described(self, measuring=False)

    def __str__(self) -> str:
        return described(self, measuring=True)

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(one_line(repr(self)))}</p>"

    def firing(self, text: Text, threshold: float = 0.0) -> list[Firing]:
        """The patches whose activation in `text` exceeds `threshold`, strongest first; none for changed weights."""
        text_in(text)
        with self._looking():
            return [Firing(self.delta.owners[i], a) for i, a in firing(text, self.tail.asked, self.delta, threshold)]

    def explain(self, text: Text) -> Explanation:
        """Which patches fire in `text`, how strongly, from which edits, and what the answer would be without them."""
        text_in(text)
        with self._looking():
            return explain(text, self.tail.asked, self.delta, self.records)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Inside the block nobody changes anything, and what the tail knows is of the model as it is."""
        with self.site.reading():
            self.site.require_same()
            yield

    @contextmanager
    def disabled(self) -> Iterator[Self]:
        """Inside the block the model is, for this thread and no other, the unedited one, bit for bit."""
        with self.site.bare():
            yield self
