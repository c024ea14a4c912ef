"""What patches read of a text beside the query: the vector that a sentence encoder has of it.

The model is shown tokens. They are written out again, and that text is what the encoder reads: while edits are made and
whenever the edited model is asked. No edit changes any of it, for the encoder is another network, and frozen.
"""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedTokenizerBase

from polypatch.errors import InputError, UnsupportedModelError
from polypatch.sites.discovery.anatomy import Anatomy


class Sentences:
    """From tokens to sentence vectors; `polypatch.sites.encoding.sentences` has the one there is.

    A copy of a model shares it: nothing ever changes it.

    Attributes:
        width: numbers of a vector; 0 where there is no encoder, and the tokens alone are read.
        tokenizer: the edited model's own.
        number: what compiled code knows it by.
    """

    width: int
    tokenizer: PreTrainedTokenizerBase

    def __init__(self) -> None:
        self.number = next(_NUMBERS)
        _KNOWN[self.number] = self

    def __deepcopy__(self, _: object) -> Sentences:
        return self

    @property
    def fingerprint(self) -> str:
        """Names all that a vector depends on beside the text."""
        raise NotImplementedError

    def of(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The vectors [n, width], of unit length, of texts.

        Args:
            ids: their tokens [n, T].
            mask: which of those are theirs [n, T], and no padding.
        """
        raise NotImplementedError


_NUMBERS = itertools.count()
_KNOWN: WeakValueDictionary[int, Sentences] = WeakValueDictionary()


# To torch.compile it is one step, which it does not look into: the tokens are written out in Python.
@torch.library.custom_op("polypatch::sentence_vectors", mutates_args=())
def _vectors(ids: Tensor, mask: Tensor, number: int, width: int) -> Tensor:
    del width  # who only looks at shapes wants to know it
    return _KNOWN[number].of(ids, mask)


@_vectors.register_fake
def _(ids: Tensor, mask: Tensor, number: int, width: int) -> Tensor:
    del mask, number
    return ids.new_empty((ids.shape[0], width), dtype=torch.float32)


class _Here(threading.local):
    """What one thread's pass has shown."""

    def __init__(self) -> None:
        self.vectors: Tensor | None = None

    def __reduce__(self) -> tuple[type[_Here], tuple[()]]:
        return _Here, ()


class SentenceBeside:
    """Reads it, as passes go by.

    Args:
        model: the whole model.
        anatomy: at which positions it is edited.
        sentences: from tokens to vectors.

    Raises:
        InputError: it is edited at every position, and not where a text has its one answer.
    """

    def __init__(self, model: nn.Module, anatomy: Anatomy, sentences: Sentences) -> None:
        if anatomy.everywhere:
            raise InputError(
                f"{type(model).__name__}: a sentence encoder reads a whole text, and edits act at every position here: "
                "edit the last layer of a classifier, or take reads='query'"
            )
        self.model, self.sentences = model, sentences
        self._names = list(inspect.signature(type(model).forward).parameters)[1:]
        self._here = _Here()
        self.traced: Tensor | None = None

    def more(self, d: int) -> int:
        """How many numbers are read beside a query of d."""
        del d
        return self.sentences.width

    @property
    def facts(self) -> dict[str, Any]:
        """What it depends on beside the model."""
        return {"sentence encoder": self.sentences.fingerprint}

    def hooks(self) -> tuple[RemovableHandle, ...]:
        """Put the hooks on the model that are needed."""
        begin = self.model.register_forward_pre_hook(self.begin, with_kwargs=True)
        return begin, self.model.register_forward_hook(self.end, always_call=True)

    def begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Before the model: the vectors of a pass."""
        given = {**dict(zip(self._names, args, strict=False)), **kwargs}
        ids, mask = given.get("input_ids"), given.get("attention_mask")
        if ids is None:
            raise InputError(
                f"{type(self.model).__name__}: its edits read a text by a sentence encoder: give input_ids, from which "
                "the text is known, and not inputs_embeds"
            )
        if mask is not None and mask.shape != ids.shape:
            raise UnsupportedModelError(
                f"{type(self.model).__name__}: the attention mask is {tuple(mask.shape)} where the tokens are "
                f"{tuple(ids.shape)}, so that a text's own are not known: give a mask of one number for each token"
            )
        mask = torch.ones_like(ids) if mask is None else mask
        self._keep(_vectors(ids, mask, self.sentences.number, self.sentences.width))

    def end(self, *_: Any) -> None:
        """After the model: what it was shown is no other pass's."""
        self._keep(None)

    def joined(self, query: Tensor | None, sequence: Tensor) -> Tensor | None:
        """The query [n, d] and the vectors: [n, d + width]; None in a pass begun before the hooks came."""
        del sequence
        vectors = self.traced if torch.compiler.is_compiling() else self._here.vectors
        return None if query is None or vectors is None else torch.cat([query, vectors.to(query)], dim=-1)

    def _keep(self, vectors: Tensor | None) -> None:
        # Code that is compiled cannot keep a tensor for one thread: it hands it on within its one pass.
        self.traced = vectors
        if not torch.compiler.is_compiling():
            self._here.vectors = vectors
