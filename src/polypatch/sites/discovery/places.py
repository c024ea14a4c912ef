"""The position of every text in a pass that the head reads: its first token, or its last; the first of several.

Or all of them, where each may be answered from, or layers above read them: then the rows of a pass are its positions.

Where the last is depends on the text, so a hook on the model itself sees what is asked of it before any layer does. It
follows the rule of transformers' own heads: the last token that is not padding by its number; without numbers, or where
the configuration names no padding, the last position.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from polypatch.sites.discovery.anatomy import Anatomy, Place


class _Here(threading.local):
    """What one thread's pass has shown."""

    def __init__(self) -> None:
        self.last: Tensor | None = None
        self.calls = 0

    def __reduce__(self) -> tuple[type[_Here], tuple[()]]:
        return _Here, ()


class Places:
    """Reads and writes one position of every text in a pass.

    Args:
        model: the whole model.
        anatomy: which position, and how often the layer is called.
    """

    def __init__(self, model: nn.Module, anatomy: Anatomy) -> None:
        self.every = anatomy.everywhere
        self.last = anatomy.place is Place.LAST and not self.every
        self.several = anatomy.place is Place.SEVERAL and not self.every
        self.calls = anatomy.calls
        self.model = model if self.last or self.calls > 1 else None
        self.padding = pad_of(model)
        names = list(inspect.signature(type(model).forward).parameters)[1:]
        self._ids = names.index("input_ids") if "input_ids" in names else len(names)
        self._here = _Here()
        self.traced: Tensor | None = None

    def hooks(self) -> tuple[RemovableHandle, ...]:
        """Put the hooks on the model that are needed: none where the first position of the only call is read."""
        if self.model is None:
            return ()
        begin = self.model.register_forward_pre_hook(self.begin, with_kwargs=True)
        return begin, self.model.register_forward_hook(self.end, always_call=True)

    def begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Before the model: where the last token of each text is."""
        last = self.traced = self._last(args, kwargs) if self.last else None
        if not torch.compiler.is_compiling():
            self._here.last, self._here.calls = last, 0

    def end(self, *_: Any) -> None:
        """After the model."""
        self.traced = None
        if not torch.compiler.is_compiling():
            self._here.last, self._here.calls = None, 0

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Inside the block this thread may run other passes: behind it, it is where it was."""
        before = self.traced, self._here.last, self._here.calls
        try:
            yield
        finally:
            self.traced, self._here.last, self._here.calls = before

    def here(self) -> bool:
        """Whether this call of the layer is the one; counts the calls of a pass."""
        if self.calls == 1:
            return True
        self._here.calls += 1
        return self._here.calls % self.calls == 0

    def of(self, sequence: Tensor) -> Tensor | None:
        """[n, T, d] -> [n, d], or [n·T, d] where every position is; None in a pass begun before the hooks came.

        A layer that puts the positions of all texts in one list gives [n·T, d].
        """
        if self.every:
            return sequence.reshape(-1, sequence.shape[-1])
        if not self.last:
            return sequence[:, 0]
        last = self._found()
        return None if last is None else sequence[_places(sequence, last)]

    def put(self, sequence: Tensor, rows: Tensor) -> Tensor:
        """A fresh tensor with these rows: writing in place would change a value autograd still needs.

        Where the answer reads several positions, each gets what the first one gets: of a mean over T positions one
        alone moves a T-th, and that not far behind a norm.
        """
        if self.every:
            return rows.reshape(sequence.shape)
        if self.several:
            return sequence + (rows - sequence[:, 0]).unsqueeze(1)
        last = self._found() if self.last else None
        if last is None:
            return torch.cat([rows.unsqueeze(1), sequence[:, 1:]], dim=1)
        return sequence.index_put(_places(sequence, last), rows)

    def _found(self) -> Tensor | None:
        return self.traced if torch.compiler.is_compiling() else self._here.last

    def _last(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
        ids = args[self._ids] if self._ids < len(args) else kwargs.get("input_ids")
        if ids is not None and self.padding is not None:
            positions = torch.arange(ids.shape[1], device=ids.device)
            last: Tensor = (positions * (ids != self.padding)).argmax(-1)
            return last
        some = ids if ids is not None else kwargs.get("inputs_embeds")
        return None if some is None else torch.full(some.shape[:1], some.shape[1] - 1, device=some.device)


def _places(sequence: Tensor, last: Tensor) -> tuple[Tensor, ...]:
    """The indices of one position per text in [n, T, d]; or in [n · T, d], the texts one after the other."""
    texts = torch.arange(len(last), device=sequence.device)
    return (texts, last) if sequence.dim() == 3 else (texts * (len(sequence) // len(last)) + last,)


def pad_of(model: nn.Module) -> int | None:
    """The number of the padding, from a model's configuration."""
    config: Any = model.config
    number = getattr(config, "pad_token_id", None)
    return getattr(getattr(config, "text_config", None), "pad_token_id", None) if number is None else number
