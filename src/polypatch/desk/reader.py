"""Reader: one edited model that several people ask at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from polypatch.desk.batches import Batches
from polypatch.edited_model import EditedModel
from polypatch.edits import Lang, Text
from polypatch.model.explain import Answer, Explanation, Firing
from polypatch.store.history import HistoryLine


@dataclass(frozen=True)
class Shown:
    """An answer as it is shown.

    Attributes:
        lang, text: what was asked.
        answer: what the model says now.
        unedited: what it says without its edits.
        firing: the edits at work in it, the loudest first.
    """

    lang: Lang
    text: Text
    answer: Answer
    unedited: str
    firing: tuple[Firing, ...]


@dataclass(frozen=True)
class Version:
    """Answers, and how many edits were in the model that gave them all."""

    answers: tuple[Answer, ...]
    edits: int


class Reader:
    """Several threads may ask at any time. A request sees all of an edit or nothing of it.

    A context: answers are given inside the block.

    Args:
        edited: the model.
        name: of the model, for people.
    """

    def __init__(self, edited: EditedModel, name: str) -> None:
        self.edited, self.name = edited, name

    def __enter__(self) -> Self:
        self._batches: Batches[tuple[Answer, int]] = Batches(self._answers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batches.close()

    @property
    def writes(self) -> bool:
        """Whether the model writes its answers; a classifier has labels."""
        return self.edited.readout.answers is None

    def answers(self, texts: Sequence[Text]) -> Version:
        """The model's answers, all by one state of the model; batched with other requests'."""
        found = self._batches(texts)
        return Version(tuple(answer for answer, _ in found), found[0][1] if found else self.inside)

    @property
    def inside(self) -> int:
        """Edits in the model, those that needed no change included."""
        return sum(not record.reverted for record in list(self.edited.records.values()))

    @property
    def patches(self) -> int:
        """Neurons added, or entries of a codebook."""
        return self.edited.patches

    def ask(self, prompts: Sequence[tuple[Lang, Text]]) -> list[Shown]:
        """Answers with what is at work in them, and what they would be without edits."""
        texts = [text for _, text in prompts]
        answers = self.answers(texts).answers
        before = self.edited.predict_before_after(texts)[0]
        firing = [tuple(self.edited.firing(text)) for text in texts]
        rows = zip(prompts, answers, before.tolist(), firing, strict=True)
        return [Shown(lang, text, answer, str(old), acts) for (lang, text), answer, old, acts in rows]

    def why(self, text: Text) -> Explanation:
        """Which edits act on a text, and what it would be answered without each."""
        return self.edited.explain(text)

    def history(self) -> list[HistoryLine]:
        """Every edit that was handled, in order."""
        with self.edited.site.reading():
            return self.edited.history()

    def _answers(self, texts: list[Text]) -> list[tuple[Answer, int]]:
        with self.edited.site.reading():
            spoken, inside = self.edited.spoken(texts), self.inside
        rows = zip(spoken.answers, spoken.probability.tolist(), strict=True)
        return [(Answer(label, probability), inside) for label, probability in rows]
