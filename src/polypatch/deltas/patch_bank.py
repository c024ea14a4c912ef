"""PatchBank: one key-value neuron per edit, beside the feed-forward layer (eq. 7-8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from polypatch.errors import ArtefactError


class PatchBank(nn.Module):
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
    """

    keys: Tensor
    biases: Tensor
    values: Tensor
    overrides: Mapping[str, Tensor] = {}

    def __init__(self, hidden_size: int, activation: str = "gelu", device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.register_buffer("keys", torch.empty(0, hidden_size, device=device))
        self.register_buffer("biases", torch.empty(0, device=device))
        self.register_buffer("values", torch.empty(0, hidden_size, device=device))
        self.activation_name = activation
        self.activation = ACT2FN[activation]
        self.owners: list[str] = []

    @property
    def patches(self) -> int:
        """Neurons in the bank."""
        return len(self.owners)

    def activations(self, q: Tensor) -> Tensor:
        """act(q·k + b) of every neuron: [n_texts, d] -> [n_texts, n_patches]."""
        return self.activation(torch.addmm(self.biases, q, self.keys.T))  # type: ignore[no-any-return]

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out` plus what the neurons that fire add to it."""
        if not self.owners:
            return out
        # Neurons are kept in float32; a half-precision model computes in its own type.
        fired = self.activations(q.to(self.keys.dtype))
        return out + (fired @ self.values).to(out.dtype)

    def append(self, owner: str, key: Tensor, bias: Tensor, value: Tensor) -> None:
        """Add one frozen neuron, owned by an edit. key, value: [d]; bias: a number."""
        self.keys = torch.cat([self.keys, key.detach().reshape(1, -1).to(self.keys)])
        self.biases = torch.cat([self.biases, bias.detach().reshape(1).to(self.biases)])
        self.values = torch.cat([self.values, value.detach().reshape(1, -1).to(self.values)])
        self.owners.append(owner)

    def snapshot(self) -> object:
        """The number of neurons: old ones are frozen, so going back is cutting off."""
        return self.patches

    def restore(self, snapshot: object) -> None:
        """Drop the neurons added since."""
        assert isinstance(snapshot, int)
        self.keys, self.biases, self.values = self.keys[:snapshot], self.biases[:snapshot], self.values[:snapshot]
        del self.owners[snapshot:]

    def tensors(self) -> dict[str, Tensor]:
        """``keys``, ``biases`` and ``values``."""
        return {name: buffer.detach().cpu().contiguous() for name, buffer in self.named_buffers()}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the bank's neurons.

        Raises:
            ArtefactError: a tensor is missing, has another shape than n owners and width d imply, or is not finite.
        """
        width = self.keys.shape[1]
        wanted = {"keys": (len(owners), width), "biases": (len(owners),), "values": (len(owners), width)}
        if set(tensors) != set(wanted):
            raise ArtefactError(f"patches need the tensors {sorted(wanted)}, found {sorted(tensors)}")
        for name, shape in wanted.items():
            tensor = tensors[name]
            if tuple(tensor.shape) != shape or tensor.dtype != torch.float32:
                raise ArtefactError(f"{name} should be float32 {shape}, is {tensor.dtype} {tuple(tensor.shape)}")
            if not bool(torch.isfinite(tensor).all()):
                raise ArtefactError(f"{name} holds numbers that are not finite")
        for name in wanted:
            setattr(self, name, tensors[name].to(self.keys.device, copy=True))
        self.owners = list(owners)
