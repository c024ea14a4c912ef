"""DecodedTokens: what a model is asked that reads a text and writes another. A row for each token that is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch.edits import Text
from polypatch.errors import InputError
from polypatch.sites.encoding.tokens import TOKENIZING, Tokens
from polypatch.sites.readouts.greedy import Continuation, greedy
from polypatch.sites.readouts.prompts import (
    MOST,
    ends_of,
    require_known,
    require_length,
    require_no_chat,
    require_no_marks,
    text_of,
)
from polypatch.sites.readouts.writing import Begun, Writing
from polypatch.sites.rows import Question, Row

if TYPE_CHECKING:
    from polypatch.sites.site import FeedForwardSite

DECODED_TOKENS = "decoded-tokens"


class DecodedTokens(Writing):
    """A model with an encoder and a decoder: an answer of m tokens is m + 1 rows, the last of which says the end.

    The encoder reads the prompt, the rows' context. The decoder reads what stands before every answer (`begun`) and the
    answer up to the row; the layers that are edited are the decoder's.

    **Deviates:** `generate` forces tokens at two places. Those at the beginning (``forced_bos_token_id``: BART's mark,
    the target language of mBART, M2M100 and NLLB) are given to the decoder here, and so are the marks that the
    tokenizer puts before every target (`tokenizer.tgt_lang`): nobody asks for them and no edit teaches them. An end
    that is forced where an answer becomes too long (``forced_eos_token_id``) is not: such an answer has no end.

    Args:
        site: of the model.
        tokens: cuts texts.
        most: tokens of an answer, its end included.
        chat: of models that go on with a text.

    Raises:
        InputError: a chat; or nothing names the token that a decoder starts with, or the one that ends an answer.
    """

    kind = DECODED_TOKENS
    answers = None

    def __init__(self, site: FeedForwardSite, tokens: Tokens, *, most: int = MOST, chat: bool = False) -> None:
        super().__init__()
        require_no_chat(site.model, chat)
        self.site, self.tokens, self.width = site, tokens, site.width
        self.tokenizer = tokens.tokenizer
        self.ends = ends_of(site.model, self.tokenizer)
        self.begun = begun_of(site.model, self.tokenizer)
        self.most = min(most, max(1, tokens.max_length - len(self.begun)))

    @property
    def settings(self) -> Mapping[str, Any]:
        """The longest answer."""
        return {"most": self.most, "chat": False}

    @property
    def marks(self) -> Mapping[str, Any]:
        """The tokens that end an answer, and those that stand before every one."""
        return {"ends": list(self.ends), "begun": list(self.begun)}

    def prompt(self, text: Text) -> Begun:
        """What the encoder reads, as the tokenizer writes it; of a text too long the first tokens."""
        return self.tokens.rows([text])[0].tokens

    def question(self, text: Text, answer: str) -> Question:
        """The answer, its end included, behind what stands before every answer, in one pass about the prompt."""
        return self.said(self.prompt(text), self._ids(answer))

    def _ids(self, answer: str) -> tuple[int, ...]:
        own = _target(self.tokenizer, answer, marks=False)
        require_length(answer, own, self.most - 1)
        require_known(self.tokenizer, answer, own)
        require_no_marks(self.tokenizer, answer, own, self.ends)
        return (*own, self.ends[0])

    def keep(self, texts: Sequence[Text]) -> list[tuple[Row, ...]]:
        """Where the answer begins, and each further token of what the unedited model writes, its end included."""
        prompts = [self.prompt(text) for text in texts]
        with self.site.evaluating():
            written = self.unedited(prompts, self.site.bare)
        first = 0 if _forced(self.site.model) is None else len(self.begun) - 1  # a mark goes on being said
        return [self._rows(prompt, one.ids, first) for prompt, one in zip(prompts, written, strict=True)]

    def rows(self, texts: Sequence[Text]) -> list[Row]:
        """The decoder's first position: the answer begins behind it."""
        return [Row(self.begun, len(self.begun) - 1, self.prompt(text)) for text in texts]

    @property
    def longest(self) -> int:
        """Tokens that the encoder reads."""
        return self.tokens.max_length

    def is_cut(self, text: Text) -> bool:
        """Whether a prompt is longer."""
        return self.tokens.is_cut(text)

    def answer(self, ids: Sequence[int]) -> str:
        """The text of some tokens."""
        return text_of(self.tokenizer, ids, self.ends)

    def greedy(self, prompts: Sequence[Begun]) -> list[Continuation]:
        """What the model writes about prompts, as it stands."""
        return greedy(self.site.model, prompts, self.ends, self.most, self.begun)

    def said(self, prompt: Begun, ids: tuple[int, ...]) -> Question:
        """What has to be said for these tokens to be written about a prompt."""
        return Question(self._rows(prompt, ids, len(self.begun) - 1), ids)

    def _rows(self, prompt: Begun, ids: tuple[int, ...], first: int) -> tuple[Row, ...]:
        tokens = (*self.begun, *ids[:-1])
        return tuple(Row(tokens, place, prompt) for place in range(first, len(tokens)))


def begun_of(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """What stands before every answer: the decoder's start, and what is forced, or the tokenizer's marks, behind it.

    Raises:
        InputError: nothing names the start, or the tokenizer writes no targets.
    """
    forced = _forced(model)
    return (_start(model), *(_marks_before(tokenizer) if forced is None else (forced,)))


def _forced(model: nn.Module) -> int | None:
    return _named(model, "forced_bos_token_id")


def _named(model: nn.Module, name: str) -> int | None:
    """A token that a checkpoint names: in how it generates, or, in older ones, in its configuration."""
    places = (getattr(model, part, None) for part in ("generation_config", "config"))
    return next((int(one) for place in places if (one := getattr(place, name, None)) is not None), None)


def _start(model: nn.Module) -> int:
    found = _named(model, "decoder_start_token_id")
    found = _named(model, "bos_token_id") if found is None else found
    if found is None:
        raise InputError(
            f"{type(model).__name__} names no token that its decoder starts with; set "
            "model.generation_config.decoder_start_token_id"
        )
    return found


def _target(tokenizer: PreTrainedTokenizerBase, answer: str, *, marks: bool) -> tuple[int, ...]:
    """The tokens of an answer, as the tokenizer writes targets, with its marks or without.

    Raises:
        InputError: it cannot, for want of a language to write in.
    """
    try:
        with TOKENIZING:
            encoded = tokenizer(text_target=answer, add_special_tokens=marks, truncation=False, verbose=False)
    except Exception as error:  # of a language that is not named every tokenizer makes an error of its own
        raise InputError(f"the tokenizer writes no answers ({error}); set its tgt_lang") from error
    return tuple(encoded["input_ids"])


def _marks_before(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The marks that the tokenizer puts before every target."""
    own, whole = (_target(tokenizer, "1", marks=marks) for marks in (False, True))
    starts = range(len(whole) - len(own) + 1)
    return whole[: next((i for i in starts if whole[i : i + len(own)] == own), 0)]
