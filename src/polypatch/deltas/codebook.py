"""Codebook: outputs kept under queries, each with the radius within which it stands in for the layer's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.distances import distances
from polypatch.deltas.patch_bank import chosen
from polypatch.deltas.pieces import LookedUp
from polypatch.deltas.published import publish, seen_together
from polypatch.deltas.shared import inseparable
from polypatch.errors import ArtefactError

_NAMES = ("keys", "values", "radii", "classes")


class Codebook(LookedUp):
    """``FFN'(q) = vᵢ if ‖q − kᵢ‖ ≤ rᵢ else FFN(q)``, i being the nearest key's; of equally near ones the latest.

    An entry belongs to one edit, but what it covers does not: later edits widen or narrow it, or rest on it without an
    entry of their own. So none can be cut out; taking one back makes the others again.

    Attributes:
        keys: [n, d], one query k per entry.
        values: [n, d], the output v that stands in for the layer's.
        radii: [n], r.
        classes: [n], the class each entry was written for.
        owners: the edit id behind each entry, in the order they were made.

    Args:
        hidden_size: d.
        labels: how many classes the model has.
        device: where the entries live.
        dtype: what their numbers are kept as: the model's own type.
    """

    keys: Tensor
    values: Tensor
    radii: Tensor
    classes: Tensor
    overrides: Mapping[str, Tensor] = {}
    kind = "codebook"
    separable = False
    replaces = False
    mergeable = False
    unmergeable = "a codebook cannot be merged: no layer of a stock checkpoint looks up the nearest of its entries"

    def __init__(
        self,
        hidden_size: int,
        labels: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.register_buffer("keys", torch.empty(0, hidden_size, device=device, dtype=dtype))
        self.register_buffer("values", torch.empty(0, hidden_size, device=device, dtype=dtype))
        self.register_buffer("radii", torch.empty(0, device=device, dtype=dtype))
        self.register_buffer("classes", torch.empty(0, dtype=torch.long, device=device))
        self.labels = labels

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, or the value of the entry that covers the query."""
        now = seen_together(self)
        if not len(now["keys"]):
            return out
        entry, distance = _nearest(q, now["keys"])
        covered = (distance <= now["radii"][entry]).unsqueeze(-1)
        return torch.where(covered, now["values"][entry].to(out.dtype), out)

    def nearest(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """The entry with the nearest key, and how far that is: [n_texts, d] -> [n_texts], [n_texts]."""
        return _nearest(q, self.keys)

    def activations(self, q: Tensor) -> Tensor:
        """1 − ‖q − k‖ ÷ r of the entry that covers the query, 0 of the others: [n_texts, d] -> [n_texts, n]."""
        entry, distance = self.nearest(q.to(self.keys.dtype))
        depth = (1 - distance / self.radii[entry]).clamp(min=0)
        return q.new_zeros(len(q), self.patches, dtype=depth.dtype).scatter(1, entry.unsqueeze(1), depth.unsqueeze(1))

    def without(self, piece: int) -> Codebook:
        """A codebook of the other entries."""
        rest = Codebook(self.keys.shape[1], self.labels, self.keys.device, self.keys.dtype)
        rest.load_tensors(*chosen(self.tensors(), self.owners, lambda i, _: i != piece))
        return rest

    def append(self, owner: str, key: Tensor, value: Tensor, radius: float, label: int) -> None:
        """Add one entry, owned by an edit. key, value: [d]."""
        more = key, value, self.radii.new_tensor(radius), self.classes.new_tensor(label)
        old = seen_together(self)
        rows = {name: row.detach().to(old[name]).unsqueeze(0) for name, row in zip(_NAMES, more, strict=True)}
        publish(self, {name: torch.cat([old[name], row]) for name, row in rows.items()}, [*self.owners, owner])

    def resize(self, entry: int, radius: float) -> None:
        """Give an entry another radius."""
        # A new tensor: a snapshot holds the old one.
        self.radii = self.radii.index_fill(0, torch.tensor([entry], device=self.radii.device), radius)

    def drop(self, edit_ids: Collection[str]) -> NoReturn:
        """Refused: other edits rest on these.

        Raises:
            InputError: always.
        """
        raise inseparable(edit_ids, "edits in a codebook share its radii")

    def since(self, patches: int) -> dict[str, Tensor]:
        """The entries added since, and the radii of all."""
        return {
            name: tensor if name == "radii" else tensor[patches:].clone() for name, tensor in self.tensors().items()
        }

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Append the entries of one edit, and take over the radii of all; ArtefactError as `load_tensors`."""
        old, fresh = self.tensors(), dict(tensors)
        count = len(fresh["classes"]) if "classes" in fresh and fresh["classes"].dim() else 0
        self._require(fresh, count, self.patches + count)
        whole = {name: fresh[name] if name == "radii" else torch.cat([old[name], fresh[name]]) for name in _NAMES}
        self.load_tensors(whole, [*self.owners, *[owner] * count])

    def tensors(self) -> dict[str, Tensor]:
        """``keys``, ``values``, ``radii`` and ``classes``."""
        return {name: self.get_buffer(name).detach().cpu().contiguous() for name in _NAMES}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the entries.

        Raises:
            ArtefactError: a tensor is missing, has another shape or type than n owners and width d imply, or holds
                what cannot be: numbers that are not finite, radii that are not above 0, classes the model has not.
        """
        self._require(tensors, len(owners), len(owners))
        publish(self, {name: tensors[name].to(self.get_buffer(name), copy=True) for name in _NAMES}, owners)

    def _require(self, tensors: Mapping[str, Tensor], count: int, radii: int) -> None:
        width = self.keys.shape[1]
        wanted = {"keys": (count, width), "values": (count, width), "radii": (radii,), "classes": (count,)}
        require_tensors("a codebook needs", tensors, wanted, whole=("classes",))
        if not bool((tensors["radii"] > 0).all()):
            raise ArtefactError("radii holds numbers that are not above 0")
        if not bool(((tensors["classes"] >= 0) & (tensors["classes"] < self.labels)).all()):
            raise ArtefactError(f"classes holds numbers that are not between 0 and {self.labels - 1}")


def _nearest(q: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    distance, backwards = distances(q, keys).flip(1).min(1)
    return len(keys) - 1 - backwards, distance
