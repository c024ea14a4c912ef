"""Writing: greedy decoding as a readout's answer, where what the unedited model writes is remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice

import torch

from polypatch.edits import Text
from polypatch.sites.encoding.tokens import KEPT
from polypatch.sites.readouts.greedy import Continuation
from polypatch.sites.readouts.token_readout import TokenReadout
from polypatch.sites.rows import Question, Row, Spoken, Standpoint, answered_right, flat

Begun = tuple[int, ...]
"""What the model reads before it writes an answer."""


class Writing(TokenReadout):
    """The part of a readout that writes: how prompts are read and answers decoded is the readout's own."""

    blank = "-"

    def __init__(self) -> None:
        self._known: dict[Begun, Continuation] = {}

    def prompt(self, text: Text) -> Begun:
        """What the model reads."""
        raise NotImplementedError

    def said(self, prompt: Begun, ids: tuple[int, ...]) -> Question:
        """What has to be said for these tokens to be written as the answer to a prompt."""
        raise NotImplementedError

    def greedy(self, prompts: Sequence[Begun]) -> list[Continuation]:
        """What the model writes as it stands."""
        raise NotImplementedError

    def answer(self, ids: Sequence[int]) -> str:
        """The text of some tokens."""
        raise NotImplementedError

    def seen(self, row: Row) -> Row:
        """The row without what stands behind it: a decoder's position sees none of that."""
        return replace(row, tokens=row.tokens[: row.place + 1])

    def predict(self, texts: Sequence[Text], model: Standpoint) -> Spoken:
        """Greedy decoding; the probability is that of the least sure token.

        What the unedited model writes is remembered. Where the edited one says the same tokens to the same rows, it
        writes the same; only the other prompts are decoded again.
        """
        written = self._written([self.prompt(text) for text in texts], model)
        sure = torch.tensor([one.probability for one in written], dtype=torch.float64)
        return Spoken([self.answer(one.ids) for one in written], sure)

    def answer_rows(self, texts: Sequence[Text], model: Standpoint) -> list[tuple[Row, ...]]:
        """The rows of what the model writes, one for each token, the end included where it comes."""
        prompts = [self.prompt(text) for text in texts]
        written = self._written(prompts, model)
        return [self.said(prompt, one.ids).rows for prompt, one in zip(prompts, written, strict=True)]

    def unedited(
        self, prompts: Sequence[Begun], bare: Callable[[], AbstractContextManager[None]]
    ) -> list[Continuation]:
        """What the unedited model writes; inside `bare` it is the unedited one."""
        known = self._known
        fresh = [prompt for prompt in dict.fromkeys(prompts) if prompt not in known]
        if len(known) + len(fresh) > KEPT:
            self._known, known = {}, {}
            fresh = list(dict.fromkeys(prompts))
        if fresh:
            with bare():
                known.update(zip(fresh, self.greedy(fresh), strict=True))
        return [known[prompt] for prompt in prompts]

    def _written(self, prompts: Sequence[Begun], model: Standpoint) -> list[Continuation]:
        written = self.unedited(prompts, model.bare)
        return self._edited(prompts, written, model) if model.changed else written

    def _edited(
        self, prompts: Sequence[Begun], before: Sequence[Continuation], model: Standpoint
    ) -> list[Continuation]:
        asked = [self.said(prompt, one.ids) for prompt, one in zip(prompts, before, strict=True)]
        said = model.said(flat(asked).rows)
        same = answered_right(asked, said)
        sure = iter(said.probability.tolist())
        found = [Continuation(one.ids, min(islice(sure, len(one.ids)))) for one in before]
        other = list(dict.fromkeys(prompt for prompt, kept in zip(prompts, same, strict=True) if not kept))
        if other:
            with model.edited():
                anew = dict(zip(other, self.greedy(other), strict=True))
            found = [one if kept else anew[prompt] for prompt, one, kept in zip(prompts, found, same, strict=True)]
        return found
