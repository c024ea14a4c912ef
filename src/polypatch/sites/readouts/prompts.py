"""From a prompt and an answer to the tokens that a language model reads and has to write.

The two are tokenised together, as the tokenizer would write them, and it is verified that the prompt's tokens stay what
they are: a model that goes on from the prompt can say no others.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from typing import Any

from torch import nn

from polypatch.arguments import shortened
from polypatch.edits import Text
from polypatch.errors import InputError
from polypatch.sites.encoding.tokens import KEPT, TOKENIZING, Tokens

MOST = 32
"""Tokens of an answer, its end included, unless told otherwise."""

_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "IDEOGRAPHIC", "FULLWIDTH")
"""Beginnings of the names of characters that no blank stands before or behind."""


class Prompts:
    """Cuts prompts and answers into tokens.

    Args:
        tokens: the model's tokenizer and its longest input.
        model: names the tokens that end an answer.
        most: tokens of an answer, its end included; a prompt leaves them room.
        chat: wrap each prompt in the tokenizer's chat template, as what a user says.

    Raises:
        InputError: the model names no token that ends an answer; the tokenizer has no chat template.
    """

    def __init__(self, tokens: Tokens, model: nn.Module, most: int = MOST, *, chat: bool = False) -> None:
        self.tokens, self.tokenizer, self.chat = tokens, tokens.tokenizer, chat
        self.most = min(most, max(1, tokens.max_length // 2))
        self.ends = ends_of(model, self.tokenizer)
        if chat and not getattr(self.tokenizer, "chat_template", None):
            raise InputError("chat=True, and this tokenizer has no chat template; leave chat out")
        self._known: dict[str, tuple[int, ...]] = {}

    def prompt(self, text: Text) -> tuple[int, ...]:
        """The tokens of a prompt, its end cut off; of one too long the last, behind the mark for the beginning."""
        return self._cut(self._ids(self._wrapped(text)), self.room)

    @property
    def template(self) -> str:
        """SHA-256 of the chat template, whatever it is made of."""
        return hashlib.sha256(json.dumps(self.tokenizer.chat_template, sort_keys=True).encode()).hexdigest()

    @property
    def room(self) -> int:
        """Tokens of a prompt."""
        return self.tokens.max_length - self.most

    def is_cut(self, text: Text) -> bool:
        """Whether a prompt is longer than there is room."""
        return len(self._ids(self._wrapped(text))) > self.room

    def whole(self, text: Text) -> tuple[int, ...]:
        """The tokens of a text that nothing is to follow; of one too long the first."""
        return self._ids(self._wrapped(text))[: self.tokens.max_length]

    def answer(self, text: Text, answer: str) -> tuple[int, ...]:
        """The tokens that have to follow the prompt, the end included.

        Raises:
            InputError: they are more than `most`, or there are none; the tokenizer does not know a character; or one
                is a mark.
        """
        prompt, wrapped = self._ids(self._wrapped(text)), self._wrapped(text)
        written = ("" if self.chat else blank_between(wrapped, answer)) + answer
        with TOKENIZING:
            own = tuple(self.tokenizer(written, add_special_tokens=False, verbose=False)["input_ids"])
        require_no_marks(self.tokenizer, answer, own, self.ends)  # of both together a mark at the end would be cut off
        both = self._ids(wrapped + written)
        # Else the tokenizer merges across the border, and a model that goes on from the prompt cannot.
        if both[: len(prompt)] == prompt and len(both) > len(prompt):
            own = both[len(prompt) :]
        require_length(answer, own, self.most - 1)
        require_known(self.tokenizer, answer, own)
        return (*own, self.ends[0])

    def text(self, ids: Sequence[int]) -> str:
        """What the tokens of an answer say, up to its end."""
        return text_of(self.tokenizer, ids, self.ends)

    def _wrapped(self, text: Text) -> str:
        if isinstance(text, tuple):
            raise InputError(f"{shortened(text)} is a pair: a language model reads one text, so join the two")
        if not self.chat:
            return text
        said = [{"role": "user", "content": text}]
        return str(self.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True))

    def _ids(self, text: str) -> tuple[int, ...]:
        if text not in self._known:
            with TOKENIZING:
                # A chat template writes the mark for the beginning itself.
                encoded = self.tokenizer(text, add_special_tokens=not self.chat, truncation=False, verbose=False)
            if len(self._known) > KEPT:
                self._known = {}
            self._known[text] = self._open(encoded["input_ids"])
        return self._known[text]

    def _open(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Without the marks for an end that a tokenizer puts there: something is to follow."""
        last = len(ids)
        while not self.chat and last > 1 and ids[last - 1] in self._marks:
            last -= 1
        return tuple(ids[:last])

    @property
    def _marks(self) -> set[int]:
        named = (self.tokenizer.eos_token_id, self.tokenizer.sep_token_id)
        return {number for number in named if number is not None}

    def _cut(self, ids: tuple[int, ...], room: int) -> tuple[int, ...]:
        if len(ids) <= room:
            return ids
        begin = ids[: self.begins(ids)]
        return (*begin, *ids[len(ids) - room + len(begin) :])

    def begins(self, ids: Sequence[int]) -> int:
        """1 where the first token is the mark for the beginning of every text, else 0."""
        return int(bool(ids) and ids[0] in (self.tokenizer.bos_token_id, self.tokenizer.cls_token_id))


def blank_between(before: str, after: str) -> str:
    """What stands between a prompt and its answer: a blank, but in scripts without, and where there is one."""
    if not before or not after or before[-1].isspace() or after[0].isspace():
        return ""
    unspaced = any(unicodedata.name(one, "").startswith(_UNSPACED) for one in (before[-1], after[0]))
    return "" if unspaced else " "


def ends_of(model: nn.Module, tokenizer: Any) -> tuple[int, ...]:
    """The tokens that end an answer, the usual one first.

    Raises:
        InputError: nothing names one.
    """
    for place in (getattr(model, "generation_config", None), getattr(model, "config", None), tokenizer):
        named = getattr(place, "eos_token_id", None)
        if named is not None:
            return tuple(named) if isinstance(named, list | tuple) else (int(named),)
    raise InputError(
        f"{type(model).__name__} names no token that ends an answer; set model.generation_config.eos_token_id"
    )


def text_of(tokenizer: Any, ids: Sequence[int], ends: Sequence[int] = ()) -> str:
    """What tokens say, up to the first that ends an answer."""
    own = ids[: next((i for i, one in enumerate(ids) if one in ends), len(ids))]
    return str(tokenizer.decode(list(own), skip_special_tokens=True)).strip()


def require_length(answer: str, own: Sequence[int], most: int) -> None:
    """Refuse an answer of no token, or of more than `most`.

    Raises:
        InputError: it is one.
    """
    if not 1 <= len(own) <= most:
        raise InputError(
            f"answer {shortened(answer)} is {len(own)} tokens long, and an answer has 1 to {most} (Encoding(most=…))"
        )


def require_known(tokenizer: Any, answer: str, own: Sequence[int]) -> None:
    """Refuse an answer of which a part is the unknown token: whatever it stands for, the model cannot write it.

    Raises:
        InputError: it has one, which the message names.
    """
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown not in own:
        return

    def is_unknown(part: str) -> bool:
        with TOKENIZING:
            return unknown in tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]

    word = next((word for word in answer.split() if is_unknown(word)), answer)
    signs = [sign for sign in word if is_unknown(sign)]
    found = signs[0] if 0 < len(signs) < len(word) else word
    raise InputError(
        f"answer {shortened(answer)} has {shortened(found)} in it, which the tokenizer does not know, so that the "
        "model cannot write it; give an answer without"
    )


def require_no_marks(tokenizer: Any, answer: str, own: Sequence[int], ends: Sequence[int] = ()) -> None:
    """Refuse an answer with one of the tokenizer's own marks in it, or one of the tokens that end answers.

    Raises:
        InputError: it has one.
    """
    marks = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id} | set(ends)
    if found := [one for one in own if one in marks]:
        mark = tokenizer.convert_ids_to_tokens(found[0])
        what = f"{mark!r} in it, which ends an answer" if found[0] in ends else f"the tokenizer's mark {mark!r} in it"
        raise InputError(f"answer {shortened(answer)} has {what}; give an answer without")


def require_no_chat(model: nn.Module, chat: bool) -> None:
    """Refuse a chat with a model that does not go on with a text.

    Raises:
        InputError: one is asked for.
    """
    if chat:
        raise InputError(f"chat=True, and {type(model).__name__} does not go on with what a user says; leave chat out")
