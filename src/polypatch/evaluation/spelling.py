"""How a model can spell an answer: some tokenizers lose accents, case or blanks, and no model can write them then."""

from __future__ import annotations

from collections.abc import Iterable

from polypatch.errors import InputError
from polypatch.sites.readouts.readout import Readout


class Spelling:
    """Answers as they read once the model's tokenizer has cut them and put them together again.

    So what every row of an edit says as wanted is right when it is generated, whatever the tokenizer loses.

    Args:
        readout: of a model that writes freely; None to leave answers as they are.
    """

    def __init__(self, readout: Readout | None) -> None:
        self._readout = readout
        self._known: dict[str, tuple[str, ...]] = {}

    def __call__(self, answers: Iterable[str]) -> tuple[str, ...]:
        """The answers, each followed by the model's spelling of it where that is another; the first stays the first."""
        return tuple(dict.fromkeys(one for answer in answers for one in self._both(answer)))

    def _both(self, answer: str) -> tuple[str, ...]:
        if answer not in self._known:
            self._known[answer] = tuple(one for one in (answer, self._spelled(answer)) if one)
        return self._known[answer]

    def _spelled(self, answer: str) -> str:
        if self._readout is None:
            return ""
        try:
            (question,) = self._readout.ask([self._readout.blank], [answer])
        except InputError:  # longer than the model may write, or with a mark in it: it never says that
            return ""
        return self._readout.answer(question.wanted)
