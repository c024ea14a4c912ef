"""Deltas that are put together without the model they belong to."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from polypatch.deltas.codebook import Codebook
from polypatch.deltas.patch_bank import PatchBank


def standing_alone(kind: str, width: int, labels: int, like: Mapping[str, Tensor]) -> PatchBank | Codebook | None:
    """An empty delta of this kind; None where a kind changes the model's own matrices and cannot do without them.

    Args:
        kind: as `edit_config.json` calls it.
        width: the length d of a query.
        labels: classes of the model.
        like: tensors that it will hold; their type is its own.
    """
    dtype = like["keys"].dtype if "keys" in like else torch.float32
    if kind == PatchBank.kind:
        return PatchBank(width, dtype=dtype)
    return Codebook(width, labels, dtype=dtype) if kind == Codebook.kind else None
