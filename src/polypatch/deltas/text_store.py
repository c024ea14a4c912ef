"""TextStore: facts as texts. The model reads those that a text is near to before it answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas.checked import require_tensors
from polypatch.deltas.fact_reader import FactReader
from polypatch.deltas.patch_bank import chosen
from polypatch.deltas.pieces import LookedUp
from polypatch.deltas.published import publish, seen_together
from polypatch.errors import ArtefactError
from polypatch.sites.rows import Row
from polypatch.sites.site import FeedForwardSite

ENTRIES = ("keys", "reach", "facts")
FRAME = ("centre", "shots")
FILL = -1
"""Stands behind the tokens of a fact that is shorter than the longest."""


class TextStore(LookedUp):
    """``h' = h(fact, text)`` where a text is near to a fact, else ``h(text)``; h is what the layer hands on.

    So the answer is the one that the model gives to the text with the fact before it. Near is::

        u = (e − c) ÷ ‖e − c‖        ρᵢ = (1 − u·kᵢ) ÷ (1 − reachᵢ) < 1

    e is where the text is (`TextBeside.vectors`). The facts with the least ρ are read, ``shots`` of them at most and as
    many as there are positions for, the nearest last. A text near to none keeps its output, bit for bit. A row that is
    near costs two passes of the model more.

    Attributes:
        keys: [n, K], where the facts' own texts are, of unit length.
        reach: [n], the cosine above which a fact is read.
        facts: [n, T], their tokens, filled up with −1.
        centre: [K], c.
        shots: [1].
        owners: the edit id behind each fact, in the order they were made.

    Args:
        site: of the model; None for a folder that is looked into without it.
        dtype: what numbers are kept as, without a site.
    """

    overrides: Mapping[str, Tensor] = {}
    kind = "texts"
    separable = True
    replaces = False
    mergeable = False
    unmergeable = "texts that are read cannot be merged: no layer of a stock checkpoint looks anything up"

    def __init__(self, site: FeedForwardSite | None, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        like = torch.empty(0, dtype=dtype) if site is None else torch.empty(0, dtype=site.dtype, device=site.device)
        for name, tensor in _empty(like).items():
            self.register_buffer(name, tensor)
        self._reader = None if site is None else FactReader(site)  # no module, so that the model is no part of this one

    @property
    def reader(self) -> FactReader:
        """Reads facts before texts."""
        assert self._reader is not None  # without its model nobody asks
        return self._reader

    @property
    def framed(self) -> bool:
        """Whether it knows what nearness is measured from; the first fact needs that."""
        return bool(len(self.get_buffer("shots")))

    def frame(self, centre: Tensor, shots: int) -> None:
        """Say from where nearness is measured, and how many facts are read at once, as long as there is no fact."""
        like = self.get_buffer("reach")
        now = {**seen_together(self), "keys": like.new_empty(0, len(centre)), "centre": centre.to(like)}
        publish(self, {**now, "shots": torch.tensor([shots], device=like.device)}, ())

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # texts are looked at in Python
    @torch.no_grad()
    def forward(self, q: Tensor, out: Tensor) -> Tensor:
        """`out`, or what it has to be for a row to be answered as behind the facts that it is near to."""
        del q
        now = seen_together(self)
        found = list(self._read(self.reader.text.rows(), now)) if len(now["reach"]) else []
        if not found:
            return out
        places, rows, behind = zip(*found, strict=True)
        changed = out.clone()
        changed[list(places)] = self.reader.outputs(rows, behind).to(out)
        return changed

    def activations(self, q: Tensor) -> Tensor:
        """1 − ρ of the facts that are read, 0 of the others: [n_texts, d] -> [n_texts, n]."""
        now = seen_together(self)
        acting = q.new_zeros(len(q), len(now["reach"]))
        for i, _, facts, ratios in self._near(self.reader.text.rows(), now):
            acting[i, facts] = (1 - ratios).clamp(min=TOUCHED).to(acting)
        return acting

    def _near(self, rows: Sequence[Row | None], now: Mapping[str, Tensor]) -> Iterator[tuple[int, Row, Tensor, Tensor]]:
        """For each row that is near to a fact: its number, the row, the facts, the nearest last, and their ρ."""
        asked = [(i, row) for i, row in enumerate(rows) if row is not None]
        if not asked or not len(now["reach"]):
            return
        cosines = self.reader.place([row for _, row in asked], now["centre"]) @ now["keys"].T
        ratios = (1 - cosines).clamp(min=0) / (1 - now["reach"]).clamp(min=SAME)
        least = ratios.topk(min(int(now["shots"]), ratios.shape[1]), dim=1, largest=False)
        for (i, row), some, facts in zip(asked, least.values.flip(1), least.indices.flip(1), strict=True):
            if bool(some[-1] < 1):
                yield i, row, facts[some < 1], some[some < 1]

    def _read(self, rows: Sequence[Row | None], now: Mapping[str, Tensor]) -> Iterator[tuple[int, Row, Row]]:
        """For each row that is read behind facts: its number, the row, and the row there."""
        for i, row, facts, _ in self._near(rows, now):
            behind = self.reader.behind(row, [_tokens(fact) for fact in now["facts"][facts].tolist()])
            if behind is not row:
                yield i, row, behind

    def place(self, rows: Sequence[Row]) -> Tensor:
        """Where texts are: [n, K], of unit length."""
        return self.reader.place(rows, self.get_buffer("centre"))

    def append(self, owner: str, key: Tensor, reach: float, fact: Sequence[int]) -> None:
        """Add one fact, owned by an edit. key: [K]; fact: its tokens."""
        like = self.get_buffer("reach")
        tokens = torch.tensor([list(fact)], device=like.device)
        self._grow({"keys": key.unsqueeze(0), "reach": like.new_tensor([reach]), "facts": tokens}, [owner])

    def _grow(self, more: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        now = seen_together(self)
        longest = max(now["facts"].shape[1], more["facts"].shape[1])
        grown = {
            name: torch.cat([_filled(part, longest) if name == "facts" else part for part in (now[name], more[name])])
            for name in ENTRIES
        }
        publish(self, {**now, **grown}, [*self.owners, *owners])

    def without(self, piece: int) -> TextStore:
        """A store of the other facts."""
        rest = TextStore(None, self.get_buffer("reach").dtype).to(self.get_buffer("reach").device)
        rest._reader = self._reader
        rest._keep(self, lambda i, _: i != piece)
        return rest

    def drop(self, edit_ids: Collection[str]) -> None:
        """Take out the facts of these edits."""
        self._keep(self, lambda _, owner: owner not in edit_ids)

    def _keep(self, other: TextStore, keep: Callable[[int, str], bool]) -> None:
        tensors = other.tensors()
        left, owners = chosen({name: tensors[name] for name in ENTRIES}, other.owners, keep)
        left["facts"] = _trimmed(left["facts"])
        self.load_tensors({**tensors, **left} if owners else _empty(self.get_buffer("reach")), owners)

    def since(self, patches: int) -> dict[str, Tensor]:
        """The facts added since; with the first one also what nearness is measured from."""
        tensors = self.tensors()
        fresh = {name: tensors[name][patches:].clone() for name in ENTRIES}
        return {**fresh, "facts": _trimmed(fresh["facts"])} if patches else tensors

    def adopt(self, owner: str, tensors: Mapping[str, Tensor]) -> None:
        """Append the facts of one edit; ArtefactError as `load_tensors`."""
        count = len(tensors["reach"]) if "reach" in tensors and tensors["reach"].dim() else 0
        if not self.patches:
            self.load_tensors(tensors, [owner] * count)
            return
        _require(tensors, count, self.get_buffer("keys").shape[1], ENTRIES)
        like = seen_together(self)
        self._grow({name: tensors[name].to(like[name]) for name in ENTRIES}, [owner] * count)

    def tensors(self) -> dict[str, Tensor]:
        """All of them; none of what nearness is measured from where there is no fact."""
        if not self.patches:
            return _empty(self.get_buffer("reach").cpu())
        return {name: tensor.detach().cpu().clone() for name, tensor in seen_together(self).items()}

    def load_tensors(self, tensors: Mapping[str, Tensor], owners: Sequence[str]) -> None:
        """Replace the facts.

        Raises:
            ArtefactError: a tensor is missing, has another shape than n owners imply, or holds what it cannot.
        """
        width = tensors["keys"].shape[1] if "keys" in tensors and tensors["keys"].dim() == 2 else 0
        _require(tensors, len(owners), width, (*ENTRIES, *FRAME))
        like = seen_together(self)
        publish(self, {name: tensors[name].to(like[name], copy=True) for name in (*ENTRIES, *FRAME)}, owners)


TOUCHED = 1e-3
"""Acts a fact at the end of its reach: it is read there as anywhere."""

SAME = 1e-6
"""Of cosines: nearer than so are two texts that are one."""


def _require(tensors: Mapping[str, Tensor], count: int, width: int, names: Collection[str]) -> None:
    longest = tensors["facts"].shape[1] if "facts" in tensors and tensors["facts"].dim() == 2 else 0
    shots = len(tensors["shots"]) if "shots" in tensors and tensors["shots"].dim() == 1 else 0
    shapes = {"keys": (count, width), "reach": (count,), "facts": (count, longest), "centre": (width,)}
    shapes["shots"] = (min(shots, 1) if not count else 1,)
    require_tensors("texts need", tensors, {name: shapes[name] for name in names}, whole=("facts", "shots"))
    if any(bool((tensors[name] < least).any()) for name, least in (("facts", FILL), ("shots", 1)) if name in tensors):
        raise ArtefactError("facts or shots hold numbers that no token and no count can be")


def _empty(like: Tensor) -> dict[str, Tensor]:
    none = like.new_empty(0)
    whole = none.long()
    return {"keys": none.view(0, 0), "reach": none, "facts": whole.view(0, 0), "centre": none, "shots": whole}


def _filled(facts: Tensor, longest: int) -> Tensor:
    return functional.pad(facts, (0, longest - facts.shape[1]), value=FILL)


def _trimmed(facts: Tensor) -> Tensor:
    """Without the columns in which no fact has a token."""
    return facts[:, : int((facts != FILL).sum(1).max())] if len(facts) else facts[:, :0]


def _tokens(fact: Sequence[int]) -> tuple[int, ...]:
    return tuple(one for one in fact if one != FILL)
