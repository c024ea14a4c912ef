"""TokenReadout: what the readouts share whose ids are tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedTokenizerBase

from polypatch.edits import Text
from polypatch.sites.rows import Question, Row


class TokenReadout:
    """The part of a readout that asks for answers; what asks for one, and which rows it takes, is the readout's own."""

    tokenizer: PreTrainedTokenizerBase

    def question(self, text: Text, answer: str) -> Question:
        """What has to be said for a text to be answered so; errors as for `ask`."""
        raise NotImplementedError

    def rows(self, texts: Sequence[Text]) -> list[Row]:
        """The row of each text where its answer begins."""
        raise NotImplementedError

    def first(self, text: Text, question: Question) -> Row:
        """The row that is asked through a map: where the answer begins, read without the answer."""
        del question
        return self.rows([text])[0]

    def ask(self, texts: Sequence[Text], answers: Sequence[str], via: Sequence[str] = ()) -> list[Question]:
        """A row for each token of an answer, in one pass for each text.

        A mapped text asks for the first token alone: the others stand where only the true text leads to.

        Raises:
            InputError: a text cannot be asked, an answer is too long or empty, or has a token that the model cannot
                say.
        """
        maps = via or [""] * len(texts)
        return [self._asked(*one) for one in zip(texts, answers, maps, strict=True)]

    def _asked(self, text: Text, answer: str, via: str) -> Question:
        question = self.question(text, answer)
        if not via:
            return question
        return Question((replace(self.first(text, question), via=via),), question.wanted[:1])

    def token(self, one: int) -> str:
        """The token, with the blank before it; a mark by its name."""
        return str(self.tokenizer.decode([one]))
