"""The layer that is edited, behind its query: ``out = FFN(q)``, ``h = finish(r, out)``; and ``logits = head(h)``.

The head stands behind the last layer. Where a lower one is edited, the layers between are in `above`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from transformers.activations import ACT2FN

from polypatch.errors import UnsupportedModelError
from polypatch.sites.discovery.anatomy import Anatomy, Finish
from polypatch.sites.discovery.probe import probe_of
from polypatch.sites.discovery.trace import first_tensor, traced
from polypatch.sites.layers.resume import Head, resume
from polypatch.sites.network.modes import evaluating
from polypatch.sites.network.shell import apart
from polypatch.sites.rows import Queries


class EditedLayer:
    """What is computed behind a query, by the layer's anatomy.

    Attributes:
        hidden_size: the length d of q, of r and of ``out``.
        width: how many logits the head gives.
        why: why there is no head that runs on one position alone; empty where there is one.
    """

    def __init__(self, model: nn.Module, anatomy: Anatomy) -> None:
        self.model, self.anatomy = model, anatomy
        self.reader, self.writer = model.get_submodule(anatomy.reader), model.get_submodule(anatomy.writer)
        self.norm: nn.Module | None = model.get_submodule(anatomy.norm) if anatomy.norm else None
        self.dropout = model.get_submodule(anatomy.dropout) if anatomy.dropout else None
        self.activation: Callable[[Tensor], Tensor] = ACT2FN[anatomy.activation]
        with evaluating(model):
            trace = traced(model, probe_of(model).batch(next(model.parameters()).device))
            query = trace.last(anatomy.reader).given
            assert query is not None
            self.hidden_size, self.width, self.why = query.shape[-1], trace.answer.shape[-1], ""
            self._head: Head | None = None
            try:
                self._head = resume(model, anatomy, trace)
            except UnsupportedModelError as error:
                self.why = str(error)

    @property
    def plain(self) -> bool:
        """Whether the FFN is two matrices with an activation between them."""
        return self.reader is not self.writer

    def ffn(self, q: Tensor) -> Tensor:
        """FFN₀(q): the unedited layer (eq. 5-6). q: [n, d] -> [n, d]."""
        # Not through the modules themselves: their hooks are for whole sequences.
        if self.plain:
            return self.writer.forward(self.activation(self.reader.forward(q)))  # type: ignore[no-any-return]
        return _one(self.writer.forward(q.unsqueeze(1))).squeeze(1)

    def ffn_with(self, q: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """The FFN with other weights, by full parameter name, in their type. q: [n, d] -> [n, d]."""
        if not self.plain:
            own = _within(self.anatomy.writer, weights)
            return _one(functional_call(apart(self.writer), own, (q.unsqueeze(1),))).squeeze(1)
        up, down = (
            weights.get(f"{path}.weight", module.weight)
            for path, module in ((self.anatomy.reader, self.reader), (self.anatomy.writer, self.writer))
        )
        return _mapped(self.writer, down, self.activation(_mapped(self.reader, up, q)))  # type: ignore[arg-type]

    def hidden(self, queries: Queries, out: Tensor) -> Tensor:
        """H [n, d]: the layer's output for FFN output `out` [n, d]."""
        rest, scale = queries.q[:, : self.hidden_size] if queries.rest is None else queries.rest, self.anatomy.scale
        if self.anatomy.finish is Finish.NORM_THEN_ADD:
            out = self._normed(out)
        h = (out if scale == 1 else scale * out) + rest
        return self._normed(h) if self.anatomy.finish is Finish.ADD_THEN_NORM else h

    def logits(self, queries: Queries, out: Tensor) -> Tensor:
        """The head's logits for FFN output `out` [n, d]: [n, width of the head]. In eval mode where the model is.

        Raises:
            UnsupportedModelError: the answer is no function of one position.
        """
        return self.head(self.hidden(queries, out))

    def head(self, hidden: Tensor) -> Tensor:
        """The head's logits [n, width] for the last layer's output [n, d]; errors as for `logits`."""
        if self._head is None:
            raise UnsupportedModelError(f"{self.why}. Edit with exact=True (full forward passes)")
        return self._head(hidden)

    def matrices(self, scope: str) -> dict[str, nn.Parameter]:
        """The weight matrices by full parameter name: of the feed-forward layer (``"ffn"``) or the ``"layer"``."""
        paths = [self.anatomy.reader, self.anatomy.writer]
        if scope == "layer":
            paths = [self.anatomy.layer, *paths]
        return {
            f"{path}.{name}": parameter
            for path in paths
            for name, parameter in self.model.get_submodule(path).named_parameters()
            if parameter.dim() >= 2
        }

    def _normed(self, x: Tensor) -> Tensor:
        assert self.norm is not None
        return _one(self.norm.forward(x))


def _one(output: object) -> Tensor:
    tensor = first_tensor(output)
    assert tensor is not None
    return tensor


def _mapped(module: nn.Module, weight: Tensor, x: Tensor) -> Tensor:
    """What a map gives with another weight, in whose type it computes."""
    bias = getattr(module, "bias", None)
    bias = None if bias is None else bias.to(weight.dtype)
    if isinstance(module, nn.Linear):
        return functional.linear(x.to(weight.dtype), weight, bias)
    own = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    mapped: Tensor = functional_call(apart(module), own, (x.to(weight.dtype),))
    return mapped


def _within(path: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{path}."): tensor for name, tensor in weights.items() if name.startswith(f"{path}.")}
