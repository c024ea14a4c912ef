"""PatchBank: one key-value neuron per edit, beside the feed-forward layer (eq. 7-8)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.pieces import InPieces
from polypatch.deltas.published import publish, seen_together
from polypatch.deltas.reserves import Reserves
from polypatch.sites.merge import MergeCost, merge_cost, widened
from polypatch.sites.site import FeedForwardSite
from polypatch.sites.tails.tail import Change


def chosen(
    tensors: Mapping[str, Tensor], owners: Sequence[str], keep: Callable[[int, str], bool]
) -> tuple[dict[str, Tensor], list[str]]:
    """The rows of every tensor, and their owners, for which `keep` (number, owner) says so."""
    kept = [i for i, owner in enumerate(owners) if keep(i, owner)]
    return {name: tensor[kept] for name, tensor in tensors.items()}, [owners[i] for i in kept]


class PatchBank(InPieces):
    """``FFN'(q) = FFN(q) + Σᵢ act(q·kᵢ + bᵢ) vᵢ``.

    Attributes:
        keys: [n, d], one key k per neuron.
        biases: [n].
        values: [n, d], one value v per neuron.
        owners: the edit id behind each neuron, in the order they were made.

    Args:
        hidden_size: d.
        activation: name of the FFN's own activation, as in Hugging Face configurations (``"gelu"``).
        device: where the neurons live.
        dtype: what they are kept as: the model's own type.
    """

    keys: Tensor
    biases: Tensor
    values: Tensor
    overrides: Mapping[str, Tensor] = {}
    kind = "patches"
    separable = True
    replaces = False
    mergeable = True

    def __init__(
        self,
        hidden_size: int,
        activation: str = "gelu",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.register_buffer("keys", torch.empty(0, hidden_size, device=device, dtype=dtype))
        self.register_buffer("biases", torch.empty(0, device=device, dtype=dtype))
        self.register_buffer("values", torch.empty(0, hidden_size, device=device, dtype=dtype))
        self.activation_name = activation
        self.activation = ACT2FN[activation]
        self._reserves = Reserves()

    def activations(self, q: Tensor) -> Tensor:
        """act(q·k + b) of every neuron: [n_texts, d] -> [n_texts, n_patches]."""
        return self._fired(q.to(self.keys.dtype), seen_together(self))

    def _fired(self, q: Tensor, now: Mapping[str, Tensor]) -> Tensor:
        return self.activation(torch.addmm(now["biases"], q, now["keys"].T))  # type: ignore[no-any-return]

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out` plus what the neurons that fire add to it."""
        now = seen_together(self)
        if not len(now["biases"]):
            return out
        # Neurons stay as they were made; a model that was put into half precision since computes in its own type.
        fired = self._fired(q.to(now["keys"].dtype), now)
        return out + (fired @ now["values"]).to(out.dtype)

    def append(self, owner: str, key: Tensor, bias: Tensor, value: Tensor) -> None:
        """Add one frozen neuron, owned by an edit. key, value: [d]; bias: a number."""
        self.extend([owner], key.reshape(1, -1), bias.reshape(1), value.reshape(1, -1))

    def extend(self, owners: Sequence[str], keys: Tensor, biases: Tensor, values: Tensor) -> None:
        """Add m frozen neurons, each with its owner. keys, values: [m, d]; biases: [m]."""
        more = {"keys": keys, "biases": biases, "values": values}
        shaped = {n: rows.detach().reshape(len(owners), *self.get_buffer(n).shape[1:]) for n, rows in more.items()}
        grown = {name: self._reserves.longer(name, self.get_buffer(name), rows) for name, rows in shaped.items()}
        publish(self, grown, [*self.owners, *owners])

    def drop(self, edit_ids: Collection[str]) -> None:
        """Take out the neurons of these edits; the others keep their order and their bits."""
        gone = set(edit_ids)
        self.load_tensors(*chosen(self.tensors(), self.owners, lambda _, owner: owner not in gone))

    def without(self, piece: int) -> Change:
        """The change with one neuron silent."""
        return _Silenced(self, piece)

    def merged(self, site: FeedForwardSite) -> nn.Module:
        """The neurons as part of a wider feed-forward layer (`polypatch.sites.merge`)."""
        return widened(site, self.keys, self.biases, self.values)

    def merge_cost(self, site: FeedForwardSite) -> MergeCost:
        """A neuron in every layer for each of these."""
        return merge_cost(site, self.patches)

    def since(self, patches: int) -> dict[str, Tensor]:
        """The neurons added since."""
        return {name: tensor[patches:].clone() for name, tensor in self.tensors().items()}

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Append the neurons of one edit.

        Raises:
            ArtefactError: as `load_tensors`.
        """
        count = len(tensors["biases"]) if "biases" in tensors and tensors["biases"].dim() else 0
        self._require(tensors, count)
        for key, bias, value in zip(tensors["keys"], tensors["biases"], tensors["values"], strict=True):
            self.append(owner, key, bias, value)

    def tensors(self) -> dict[str, Tensor]:
        """``keys``, ``biases`` and ``values``."""
        return {name: buffer.detach().cpu().contiguous() for name, buffer in self.named_buffers()}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the bank's neurons.

        Raises:
            ArtefactError: a tensor is missing, has another shape than n owners and width d imply, or is not finite.
        """
        self._require(tensors, len(owners))
        publish(self, {name: tensors[name].to(self.keys, copy=True) for name in seen_together(self)}, owners)
        self._reserves = Reserves()  # the old bank's room is not kept for a smaller one

    def _require(self, tensors: Mapping[str, Tensor], count: int) -> None:
        width = self.keys.shape[1]
        wanted = {"keys": (count, width), "biases": (count,), "values": (count, width)}
        require_tensors("patches need", tensors, wanted)


class _Silenced:
    """A bank with one neuron silent; nothing of it is copied."""

    overrides: Mapping[str, Tensor] = {}

    def __init__(self, bank: PatchBank, neuron: int) -> None:
        self.bank, self.neuron = bank, neuron

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        fired = self.bank.activations(q.to(self.bank.keys.dtype))
        fired[:, self.neuron] = 0.0
        return out + (fired @ self.bank.values).to(out.dtype)
