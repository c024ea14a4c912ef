"""MaskedTokens: what a model is asked that fills a gap. A row for each mask that stands for the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from polypatch.arguments import shortened
from polypatch.edits import Text
from polypatch.errors import InputError
from polypatch.sites.encoding.tokens import KEPT, TOKENIZING, Tokens
from polypatch.sites.readouts.prompts import (
    MOST,
    require_known,
    require_length,
    require_no_chat,
    require_no_marks,
    text_of,
)
from polypatch.sites.readouts.token_readout import TokenReadout
from polypatch.sites.rows import Question, Row, Spoken, Standpoint

if TYPE_CHECKING:
    from polypatch.sites.site import FeedForwardSite

MASKED_TOKENS = "masked-tokens"

MASKS = 5
"""As many masks are tried for one gap unless told otherwise: answers of 1 to 5 tokens."""

ASKED_AT_ONCE = 2**24
"""Logits of the rows that are asked about at a time, about."""


class _Read(NamedTuple):
    """A text in tokens: all of them, and a row with as many as leave room for the masks."""

    whole: tuple[int, ...]
    row: Row


class _Filled(NamedTuple):
    """One gap, filled: the rows of its masks, what they say, how probable each is."""

    rows: tuple[Row, ...]
    ids: tuple[int, ...]
    shares: tuple[float, ...]

    @property
    def score(self) -> float:
        """The mean log-probability of the tokens; −∞ where one is impossible."""
        return sum(log(one) if one > 0 else -float("inf") for one in self.shares) / len(self.shares)


class MaskedTokens(TokenReadout):
    """A masked language model: an answer of k tokens is asked with k masks in the gap, all filled in one pass.

    A prompt has the tokenizer's mask once, in the place of its answer. The answer is right when every mask says its
    token. What the model answers is found without knowing how long it is: with 1, 2, … masks in the gap, each is
    filled by its likeliest token, and the filling with the best mean log-probability is taken, the shortest of equals.
    So of fillings as long as the answer, the model's is the answer exactly where that is right; a filling of
    another length may still be the likelier one.

    A text that holds no gap, or several, asks nothing. What the model says to it is what it says at each of its masks,
    or, where there is none, at each of its tokens.

    **Deviates:** BMLAMA ranks a closed list of candidates, each by the probability of its own tokens; here the model
    answers freely, and masks of one gap do not see each other's tokens.

    Args:
        site: of the model.
        tokens: cuts texts.
        most: tokens of an answer; `MASKS` where it is the `MOST` of models that write.
        chat: of models that go on with a text.

    Raises:
        InputError: a chat, or a tokenizer without a mask.
    """

    kind = MASKED_TOKENS
    answers = None

    def __init__(self, site: FeedForwardSite, tokens: Tokens, *, most: int = MOST, chat: bool = False) -> None:
        require_no_chat(site.model, chat)
        self.tokens, self.width, self.tokenizer = tokens, site.width, tokens.tokenizer
        if self.tokenizer.mask_token is None:
            raise InputError(f"{type(site.model).__name__} fills masks, and its tokenizer has no mask_token; set it")
        self.mask, self.mark = int(self.tokenizer.mask_token_id), str(self.tokenizer.mask_token)
        self.blank = self.mark
        self.settings: Mapping[str, Any] = {"most": most, "chat": False}
        self.marks: Mapping[str, Any] = {"mask": self.mask}
        self.most = min(MASKS if most == MOST else most, max(1, tokens.max_length // 2))
        self.longest = tokens.max_length - self.most + 1
        self._known: dict[Text, _Read] = {}

    def question(self, text: Text, answer: str) -> Question:
        """As many masks in the gap as the answer has tokens there.

        Raises:
            InputError: as for `ask`; the text has no gap, or several, or has it beyond the longest input.
        """
        self._require_gap(text)
        wanted = self._ids(text, answer)
        return Question(self._masked(text, len(wanted)), wanted)

    def first(self, text: Text, question: Question) -> Row:
        """The first of the masks: how many there are belongs to what is asked."""
        del text
        return question.rows[0]

    def keep(self, texts: Sequence[Text]) -> list[tuple[Row, ...]]:
        """The masks of each text; of one without, every token that is no mark."""
        return [self._positions(self._read(text).row) for text in texts]

    def seen(self, row: Row) -> Row:
        """The row itself: its position sees all others."""
        return row

    def rows(self, texts: Sequence[Text]) -> list[Row]:
        """The gap of each text as one mask; of a text that asks nothing its first token."""
        return [self._positions(self._read(text).row)[0] for text in texts]

    def is_cut(self, text: Text) -> bool:
        """Whether a text has more tokens than leave room for the masks."""
        return len(self._read(text).whole) > self.longest

    def answer(self, ids: Sequence[int]) -> str:
        """The text of some tokens."""
        return text_of(self.tokenizer, ids)

    def predict(self, texts: Sequence[Text], model: Standpoint) -> Spoken:
        """The likeliest filling of each gap; the probability is that of the least sure token."""
        found = self._filled(texts, model)
        sure = torch.tensor([min(one.shares) for one in found], dtype=torch.float64)
        return Spoken([self.answer(one.ids) for one in found], sure)

    def answer_rows(self, texts: Sequence[Text], model: Standpoint) -> list[tuple[Row, ...]]:
        """The masks of that filling."""
        return [one.rows for one in self._filled(texts, model)]

    def _filled(self, texts: Sequence[Text], model: Standpoint) -> list[_Filled]:
        found: dict[Text, _Filled] = {}
        size = max(1, ASKED_AT_ONCE // (self.width * self.most * (self.most + 1) // 2))
        fresh = list(dict.fromkeys(texts))
        for start in range(0, len(fresh), size):
            some = fresh[start : start + size]
            ways = [self._ways(text) for text in some]
            said = model.said([row for way in ways for rows in way for row in rows])
            pairs = zip(said.ids.tolist(), said.probability.tolist(), strict=True)
            for text, way in zip(some, ways, strict=True):
                fillings = [_Filled(rows, *zip(*islice(pairs, len(rows)), strict=True)) for rows in way]
                found[text] = max(fillings, key=lambda one: one.score)
        return [found[text] for text in texts]

    def _ways(self, text: Text) -> list[tuple[Row, ...]]:
        """The rows of a gap of every length."""
        read = self._read(text).row
        if read.tokens.count(self.mask) != 1:
            return [self._positions(read)]
        return [self._masked(text, count) for count in range(1, self.most + 1)]

    def _masked(self, text: Text, count: int) -> tuple[Row, ...]:
        """The text with so many masks in its gap, a row for each."""
        read = self._read(text).row
        place = read.tokens.index(self.mask)
        tokens, context = (_spread(own, place, count) for own in (read.tokens, read.context))
        return tuple(Row(tokens, place + i, context) for i in range(count))

    def _positions(self, read: Row) -> tuple[Row, ...]:
        """What a text says as it stands."""
        marks = {*self.tokenizer.all_special_ids} - {self.tokenizer.unk_token_id}
        places = [i for i, one in enumerate(read.tokens) if one == self.mask]
        places = places or [i for i, one in enumerate(read.tokens) if one not in marks] or [0]
        return tuple(Row(read.tokens, place, read.context) for place in places)

    def _ids(self, text: Text, answer: str) -> tuple[int, ...]:
        """The answer's tokens where the mask stands; of one that runs into its neighbours there, those it has alone."""
        ids = self._read(text).whole
        place = ids.index(self.mask)
        before, after = ids[:place], ids[place + 1 :]
        parts = text if isinstance(text, tuple) else (text,)
        whole = self._cut([part.replace(self.mark, answer) for part in parts], truncation=False).tokens
        end = len(whole) - len(after)
        if place < end and whole[:place] == before and whole[end:] == after:
            own = whole[place:end]
        else:
            left = next(part for part in parts if self.mark in part).partition(self.mark)[0]
            with TOKENIZING:
                written = " " * left.endswith(" ") + answer
                own = tuple(self.tokenizer(written, add_special_tokens=False, verbose=False)["input_ids"])
        require_length(answer, own, self.most)
        require_known(self.tokenizer, answer, own)
        require_no_marks(self.tokenizer, answer, own)
        return own

    def _require_gap(self, text: Text) -> None:
        count = self._read(text).whole.count(self.mask)
        if count != 1:
            raise InputError(
                f"{shortened(text)} has {self.mark} {count} times: a prompt has it once, in the place of its answer, "
                "however long that is"
            )
        if self.mask not in self._read(text).row.tokens:
            raise InputError(
                f"{shortened(text)} has {self.mark} beyond the {self.longest} tokens that are read; shorten the text"
            )

    def _read(self, text: Text) -> _Read:
        """A text in tokens, whole and cut."""
        known = self._known
        if text not in known:
            if len(known) > KEPT:
                self._known = known = {}
            parts = text if isinstance(text, tuple) else (text,)
            whole = self._cut(parts, truncation=False)
            cut = whole if len(whole.tokens) <= self.longest else self._cut(parts, max_length=self.longest)
            known[text] = _Read(whole.tokens, cut)
        return known[text]

    def _cut(self, parts: Sequence[str], **how: Any) -> Row:
        with TOKENIZING:
            encoded = self.tokenizer(*parts, padding=False, verbose=False, **{"truncation": True, **how})
        return Row(tuple(encoded["input_ids"]), 0, tuple(encoded.get("token_type_ids", ())))


def _spread(numbers: tuple[int, ...], place: int, count: int) -> tuple[int, ...]:
    """So many times the number in one place."""
    return numbers[:place] + numbers[place : place + 1] * count + numbers[place + 1 :]
