"""Whether a model still has the weights that queries were cached and edits were made of.

Looking costs next to nothing as long as nobody wrote to them: torch counts what is written to a tensor in place, and a
tensor that was replaced lies elsewhere. Only where one of these differs, or where edits are saved, are the numbers
themselves compared, by their sums as whole numbers: a fused optimiser counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from polypatch.errors import TailMismatchError, UnsupportedModelError


class Weights:
    """The weights of one model as they were.

    Args:
        model: the model, unedited.
    """

    def __init__(self, model: nn.Module) -> None:
        self.dtype = next(model.parameters()).dtype
        self._marks = _marks(model, {})
        self._sums = _sums(model, {})

    def require_type(self, model: nn.Module) -> None:
        """Refuse a model that was converted since.

        Raises:
            UnsupportedModelError: its numbers are of another type.
        """
        now = next(model.parameters()).dtype
        if now != self.dtype:
            raise UnsupportedModelError(
                f"the model was converted to {now} after edits were attached to it in {self.dtype}, and they do not "
                "hold in it: call unload(), load the model anew in that type and attach the edits to it"
            )

    def require_same(self, model: nn.Module, originals: Mapping[str, Tensor], *, thorough: bool = False) -> None:
        """Refuse a model whose weights were changed since.

        Args:
            model: the model.
            originals: what stands aside while edits replace it, by parameter name.
            thorough: compare the numbers even where nothing points to a change.

        Raises:
            UnsupportedModelError: its numbers are of another type.
            TailMismatchError: they are other numbers.
        """
        self.require_type(model)
        marks = _marks(model, originals)
        if marks == self._marks and not thorough:
            return
        sums = _sums(model, originals)
        other = [name for name in self._sums.keys() | sums.keys() if self._sums.get(name) != sums.get(name)]
        if other:
            raise TailMismatchError(
                f"weights of the model ({min(other)}{', …' if len(other) > 1 else ''}) were changed after edits were "
                "attached to it, and what is known of its texts is of those before: call unload(), and edit the model "
                "as it is now anew, or put the old weights back"
            )
        self._marks = marks  # moved, or written over with the same


@contextmanager
def swapped(model: nn.Module, overrides: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block the parameters of these names have other numbers."""
    own = {name: model.get_parameter(name).data for name in overrides}
    try:
        for name, tensor in overrides.items():
            model.get_parameter(name).data = tensor.data.to(own[name])
        yield
    finally:
        for name, data in own.items():
            model.get_parameter(name).data = data


def _marks(model: nn.Module, originals: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    """Per parameter where it lies and how often it was written to."""
    return {
        name: (originals.get(name, tensor).data_ptr(), 0 if tensor.is_inference() else tensor._version)
        for name, tensor in model.named_parameters()
    }


def _sums(model: nn.Module, originals: Mapping[str, Tensor]) -> dict[str, int]:
    """Per parameter the sum of its bits, read as whole numbers; nothing of one that is on no real device."""
    tensors = ((name, originals.get(name, tensor).detach()) for name, tensor in model.named_parameters())
    return {name: _sum(tensor) for name, tensor in tensors if not tensor.is_meta}


def _sum(tensor: Tensor) -> int:
    # Eight bytes at a time, which is several times as fast as four; what is left over beside them.
    flat = tensor.contiguous().flatten().view(torch.uint8)
    even = len(flat) // 8 * 8
    rest: list[int] = flat[even:].tolist()
    return int(flat[:even].view(torch.int64).sum()) + sum(rest)
