"""NearestBank: one entry per text of an edit; the nearest one acts, where it is nearer than unrelated texts are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from polypatch.deltas.cells import sorted_into_cells
from polypatch.deltas.checked import require_tensors
from polypatch.deltas.nearness import ALONE, TRACE, Numbers, acting, crowding, judged, sorted_in, unit
from polypatch.deltas.patch_bank import chosen
from polypatch.deltas.pieces import LookedUp
from polypatch.deltas.published import publish, seen_together
from polypatch.deltas.reserves import Reserves
from polypatch.errors import ArtefactError

ENTRIES = ("keys", "values", "offsets", "homes")
WHOLE = ("homes", "groups")
FRAME = ("centre", "map", "landmarks", "crowding", "groups", "kept", "sorting", "bias", "numbers")


class NearestBank(LookedUp):
    """``FFN'(q) = FFN(q) + a·vᵢ``, i being the entry with the key nearest to ``u = (q − c) M ÷ ‖(q − c) M‖``.

        s = u·kᵢ − β·(crowding of kᵢ) − β·(crowding of u)        a = (s − τ_g) ÷ width, between 0 and 1

    Crowding is the mean similarity to the `NEIGHBOURS` nearest landmarks, which are texts of the memory: a place where
    many texts are similar says little. g is the group of landmarks (a language, where the caller has languages) that u
    belongs to. τ_g is such that of the group's landmarks no larger share is nearer to an entry: `Numbers.share`, or
    less in a group that the entries' own texts are of, which need not be reached from another; there τ_g is no lower
    than the mean of such groups. Fewer than `Numbers.crowd` entries have a part of the share. With more entries τ_g
    rises. An entry may be made to act on its own text alone. Many entries are looked up by `polypatch.deltas.cells`.
    A text that is all but an entry's own gets a = 1. One of the memory, a trace of each being kept, stays as it is; so
    does one that is all but a landmark, and nearer to that than to any entry.

    Attributes:
        keys: [n, r], of unit length; q is longer than d where more than the feed-forward layer's input is read.
        values: [n, d].
        offsets: [n], β times the crowding of a key.
        homes: [n], the group that an entry's own text is of.
        owners: the edit id behind each entry, in the order they were made.

    Args:
        hidden_size: d.
        read_size: D, the length of q; None for what the entries say that it holds.
        device: where the entries live.
        dtype: what they are kept as: the model's own type.
    """

    overrides: Mapping[str, Tensor] = {}
    kind = "nearest"
    separable = True
    replaces = False
    mergeable = False
    unmergeable = "the nearest edit acts, which cannot be merged: no layer of a stock checkpoint looks anything up"

    def __init__(
        self,
        hidden_size: int,
        read_size: int | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.hidden_size, self.read_size, self._reserves = hidden_size, read_size, Reserves()
        for name, tensor in _empty(hidden_size, torch.empty(0, device=device, dtype=dtype)).items():
            self.register_buffer(name, tensor)

    @property
    def framed(self) -> bool:
        """Whether it knows what texts are measured by; the first entry needs that."""
        return "map" in self._buffers

    def frame(self, tensors: Mapping[str, Tensor]) -> None:
        """Say what texts are measured by, as long as there is no entry: the tensors of `FRAME`."""
        kept = {name: tensors[name].to(self.get_buffer("values").device) for name in FRAME}
        keys = self.get_buffer("values").new_empty(0, tensors["map"].shape[1])
        publish(self, judged({**seen_together(self), "keys": keys, **kept}), ())

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, plus what the nearest entry adds to it."""
        now = seen_together(self)
        if not len(now["offsets"]):
            return out
        entry, strength = acting(q.to(now["keys"].dtype), now)
        return out + (strength.unsqueeze(-1) * now["values"][entry]).to(out.dtype)

    def activations(self, q: Tensor) -> Tensor:
        """How strongly the entry acts that does, 0 of the others: [n_texts, d] -> [n_texts, n]."""
        now = seen_together(self)
        entry, strength = acting(q.to(now["keys"].dtype), now)
        return strength.new_zeros(len(q), self.patches).scatter(1, entry.unsqueeze(1), strength.unsqueeze(1))

    def without(self, piece: int) -> NearestBank:
        """A bank of the other entries, which are as near as they were."""
        like = self.get_buffer("values")
        rest = NearestBank(self.hidden_size, self.read_size, like.device, like.dtype)
        others = torch.arange(self.patches, device=like.device) != piece
        now = seen_together(self)
        kept = {name: tensor[others] if name in (*ENTRIES, "cells") else tensor for name, tensor in now.items()}
        sorted_by = sorted_into_cells(kept["cells"], len(kept["landmarks"]))
        publish(rest, {**kept, **sorted_by}, [owner for i, owner in enumerate(self.owners) if i != piece])
        return rest

    def append(self, owner: str, q: Tensor, value: Tensor, *, alone: bool = False) -> None:
        """Add one entry for a text, owned by an edit; alone: it acts on that text and no other. q: [D]; value: [d]."""
        now = seen_together(self)
        read, key = q.unsqueeze(0), unit(q.unsqueeze(0), now)
        offset = now["numbers"][0] * crowding(key, now["landmarks"]) + (ALONE if alone else 0.0)
        more = {"keys": key, "values": value.unsqueeze(0), "offsets": offset, "homes": sorted_in(read, now)}
        self._grow(more, [owner])

    def _grow(self, more: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        now = seen_together(self)
        grown = {n: self._reserves.longer(n, now[n], rows.detach().to(now[n])) for n, rows in more.items()}
        publish(self, judged({**now, **grown}, since=self.patches), [*self.owners, *owners])

    def drop(self, edit_ids: Collection[str]) -> None:
        """Take out the entries of these edits; the others act as if those had never been."""
        gone = set(edit_ids)
        tensors, owners = self.tensors(), list(self.owners)
        entries = {name: tensors.pop(name) for name in ENTRIES}
        left, owners = chosen(entries, owners, lambda _, owner: owner not in gone)
        self.load_tensors(
            {**left, **tensors} if owners else _empty(self.hidden_size, self.get_buffer("values")), owners
        )

    def since(self, patches: int) -> dict[str, Tensor]:
        """The entries added since; with the first one also what texts are measured by."""
        if not patches:
            return self.tensors()
        now = seen_together(self)
        return {name: now[name][patches:].detach().cpu().clone() for name in ENTRIES}

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Append the entries of one edit; ArtefactError as `load_tensors`."""
        fresh = dict(tensors)
        count = len(fresh["offsets"]) if "offsets" in fresh and fresh["offsets"].dim() else 0
        if not self.patches:
            self.load_tensors(fresh, [owner] * count)
            return
        width, groups = self.get_buffer("keys").shape[1], len(self.get_buffer("bias"))
        shapes = {"keys": (count, width), "values": (count, self.hidden_size), "offsets": (count,), "homes": (count,)}
        require_tensors("entries need", fresh, shapes, whole=("homes",))
        _require_groups(fresh, ("homes",), groups)
        self._grow({name: fresh[name] for name in ENTRIES}, [owner] * count)

    def tensors(self) -> dict[str, Tensor]:
        """The entries, and what texts are measured by where there is one."""
        now = seen_together(self)
        names = (*ENTRIES, *FRAME) if len(now["offsets"]) else ENTRIES
        return {name: now[name].detach().cpu().contiguous() for name in names}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the entries, and what texts are measured by.

        Raises:
            ArtefactError: a tensor is missing, has another shape or type than the others imply, or is not finite.
        """
        self._require(tensors, len(owners))
        like = self.get_buffer("values")
        kept = {n: t.to(like.device, copy=True) if n in WHOLE else t.to(like, copy=True) for n, t in tensors.items()}
        publish(self, judged(kept) if owners else kept, owners)

    def _require(self, tensors: Mapping[str, Tensor], count: int) -> None:
        def size(name: str, dim: int) -> int:
            tensor = tensors.get(name)
            return tensor.shape[dim] if tensor is not None and tensor.dim() > dim else 0

        width, d = size("keys", 1), self.hidden_size
        wanted: dict[str, tuple[int, ...]] = {"keys": (count, width), "values": (count, d)}
        wanted |= {"offsets": (count,), "homes": (count,)}
        if count:
            many, groups, read = size("landmarks", 0), size("bias", 0), self.read_size or size("centre", 0)
            wanted |= {"centre": (read,), "map": (read, width), "landmarks": (many, width), "crowding": (many,)}
            wanted |= {"groups": (many,), "sorting": (read, groups), "bias": (groups,)}
            wanted |= {"numbers": (len(Numbers._fields),), "kept": (size("kept", 0), min(width, TRACE))}
        require_tensors("entries need", tensors, wanted, whole=WHOLE if count else ("homes",))
        if count:
            _require_groups(tensors, WHOLE, groups)


def _require_groups(tensors: Mapping[str, Tensor], names: Sequence[str], groups: int) -> None:
    for name in names:
        if len(tensors[name]) and not 0 <= int(tensors[name].min()) <= int(tensors[name].max()) < groups:
            raise ArtefactError(f"{name} holds numbers that are not between 0 and {groups - 1}")


def _empty(hidden_size: int, like: Tensor) -> dict[str, Tensor]:
    none = like.new_empty(0)
    return {"keys": none.view(0, 0), "values": like.new_empty(0, hidden_size), "offsets": none, "homes": none.long()}
