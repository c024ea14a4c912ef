"""WeightDelta: changed weight matrices of the last layer; what fine-tuning leaves behind."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from polypatch.errors import ArtefactError, InputError
from polypatch.sites.feed_forward import FeedForwardSite
from polypatch.sites.merge import MergeCost, merge_cost, replaced


class WeightDelta(nn.Module):
    """Trainable copies of weight matrices of the last layer.

    With ``scope="ffn"`` (two matrices) it is a function of the query, ``FFN'(q) = W₂' act(W₁' q + b₁) + b₂``, applied
    at the one position that is read. With ``scope="layer"`` (the FFN's two and the attention's four) it replaces
    parameters by name, so only full forward passes can see it. Biases are never trained. All edits share the matrices:
    none can be taken back alone.
    """

    kind = "weights"
    separable = False
    replaces = True
    mergeable = True
    patches = 0
    owners: Sequence[str] = ()

    def __init__(self, site: FeedForwardSite, scope: str = "ffn") -> None:
        super().__init__()
        self.scope = scope
        self._site = (site,)  # in a tuple: a module attribute would register the whole model as a submodule
        self.names = list(site.matrices(scope))
        self.weights = nn.ParameterList(nn.Parameter(w.detach().clone()) for w in site.matrices(scope).values())
        self._perhaps = True

    @property
    def overrides(self) -> Mapping[str, Tensor]:
        """The matrices by parameter name, where the change reaches outside the FFN."""
        return dict(zip(self.names, self.weights, strict=True)) if self.scope == "layer" else {}

    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """FFN'(q) for ``scope="ffn"``; `out`, already computed with the replaced matrices, for ``"layer"``."""
        if self.scope == "layer":
            return out
        untouched = self._untouched()
        if untouched and not torch.is_grad_enabled():
            return out
        site = self._site[0]
        up, down = self.weights
        # The matrices are kept in float32; in a half-precision model the biases must be raised to meet them.
        up_bias, down_bias = (module.bias.to(up.dtype) for module in (site.up, site.down))
        inner = site.activation(nn.functional.linear(q.to(up.dtype), up, up_bias))  # type: ignore[arg-type]
        changed = nn.functional.linear(inner, down, down_bias).to(out.dtype)  # type: ignore[arg-type]
        # The same bits as `out`, with the gradient of what is about to change.
        return out + (changed - changed.detach()) if untouched else changed

    def _untouched(self) -> bool:
        """The matrices are the model's own: then so is its output, bit for bit, which no recomputed one would be."""
        if self._perhaps:  # compared until they differ; nothing tells, as a fused optimiser counts up no version
            own = self._site[0].matrices(self.scope).values()
            self._perhaps = all(torch.equal(weight, base) for weight, base in zip(self.weights, own, strict=True))
        return self._perhaps

    def snapshot(self) -> object:
        """Copies of the matrices."""
        return [weight.detach().clone() for weight in self.weights]

    def restore(self, snapshot: object) -> None:
        """Put the copies back."""
        assert isinstance(snapshot, list)
        with torch.no_grad():
            for weight, saved in zip(self.weights, snapshot, strict=True):
                weight.copy_(saved)
        self._perhaps = True

    def drop(self, edit_ids: Collection[str]) -> None:
        """Refused: every edit changed the same matrices.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{', '.join(sorted(edit_ids)[:3])}: edits that change weights share them, so none can be cut out; "
            "EditedModel.revert makes the other edits again, for which it needs the memory they were made with"
        )

    def merged(self, site: FeedForwardSite) -> nn.Module:
        """The model with these matrices in place of its own."""
        return replaced(site, self.tensors())

    def merge_cost(self, site: FeedForwardSite) -> MergeCost:
        """Nothing is added."""
        return merge_cost(site, 0)

    def since(self, patches: int) -> dict[str, Tensor]:
        """The matrices as they are: they replace all earlier ones."""
        del patches
        return self.tensors()

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Replace the matrices; ArtefactError as `load_tensors`."""
        self.load_tensors(tensors, [owner])

    def tensors(self) -> dict[str, Tensor]:
        """The changed matrices by parameter name."""
        return {name: w.detach().cpu().contiguous().clone() for name, w in zip(self.names, self.weights, strict=True)}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the matrices.

        Raises:
            ArtefactError: a matrix is missing, has another shape or type than the model's, or is not finite.
        """
        del owners
        if sorted(tensors) != sorted(self.names):
            raise ArtefactError(f"changed weights should be {sorted(self.names)}, found {sorted(tensors)}")
        for name, weight in zip(self.names, self.weights, strict=True):
            new = tensors[name]
            if new.shape != weight.shape or new.dtype != weight.dtype:
                raise ArtefactError(
                    f"{name} should be {weight.dtype} {tuple(weight.shape)}, is {new.dtype} {tuple(new.shape)}"
                )
            if not bool(torch.isfinite(new).all()):
                raise ArtefactError(f"{name} holds numbers that are not finite")
        self.restore([tensors[name] for name in self.names])
