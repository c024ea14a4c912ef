"""LowRankDelta: low-rank updates of the last FFN's matrices, in peft's LoRA layers. Needs the extra ``lora``."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.shared import SharedDelta
from polypatch.errors import ArtefactError, InputError
from polypatch.sites.layers.linear_maps import linear_maps
from polypatch.sites.merge import replaced
from polypatch.sites.site import FeedForwardSite

_ADAPTER = "edits"
_SCALE = "scale"


class LowRankDelta(SharedDelta):
    """``FFN'(q) = (W₂ + s B₂A₂) act((W₁ + s B₁A₁) q + b₁) + b₂``, at the one position that is read.

    With w the inner width: A₁ [r, d], B₁ [w, r], A₂ [r, w], B₂ [d, r]. B₁ = B₂ = 0 is the unedited model, bit for bit;
    until the first edit draws them, A₁ and A₂ are 0 as well. All edits share the matrices: none can be taken back
    alone. A gated layer has three matrices, and each is updated.

    Args:
        site: the last FFN.
        rank: r.
        alpha: s = alpha ÷ r.

    Raises:
        InputError: peft is not installed, or the rank is more than the matrices have.
        UnsupportedModelError: the layer is of experts, whose weights are no matrices.
    """

    kind = "low-rank"
    _said = "edits in one adapter share its matrices"

    def __init__(self, site: FeedForwardSite, rank: int = 1, alpha: float = 1.0) -> None:
        super().__init__(site)
        require_extra()
        if not 1 <= rank <= site.hidden_size:
            raise InputError(f"rank {rank}: it should be from 1 to the model's width, {site.hidden_size}")
        # As the model's own type, in which it is written down.
        self._build(rank, float(torch.tensor(alpha / rank, dtype=site.dtype)))

    def _build(self, rank: int, scale: float) -> None:
        site = self._site[0]
        self.scale = scale
        self.sizes = {one.name: (one.out, one.given) for one in linear_maps(site.layer).values()}
        pair = (site.layer.reader, site.layer.writer)
        self._layers: tuple[Any, ...] = ()
        if site.layer.plain and all(isinstance(linear, nn.Linear) for linear in pair):
            self._layers = tuple(_layer(linear, rank, scale) for linear in pair)
        shapes = [shape for out, given in self.sizes.values() for shape in ((rank, given), (out, rank))]
        zeros = (torch.zeros(shape, dtype=site.dtype, device=site.device) for shape in shapes)
        self.factors = nn.ParameterList(map(nn.Parameter, zeros))
        self._perhaps = True

    @property
    def shared(self) -> nn.ParameterList:
        """A₁, B₁, A₂, B₂, and so on."""
        return self.factors

    @property
    def rank(self) -> int:
        """How many columns A's and B's product has: r."""
        return len(self.factors[0])

    def draw(self, generator: torch.Generator) -> None:
        """Draw A₁ and A₂ uniformly from ±1 ÷ √(their inputs), as peft does, unless something was learned already."""
        if self._untouched():
            with torch.no_grad():
                for a in list(self.factors)[::2]:
                    a.copy_((2 * torch.rand(a.shape, generator=generator) - 1) / a.shape[1] ** 0.5)

    def changed(self, q: Tensor) -> Tensor:
        """FFN'(q)."""
        layer = self._site[0].layer
        if not self._layers:
            return layer.ffn_with(q, self._summed())
        return self._adapted(layer.writer, 1, layer.activation(self._adapted(layer.reader, 0, q)))

    def _adapted(self, linear: nn.Module, place: int, x: Tensor) -> Tensor:
        a, b = self.factors[2 * place], self.factors[2 * place + 1]
        own = {f"base_layer.{name}": tensor for name, tensor in linear.named_parameters()}
        # Handed in at every call: the model's numbers are the model's, wherever it was moved since.
        held = {**own, f"lora_A.{_ADAPTER}.weight": a, f"lora_B.{_ADAPTER}.weight": b}
        changed: Tensor = functional_call(self._layers[place], held, (x,))
        return changed

    def _as_made(self) -> bool:
        return not any(bool(b.detach().any()) for b in list(self.factors)[1::2])

    def _summed(self) -> dict[str, Tensor]:
        """W + s B A by full parameter name."""
        factors = list(self.factors)
        sums = {}
        for (name, weight), a, b in zip(
            self._site[0].matrices("ffn").items(), factors[::2], factors[1::2], strict=True
        ):
            product = self.scale * b @ a
            sums[name] = weight.detach() + (product if weight.shape == product.shape else product.T).to(weight)
        return sums

    def merged(self, site: FeedForwardSite) -> nn.Module:
        """The model with the sums W + s B A in place of its matrices."""
        self._require_mergeable(site)
        return replaced(site, {name: tensor.detach() for name, tensor in self._summed().items()})

    @property
    def _names(self) -> list[str]:
        return [f"{name}_{factor}" for name in self.sizes for factor in ("a", "b")]

    def tensors(self) -> dict[str, Tensor]:
        """``up_a``, ``up_b``, ``down_a``, ``down_b`` (of a gated layer: by the names of its maps) and ``scale``."""
        factors = {n: f.detach().cpu().contiguous().clone() for n, f in zip(self._names, self.factors, strict=True)}
        return {**factors, _SCALE: torch.tensor(self.scale, dtype=self.factors[0].dtype)}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the factors; the rank becomes theirs.

        Raises:
            ArtefactError: a factor is missing, has another shape or type than its rank and the model imply, or is not
                finite.
        """
        del owners
        width, first = self.factors[0].shape[1], tensors.get(self._names[0])
        rank = 1 if first is None else len(first) if first.dim() else 0
        if not 1 <= rank <= width:
            raise ArtefactError(f"{self._names[0]} should have a rank from 1 to {width}, has {rank}")
        shapes = {
            f"{name}_{factor}": shape
            for name, (out, given) in self.sizes.items()
            for factor, shape in (("a", (rank, given)), ("b", (out, rank)))
        }
        require_tensors("an adapter needs", tensors, {**shapes, _SCALE: ()})
        if rank != self.rank or float(tensors[_SCALE]) != self.scale:
            self._build(rank, float(tensors[_SCALE]))
        self.restore([tensors[name] for name in self._names])


def require_extra() -> None:
    """Raise an InputError unless the package of the extra ``lora`` is installed."""
    if importlib.util.find_spec("peft") is None:
        raise InputError("low-rank editing needs peft: pip install 'polypatch[lora]'")


def _layer(linear: nn.Module, rank: int, scale: float) -> Any:
    """A LoRA layer of peft in the shape of the model's own, with no numbers in it."""
    from peft import LoraConfig
    from peft.tuners.lora import Linear

    assert isinstance(linear, nn.Linear)
    # Made without memory: peft and torch would draw first values from the caller's random state.
    with torch.device("meta"):
        layer = Linear(
            nn.Linear(linear.in_features, linear.out_features), _ADAPTER, LoraConfig(), r=rank, lora_alpha=rank
        )
    layer.scaling[_ADAPTER] = scale
    return layer
