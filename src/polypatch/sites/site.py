"""Where an edit lives: a feed-forward layer, the last unless told otherwise, at the positions that the answer reads.

::

        q ──► FFN₀ ──► out ──► out' = Δ(q, out)      (Δ: the edits)
                                 ▼
        r ───────────────────►  h  ─► head ─► logits

How ``out'`` and the residual r make h is the layer's `Anatomy`. A classifier's head reads one position: behind the last
layer that one alone is changed. What a language model reads, and what layers above a lower one read, is every position.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from polypatch.sites.discovery.anatomy import Anatomy
from polypatch.sites.discovery.discover import anatomy_of, require_present
from polypatch.sites.discovery.inner import USUAL
from polypatch.sites.discovery.supported import MARK, require_answering, require_free, require_precision
from polypatch.sites.hooks import ChangeFunction as ChangeFunction
from polypatch.sites.hooks import Hooks, nothing
from polypatch.sites.layers.edited_layer import EditedLayer
from polypatch.sites.layers.two_classes import labels_of, two_classes
from polypatch.sites.network.lock import SiteLock
from polypatch.sites.network.modes import evaluating
from polypatch.sites.network.weights import Weights, swapped
from polypatch.sites.reads import Reads
from polypatch.sites.rows import Queries
from polypatch.sites.seen import Seen
from polypatch.sites.sentence import Sentences
from polypatch.sites.text_beside import ShownRows, TextBeside, require_text


class FeedForwardSite:
    """An FFN of a model, and what is behind it.

    Args:
        model: a Hugging Face classifier or language model.
        layer: the number of the layer, from 0, or from the end where it is negative; None for the last.
        anatomy: where its FFN is; found by `polypatch.sites.discovery.discover` where it is not given.
        reads: what patches see of a text: its query, or what enters other layers too (`polypatch.sites.reads`).
        sentences: the sentence encoder that `reads` names, from `polypatch.sites.encoding.sentences.sentences_of`.

    Raises:
        UnsupportedModelError: no FFN was found in it, it gives a text no single answer, or it keeps its numbers in half
            precision; the message says what was looked for.
        InputError: the model carries edits already, or has no such layer, or no module that `anatomy` or `reads` name;
            it names a sentence encoder, and the model answers at every position.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        layer: int | None = None,
        anatomy: Anatomy | None = None,
        reads: Reads = "query",
        sentences: Sentences | None = None,
    ) -> None:
        self.model = model
        self.kind, self.reads, self.sentences = require_answering(model), reads, sentences
        require_free(model)
        require_precision(model)
        self.anatomy = anatomy_of(model, layer) if anatomy is None else require_present(model, anatomy)
        self.layer = EditedLayer(model, self.anatomy)
        self.width = self.layer.width if self.kind.writes else len(labels_of(model))
        self._attached: _Attached | None = None
        self._originals: dict[str, Tensor] = {}
        self._out = 0
        self.lock = SiteLock()
        self._hooks = Hooks(model, self.anatomy, reads, sentences)
        self.beside = self._hooks.beside
        self._weights = Weights(model)

    @property
    def layer_path(self) -> str:
        """The layer, from the model."""
        return self.anatomy.layer

    @property
    def lower(self) -> bool:
        """Whether layers follow, which read every position and still choose the words."""
        return self.anatomy.top is not None

    @property
    def hidden_size(self) -> int:
        """The length d of the FFN's input, of the residual and of what the FFN writes."""
        return self.layer.hidden_size

    @property
    def read_size(self) -> int:
        """The length D of all that patches see of a text: d, where that is the FFN's input alone."""
        return self.hidden_size + self.beside.more(self.hidden_size)

    @property
    def sentence_encoder(self) -> str | None:
        """The fingerprint of the sentence encoder that edits read; None where they read none."""
        return (self.sentences.fingerprint or None) if self.sentences else None

    @property
    def text(self) -> TextBeside:
        """What edits go by that read texts; InputError where the site was not made for it."""
        return require_text(self.beside)

    def asking(self, rows: ShownRows) -> AbstractContextManager[None]:
        """Inside the block a change that goes by the text is asked about these rows."""
        return self.beside.asking(rows) if isinstance(self.beside, TextBeside) else contextlib.nullcontext()

    @property
    def kept(self) -> int:
        """Numbers kept of a row: D, and d more where the residual is not the FFN's input itself."""
        return self.read_size + (self.hidden_size if self.anatomy.residual else 0)

    @property
    def activation_name(self) -> str:
        """Of patches: the FFN's own, where they can be part of it; beside a block of gates one that dies down fast.

        Of a gate's SiLU enough is left where it does not fire to move every answer a little, and patches add up.
        """
        return self.anatomy.activation if self.layer.plain else USUAL[0]

    @property
    def device(self) -> torch.device:
        """Where the FFN's weights are."""
        return next(self.layer.writer.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the FFN's weights are kept as: float32 or float64."""
        return next(self.layer.writer.parameters()).dtype

    def ffn(self, q: Tensor) -> Tensor:
        """FFN₀(q): the unedited layer (eq. 5-6). q: [n, D], of which it sees the first d -> [n, d]."""
        return self.layer.ffn(q[:, : self.hidden_size])

    def logits(self, queries: Queries, out: Tensor) -> Tensor:
        """The head's logits, without its dropout, for FFN output `out` [n, d] at queries q [n, D]: [n, width]."""
        with self.evaluating():
            return two_classes(self.layer.logits(queries, out))

    def matrices(self, scope: str) -> dict[str, nn.Parameter]:
        """The weight matrices of the layer by full parameter name: ``"ffn"``, or ``"layer"`` (attention's too)."""
        return self.layer.matrices(scope)

    def packed(self, queries: Queries) -> Tensor:
        """What is kept of rows: [n, kept]."""
        return queries.q if queries.rest is None else torch.cat([queries.q, queries.rest], dim=1)

    def unpacked(self, rows: Tensor) -> Queries:
        """The queries that were `packed`."""
        if not self.anatomy.residual:
            return Queries(rows)
        return Queries(rows[:, : self.read_size], rows[:, self.read_size :])

    @contextlib.contextmanager
    def looking(self) -> Iterator[list[Queries]]:
        """Inside the block this thread's passes are of the unedited model, and what the site reads is put in the list.

        A pass ends as soon as all is seen, with `EnoughSeen`.
        """
        seen = Seen(self.layer, self._hooks)
        with self.applied(seen.look), seen.watching():
            yield seen.found

    def reading(self) -> AbstractContextManager[None]:
        """Inside the block no other thread changes what the edited, or shows another the unedited, model.

        Where parameters are replaced by name, a look at the unedited one has to put the originals back.
        """
        return self.lock.exclusive() if self._replaces else self.lock.shared()

    @contextlib.contextmanager
    def applied(self, change: ChangeFunction, *, alone: bool = False) -> Iterator[None]:
        """Inside the block this thread's passes apply `change` where the head reads, and nothing that is attached.

        Other threads see nothing of it; with `alone` none of them reads or changes the model meanwhile.
        """
        with self.lock.exclusive() if alone else self.reading(), self._originals_back(), self._hooks.applying(change):
            yield

    @contextlib.contextmanager
    def standing(self, change: ChangeFunction, overrides: Mapping[str, Tensor]) -> Iterator[None]:
        """Inside the block the model is, in this thread, the one with `change`, and with these parameters replaced.

        Those stand in the model that everybody sees: nobody else looks meanwhile.
        """
        with self.applied(change, alone=bool(overrides)), swapped(self.model, overrides):
            yield

    @contextlib.contextmanager
    def bare(self) -> Iterator[None]:
        """Inside the block the model is, in this thread, the unedited one, whatever is attached."""
        held = self.lock.exclusive() if self._replaces else contextlib.nullcontext()
        with held, self._originals_back(), self._hooks.applying(nothing):
            yield

    def attach(self, change: ChangeFunction, overrides: Mapping[str, Tensor]) -> None:
        """Apply `change`, and replace the parameters named in `overrides`, in every forward pass until `detach`.

        Raises:
            InputError: the model carries edits already.
        """
        with self.lock.exclusive():
            require_free(self.model)
            setattr(self.model, MARK, True)
            saving = self.model.register_state_dict_post_hook(_SaveOriginals(self))  # type: ignore[no-untyped-call]
            self._attached = _Attached(dict(overrides), saving)
            self._swap_in()
            self._hooks.attached = change
            self._hooks.hold()

    def detach(self) -> None:
        """Take off what `attach` put on; every parameter is the original again, bit for bit."""
        with self.lock.exclusive():
            if self._attached is not None:
                self._swap_out()
                self._hooks.release()
                self._hooks.attached = None
                self._attached.saving.remove()
                self._attached = None
                delattr(self.model, MARK)

    @property
    def _replaces(self) -> bool:
        return self._attached is not None and bool(self._attached.overrides)

    @contextlib.contextmanager
    def _originals_back(self) -> Iterator[None]:
        if not self._replaces:
            yield
            return
        if not self._out:
            self._swap_out()
        self._out += 1
        try:
            yield
        finally:
            self._out -= 1
            if not self._out:
                self._swap_in()

    def _swap_in(self) -> None:
        overrides = self._attached.overrides if self._attached else {}
        self._originals = {name: self.model.get_parameter(name).data for name in overrides}
        for name, tensor in overrides.items():
            parameter = self.model.get_parameter(name)
            parameter.data = tensor.data.to(parameter.data)

    def _swap_out(self) -> None:
        for name, tensor in self._originals.items():
            # Where the whole model was moved or converted in between, this one follows.
            parameter = self.model.get_parameter(name)
            parameter.data = tensor.to(parameter.data)
        self._originals = {}

    def require_type(self) -> None:
        """Refuse a model that was converted since this site was made; errors as for `require_same`. Costs nothing."""
        self._weights.require_type(self.model)

    def require_same(self, *, thorough: bool = False) -> None:
        """Refuse a model whose weights were changed since this site was made; see `polypatch.sites.network.weights`.

        Raises:
            UnsupportedModelError: its numbers are of another type.
            TailMismatchError: they are other numbers.
        """
        self._weights.require_same(self.model, self._originals, thorough=thorough)

    def evaluating(self) -> AbstractContextManager[None]:
        """Every module in eval mode, in all threads; the caller's modes come back when the last of them is done."""
        return evaluating(self.model)


class _Attached(NamedTuple):
    """What `attach` put on."""

    overrides: dict[str, Tensor]
    saving: RemovableHandle


class _SaveOriginals:
    """Puts the original parameters into every state dict: the model's own save_pretrained writes the unedited model.

    No method of the site: torch sets an attribute on it.
    """

    def __init__(self, site: FeedForwardSite) -> None:
        self.site = site

    def __call__(self, _: nn.Module, state: dict[str, Tensor], prefix: str, __: object) -> None:
        state.update({prefix + name: tensor.detach() for name, tensor in self.site._originals.items()})
