"""NextTokens: what a causal language model is asked. A row for each token of an answer, its natural end included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from polypatch.edits import Text
from polypatch.sites.encoding.tokens import Tokens
from polypatch.sites.readouts.greedy import Continuation, greedy
from polypatch.sites.readouts.prompts import MOST, Prompts
from polypatch.sites.readouts.writing import Begun, Writing
from polypatch.sites.rows import Question, Row

if TYPE_CHECKING:
    from polypatch.sites.site import FeedForwardSite

NEXT_TOKENS = "next-tokens"


class NextTokens(Writing):
    """A causal language model: an answer of m tokens is m + 1 rows, the last of which has to say the end.

    That every row says what is wanted *is* greedy decoding giving exactly the answer.

    Args:
        site: of the model.
        tokens: cuts texts.
        most: tokens of an answer, its end included.
        chat: wrap prompts in the tokenizer's chat template.
    """

    kind = NEXT_TOKENS
    answers = None

    def __init__(self, site: FeedForwardSite, tokens: Tokens, *, most: int = MOST, chat: bool = False) -> None:
        super().__init__()
        self.tokens, self.width, self.model = tokens, site.width, site.model
        self.tokenizer = tokens.tokenizer
        self.prompts = Prompts(tokens, site.model, most, chat=chat)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The longest answer, and whether prompts are what a user says in a chat."""
        return {"most": self.prompts.most, "chat": self.prompts.chat}

    @property
    def marks(self) -> Mapping[str, Any]:
        """The tokens that end an answer, and the chat template where prompts stand in it."""
        return {
            "ends": list(self.prompts.ends),
            **({"chat template": self.prompts.template} if self.prompts.chat else {}),
        }

    def prompt(self, text: Text) -> Begun:
        """The tokens of a prompt."""
        return self.prompts.prompt(text)

    def question(self, text: Text, answer: str) -> Question:
        """The prompt with the answer behind it, its end included, in one pass."""
        return self.said(self.prompts.prompt(text), self.prompts.answer(text, answer))

    def keep(self, texts: Sequence[Text]) -> list[tuple[Row, ...]]:
        """Every position of each text, but that of the mark for the beginning, which all texts share."""
        whole = [self.prompts.whole(text) for text in texts]
        return [
            tuple(Row(ids, place) for place in range(self.prompts.begins(ids) if len(ids) > 1 else 0, len(ids)))
            for ids in whole
        ]

    def rows(self, texts: Sequence[Text]) -> list[Row]:
        """The last token of each prompt: the answer begins behind it."""
        prompts = [self.prompts.prompt(text) for text in texts]
        return [Row(prompt, len(prompt) - 1) for prompt in prompts]

    @property
    def longest(self) -> int:
        """Tokens of a prompt: the answer needs the others."""
        return self.prompts.room

    def is_cut(self, text: Text) -> bool:
        """Whether a prompt is longer, of which the last tokens are read then."""
        return self.prompts.is_cut(text)

    def answer(self, ids: Sequence[int]) -> str:
        """The text of some tokens."""
        return self.prompts.text(ids)

    def greedy(self, prompts: Sequence[Begun]) -> list[Continuation]:
        """What the model writes behind prompts, as it stands."""
        return greedy(self.model, prompts, self.prompts.ends, self.prompts.most)

    def said(self, prompt: Begun, ids: tuple[int, ...]) -> Question:
        """What has to be said for these tokens to be written behind a prompt."""
        tokens, first = (*prompt, *ids[:-1]), len(prompt) - 1
        return Question(tuple(Row(tokens, first + i) for i in range(len(ids))), ids)
