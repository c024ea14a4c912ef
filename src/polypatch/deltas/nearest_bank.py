"""NearestBank: one entry per text of an edit; the nearest one acts, where it is nearer than unrelated texts are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.patch_bank import chosen
from polypatch.deltas.published import publish, seen_together
from polypatch.errors import ArtefactError, InputError
from polypatch.sites.merge import MergeCost
from polypatch.sites.site import FeedForwardSite

ENTRIES = ("keys", "values", "offsets")
FRAME = ("centre", "map", "landmarks", "crowding", "groups", "sorting", "bias", "numbers")

NEIGHBOURS = 10
"""Landmarks whose mean similarity says how crowded a place is."""


class Numbers(NamedTuple):
    """What decides whether the nearest entry acts.

    Attributes:
        weight: of how crowded the places of text and key are, β.
        share: of the landmarks of a group that an entry may be near enough to act on.
        width: from the threshold to where an entry acts in full.
        same: a similarity above which two texts are one.
    """

    weight: float
    share: float
    width: float
    same: float


class NearestBank(nn.Module):
    """``FFN'(q) = FFN(q) + a·vᵢ``, i being the entry with the key nearest to ``u = (q − c) M ÷ ‖(q − c) M‖``.

        s = u·kᵢ − β·(crowding of kᵢ) − β·(crowding of u)        a = (s − τ_g) ÷ width, between 0 and 1

    Crowding is the mean similarity to the `NEIGHBOURS` nearest landmarks, which are texts of the memory: a place where
    many texts are similar says little. g is the group of landmarks (a language, where the caller has languages) that u
    belongs to. τ_g is such that of the group's landmarks no larger share than `Numbers.share` is nearer to an entry:
    with more entries it rises. A text that is all but an entry's own gets a = 1; one that is all but a landmark, and
    nearer to that than to any entry, stays as it is.

    Attributes:
        keys: [n, r], of unit length; q is longer than d where more than the feed-forward layer's input is read.
        values: [n, d].
        offsets: [n], β times the crowding of a key.
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

    def __init__(
        self,
        hidden_size: int,
        read_size: int | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.hidden_size, self.read_size = hidden_size, read_size
        self.owners: list[str] = []
        for name, tensor in _empty(hidden_size, torch.empty(0, device=device, dtype=dtype)).items():
            self.register_buffer(name, tensor)

    @property
    def patches(self) -> int:
        """Entries."""
        return len(self.owners)

    @property
    def framed(self) -> bool:
        """Whether it knows what texts are measured by; the first entry needs that."""
        return "map" in self._buffers

    def frame(self, tensors: Mapping[str, Tensor]) -> None:
        """Say what texts are measured by, as long as there is no entry: the tensors of `FRAME`."""
        kept = {name: tensors[name].to(self.get_buffer("values").device) for name in FRAME}
        keys = self.get_buffer("values").new_empty(0, tensors["map"].shape[1])
        publish(self, _judged({**seen_together(self), "keys": keys, **kept}), ())

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, plus what the nearest entry adds to it."""
        now = seen_together(self)
        if not len(now["offsets"]):
            return out
        entry, strength = _acting(q.to(now["keys"].dtype), now)
        return out + (strength.unsqueeze(-1) * now["values"][entry]).to(out.dtype)

    def activations(self, q: Tensor) -> Tensor:
        """How strongly the entry acts that does, 0 of the others: [n_texts, d] -> [n_texts, n]."""
        now = seen_together(self)
        entry, strength = _acting(q.to(now["keys"].dtype), now)
        return strength.new_zeros(len(q), self.patches).scatter(1, entry.unsqueeze(1), strength.unsqueeze(1))

    def without(self, piece: int) -> NearestBank:
        """A bank of the other entries, which are as near as they were."""
        like = self.get_buffer("values")
        rest = NearestBank(self.hidden_size, self.read_size, like.device, like.dtype)
        others = torch.arange(self.patches, device=like.device) != piece
        kept = {name: tensor[others] if name in ENTRIES else tensor for name, tensor in seen_together(self).items()}
        publish(rest, kept, [owner for i, owner in enumerate(self.owners) if i != piece])
        return rest

    def unit(self, q: Tensor) -> Tensor:
        """U of texts: [n, d] -> [n, r]."""
        return _unit(q, seen_together(self))

    def append(self, owner: str, key: Tensor, value: Tensor) -> None:
        """Add one entry, owned by an edit. key: [r], of unit length; value: [d]."""
        now = seen_together(self)
        offset = now["numbers"][0] * _crowding(key.unsqueeze(0), now["landmarks"])
        more = {"keys": key.unsqueeze(0), "values": value.unsqueeze(0), "offsets": offset}
        grown = {name: torch.cat([now[name], rows.detach().to(now[name])]) for name, rows in more.items()}
        publish(self, _judged({**now, **grown}, since=self.patches), [*self.owners, owner])

    def snapshot(self) -> object:
        """All entries; no tensor of them is ever written to."""
        return dict(seen_together(self)), tuple(self.owners)

    def restore(self, snapshot: object) -> None:
        """Put them back."""
        assert isinstance(snapshot, tuple)
        tensors, owners = snapshot
        device = self.get_buffer("values").device
        publish(self, {name: tensor.to(device) for name, tensor in tensors.items()}, owners)

    def drop(self, edit_ids: Collection[str]) -> None:
        """Take out the entries of these edits; the others act as if those had never been."""
        gone = set(edit_ids)
        tensors, owners = self.tensors(), list(self.owners)
        entries = {name: tensors.pop(name) for name in ENTRIES}
        left, owners = chosen(entries, owners, lambda _, owner: owner not in gone)
        self.load_tensors(
            {**left, **tensors} if owners else _empty(self.hidden_size, self.get_buffer("values")), owners
        )

    def merged(self, site: FeedForwardSite) -> NoReturn:
        """Refused: no layer of a stock model looks anything up.

        Raises:
            InputError: always.
        """
        del site
        raise InputError(
            "the nearest edit acts, which cannot be merged: no layer of a stock checkpoint looks anything up. Keep the "
            "edits beside the model (save_pretrained, from_pretrained), or edit with a recipe that leaves patches"
        )

    def merge_cost(self, site: FeedForwardSite) -> MergeCost:
        """Refused, as `merged`."""
        self.merged(site)

    def since(self, patches: int) -> dict[str, Tensor]:
        """The entries added since; with the first one also what texts are measured by."""
        return {
            n: t[patches:].clone() if n in ENTRIES else t
            for n, t in self.tensors().items()
            if n in ENTRIES or not patches
        }

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Append the entries of one edit; ArtefactError as `load_tensors`."""
        old, fresh = self.tensors(), dict(tensors)
        count = len(fresh["offsets"]) if "offsets" in fresh and fresh["offsets"].dim() else 0
        if not self.patches:
            self.load_tensors(fresh, [owner] * count)
            return
        width = old["keys"].shape[1]
        shapes = {"keys": (count, width), "values": (count, self.hidden_size), "offsets": (count,)}
        require_tensors("entries need", fresh, shapes)
        grown = {name: torch.cat([old[name], fresh[name]]) for name in ENTRIES}
        self.load_tensors({**old, **grown}, [*self.owners, *[owner] * count])

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
        kept = {n: t.to(like.device, copy=True) if n == "groups" else t.to(like, copy=True) for n, t in tensors.items()}
        publish(self, _judged(kept) if owners else kept, owners)

    def _require(self, tensors: Mapping[str, Tensor], count: int) -> None:
        def size(name: str, dim: int) -> int:
            tensor = tensors.get(name)
            return tensor.shape[dim] if tensor is not None and tensor.dim() > dim else 0

        width, d = size("keys", 1), self.hidden_size
        wanted: dict[str, tuple[int, ...]] = {"keys": (count, width), "values": (count, d), "offsets": (count,)}
        if count:
            many, groups, read = size("landmarks", 0), size("bias", 0), self.read_size or size("centre", 0)
            wanted |= {"centre": (read,), "map": (read, width), "landmarks": (many, width), "crowding": (many,)}
            wanted |= {"groups": (many,), "sorting": (read, groups), "bias": (groups,)}
            wanted |= {"numbers": (len(Numbers._fields),)}
        require_tensors("entries need", tensors, wanted, whole=("groups",))
        if count and many and not 0 <= int(tensors["groups"].min()) <= int(tensors["groups"].max()) < groups:
            raise ArtefactError(f"groups holds numbers that are not between 0 and {groups - 1}")


def _empty(hidden_size: int, like: Tensor) -> dict[str, Tensor]:
    return {"keys": like.new_empty(0, 0), "values": like.new_empty(0, hidden_size), "offsets": like.new_empty(0)}


def _unit(q: Tensor, now: Mapping[str, Tensor]) -> Tensor:
    return functional.normalize((q - now["centre"]) @ now["map"], dim=1)


def _crowding(u: Tensor, landmarks: Tensor) -> Tensor:
    """The mean similarity to the nearest landmarks [n]."""
    return _mean_of_nearest(u @ landmarks.T)


def _mean_of_nearest(similar: Tensor) -> Tensor:
    if not similar.shape[1]:
        return similar.new_zeros(len(similar))
    return similar.topk(min(NEIGHBOURS, similar.shape[1]), 1).values.mean(1)


def crowding_among(landmarks: Tensor) -> Tensor:
    """How crowded the places of landmarks are, each by the others [m]."""
    parts = []
    for start in range(0, len(landmarks), 1024):
        similar = landmarks[start : start + 1024] @ landmarks.T
        similar[torch.arange(len(similar)), torch.arange(start, start + len(similar))] = -1.0
        parts.append(_mean_of_nearest(similar))
    return torch.cat(parts) if parts else landmarks.new_empty(0)


def sorted_in(q: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """The group [n] of texts."""
    return (q @ tensors["sorting"] + tensors["bias"]).argmax(1)


def _acting(q: Tensor, now: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The nearest entry of each text [n], and how strongly it acts [n]."""
    weight, _, width, same = now["numbers"].unbind()
    u = _unit(q, now)
    near, entry = (u @ now["keys"].T).max(1)
    beside = u @ now["landmarks"].T
    score = near - now["offsets"][entry] - weight * _mean_of_nearest(beside)
    strength = ((score - now["thresholds"][sorted_in(q, now)]) / width).clamp(0, 1)
    strength = torch.where(near > same, torch.ones_like(strength), strength)
    if beside.shape[1]:
        closest = beside.max(1).values
        strength = torch.where((closest > same) & (closest > near + ROUNDING), torch.zeros_like(strength), strength)
    return entry, strength


ROUNDING = 1e-4
"""Of similarities: a text and itself, read in two passes."""


def _judged(now: Mapping[str, Tensor], since: int = 0) -> dict[str, Tensor]:
    """With what the landmarks say of the entries: the threshold of each group.

    One key after the other, so that many at once and one by one come to the same bits.
    """
    landmarks, weight, share = now["landmarks"], float(now["numbers"][0]), float(now["numbers"][1])
    near = now["near"] if since else landmarks.new_full((len(landmarks),), -1.0)
    score = now["score"] if since else landmarks.new_full((len(landmarks),), -4.0)
    for key, offset in zip(now["keys"][since:], now["offsets"][since:], strict=True):
        similar = torch.mv(landmarks, key)
        nearer = similar > near
        near = torch.where(nearer, similar, near)
        score = torch.where(nearer, similar - offset - weight * now["crowding"], score)
    thresholds = [_threshold(score[now["groups"] == group], share) for group in range(len(now["bias"]))]
    return {**now, "near": near, "score": score, "thresholds": torch.stack(thresholds)}


def _threshold(scores: Tensor, share: float) -> Tensor:
    """What no larger share of scores exceeds; of none nothing is known, and only an edit's own text is near enough."""
    if not len(scores):
        return scores.new_tensor(4.0)
    return scores.sort(descending=True).values[min(int(share * len(scores)), len(scores) - 1)]
