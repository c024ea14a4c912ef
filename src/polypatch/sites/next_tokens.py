"""NextTokens: what a causal language model is asked. A row for each token of an answer, its natural end included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch

from polypatch.edits import Text
from polypatch.sites.greedy import Continuation, greedy
from polypatch.sites.prompts import MOST, Prompts
from polypatch.sites.rows import Question, Row, Spoken, Standpoint, answered_right, flat
from polypatch.sites.tokens import KEPT, Tokens

if TYPE_CHECKING:
    from polypatch.sites.site import FeedForwardSite

NEXT_TOKENS = "next-tokens"


class NextTokens:
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
        self.tokens, self.width, self.model = tokens, site.width, site.model
        self.prompts = Prompts(tokens, site.model, most, chat=chat)
        self._known: dict[tuple[int, ...], Continuation] = {}

    @property
    def settings(self) -> Mapping[str, Any]:
        """The longest answer, and whether prompts are what a user says in a chat."""
        return {"most": self.prompts.most, "chat": self.prompts.chat}

    def ask(self, texts: Sequence[Text], answers: Sequence[str], via: Sequence[str] = ()) -> list[Question]:
        """The prompt with the answer behind it, in one pass.

        A mapped prompt asks for the first token alone: behind it stands what only the true prompt leads to.
        """
        maps = via or [""] * len(texts)
        return [self._asked(*one) for one in zip(texts, answers, maps, strict=True)]

    def _asked(self, text: Text, answer: str, via: str) -> Question:
        prompt, wanted = self.prompts.prompt(text), self.prompts.answer(text, answer)
        if via:
            return Question((Row(prompt, len(prompt) - 1, via=via),), wanted[:1])
        return self._said(prompt, wanted)

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

    def token(self, one: int) -> str:
        """The token, with the blank before it; a mark by its name."""
        return str(self.prompts.tokenizer.decode([one]))

    def predict(self, texts: Sequence[Text], model: Standpoint) -> Spoken:
        """Greedy decoding; the probability is that of the least sure token.

        What the unedited model writes is remembered. Where the edited one says the same tokens to the same rows, it
        writes the same; only the other prompts are decoded again.
        """
        written = self._written([self.prompts.prompt(text) for text in texts], model)
        sure = torch.tensor([one.probability for one in written], dtype=torch.float64)
        return Spoken([self.answer(one.ids) for one in written], sure)

    def answer_rows(self, texts: Sequence[Text], model: Standpoint) -> list[tuple[Row, ...]]:
        """The rows of what the model writes, one for each token, the end included where it comes."""
        prompts = [self.prompts.prompt(text) for text in texts]
        written = self._written(prompts, model)
        return [self._said(prompt, one.ids).rows for prompt, one in zip(prompts, written, strict=True)]

    def _written(self, prompts: Sequence[tuple[int, ...]], model: Standpoint) -> list[Continuation]:
        written = self._unedited(prompts, model)
        return self._edited(prompts, written, model) if model.changed else written

    def _unedited(self, prompts: Sequence[tuple[int, ...]], model: Standpoint) -> list[Continuation]:
        known = self._known
        fresh = [prompt for prompt in dict.fromkeys(prompts) if prompt not in known]
        if len(known) + len(fresh) > KEPT:
            self._known, known = {}, {}
            fresh = list(dict.fromkeys(prompts))
        if fresh:
            with model.bare():
                known.update(zip(fresh, self._greedy(fresh), strict=True))
        return [known[prompt] for prompt in prompts]

    def _edited(
        self, prompts: Sequence[tuple[int, ...]], before: Sequence[Continuation], model: Standpoint
    ) -> list[Continuation]:
        asked = [self._said(prompt, one.ids) for prompt, one in zip(prompts, before, strict=True)]
        said = model.said(flat(asked).rows)
        same = answered_right(asked, said)
        sure = iter(said.probability.tolist())
        found = [Continuation(one.ids, min(islice(sure, len(one.ids)))) for one in before]
        other = list(dict.fromkeys(prompt for prompt, kept in zip(prompts, same, strict=True) if not kept))
        if other:
            with model.edited():
                anew = dict(zip(other, self._greedy(other), strict=True))
            found = [one if kept else anew[prompt] for prompt, one, kept in zip(prompts, found, same, strict=True)]
        return found

    def _greedy(self, prompts: Sequence[tuple[int, ...]]) -> list[Continuation]:
        return greedy(self.model, prompts, self.prompts.ends, self.prompts.most)

    @staticmethod
    def _said(prompt: tuple[int, ...], ids: tuple[int, ...]) -> Question:
        """What has to be said for these tokens to be written behind a prompt."""
        tokens, first = (*prompt, *ids[:-1]), len(prompt) - 1
        return Question(tuple(Row(tokens, first + i) for i in range(len(ids))), ids)
