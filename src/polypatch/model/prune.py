"""Fewer patches: neurons that others made needless go, and neurons of one answer are merged.

A neuron may go, or two may be replaced by one, where every *protected row* holds:

* the texts of every edit that was not reverted (what it was trained on or found right, and all its prompts): one that
  is right stays right;
* the rows of both memories: each keeps its answer, or goes back to the unedited model's; `max_changed` need not.

Two neurons are merged into a `DiscriminantPatch` of the texts that would be wrong without the two. The merged neuron
belongs to the edit of the older one. So an edit may own fewer neurons than it added: it *rests* on others, which
`polypatch.model.revert` knows about when edits are reverted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.arguments import is_number
from polypatch.deltas import PatchBank
from polypatch.editors import DiscriminantPatch, Memory
from polypatch.errors import InputError
from polypatch.model.kept_rows import FiringNeuron, Protected
from polypatch.model.state import State, transaction
from polypatch.model.stream import examples_of, memory_of
from polypatch.sites import FeedForwardSite, FrozenTail, Queries
from polypatch.sites.rows import flat
from polypatch.sites.tails.tail import Change

MERGED = DiscriminantPatch(shrinkages=(0.03, 0.01))
"""How the neuron in the place of two is computed. A smaller λ merges more pairs, and generalises less."""

FAILURES = 3
"""So many failed mergers a neuron takes part in, those with the most similar keys first, before it is left alone."""

OnPruning = Callable[[int, int, int], None]
"""Called as (neurons settled in this round, neurons of this round, neurons left)."""


@dataclass(frozen=True)
class Pruned:
    """What pruning did.

    Attributes:
        before, after: neurons.
        dropped: neurons that were needless.
        merged: pairs of neurons that became one.
        rows: protected rows.
        changed: rows of the memory that have a new answer.
        tried: removals and mergers that were looked at.
        seconds: how long it took.
    """

    before: int
    after: int
    dropped: int
    merged: int
    rows: int
    changed: int
    tried: int
    seconds: float


def prune(edited: State, max_changed: int = 0, progress: OnPruning | None = None) -> Pruned:
    """Drop and merge neurons until a round finds nothing; arguments and errors as for `EditedModel.prune`."""
    with transaction(edited):
        return _prune(edited, max_changed, progress)


def _prune(edited: State, max_changed: int, progress: OnPruning | None) -> Pruned:
    if not is_number(max_changed) or max_changed < 0:
        raise InputError(f"max_changed is a number of memory rows, not {max_changed!r}")
    began = time.perf_counter()
    bank, tail, recipe = edited.delta, edited.tail, edited.recipe
    if not isinstance(bank, PatchBank) or not isinstance(tail, FrozenTail):
        raise InputError(
            "only patches on a frozen tail can be pruned, such as those of polypatch-linear: these changed weights, "
            "are looked up (the default recipe's), or exact"
        )
    if tail.site.lower:
        raise InputError(f"only patches of the last layer can be pruned, and these are in {tail.site.layer_path}")
    if recipe is None:
        raise InputError("these edits name no recipe that this polypatch knows, so what they protect is not known")
    ground = _ground(memory_of(edited))
    held = flat(edited.ask([one for record in edited.records.values() for one in examples_of(edited, recipe, record)]))
    targets = torch.tensor(held.wanted, dtype=torch.long, device=tail.site.device)
    queries = tail.queries([*held.rows, *ground.train.asked, *ground.validation.asked])
    before = bank.patches
    search = _Search(tail, bank, Protected(tail.site, bank, queries, targets, max_changed), ground, progress)
    while search.round():
        pass
    edited.report = None
    edited.config["pruned"] = {"max_changed": max_changed, "patches": before}
    return Pruned(
        before=before,
        after=bank.patches,
        dropped=search.dropped,
        merged=search.merged,
        rows=len(queries.q),
        changed=int(search.protected.changed.sum()),
        tried=search.tried,
        seconds=time.perf_counter() - began,
    )


class _Search:
    """The neurons that are left, and what was done so far."""

    def __init__(
        self, tail: FrozenTail, bank: PatchBank, protected: Protected, ground: Memory, progress: OnPruning | None
    ) -> None:
        self.tail, self.bank, self.protected, self.ground, self.progress = tail, bank, protected, ground, progress
        self.dropped = self.merged = self.tried = 0
        self.neurons: list[FiringNeuron] = []
        self.failed: set[tuple[FiringNeuron, FiringNeuron]] = set()
        self.failures: Counter[FiringNeuron] = Counter()

    def round(self) -> bool:
        """Try to drop every neuron, then to merge; whether anything was. Begins from the bank itself, and checks it."""
        self.neurons = self.protected.look()
        self.failed, self.failures = set(), Counter()
        done = self.dropped, self.merged
        self._drop()
        classes = {neuron: self._class(neuron) for neuron in self.neurons}
        while self._merge(classes):
            pass
        if done == (self.dropped, self.merged):
            return False
        empty = {name: tensor[:0] for name, tensor in self.bank.tensors().items()}
        parts = {"keys": "key", "biases": "bias", "values": "value"}
        rows = (
            {name: torch.stack([getattr(n, part) for n in self.neurons]) for name, part in parts.items()}
            if self.neurons
            else empty
        )
        self.bank.load_tensors(rows, [neuron.owner for neuron in self.neurons])
        return True

    @torch.no_grad()
    def _drop(self) -> None:
        """Leave one out, the newest first: so the edit that was made first keeps its own."""
        for done, neuron in enumerate(reversed(tuple(self.neurons)), start=1):
            self.tried += 1
            if self.protected.accept(*self.protected.after([neuron])):
                self.neurons.remove(neuron)
                self.dropped += 1
            self._tell(done)

    def _merge(self, classes: dict[FiringNeuron, int | None]) -> bool:
        """Put one neuron in the place of the first two for which one can be found; whether there were any."""
        for a, b in self._pairs(classes):
            if (a, b) in self.failed or max(self.failures[a], self.failures[b]) >= FAILURES:
                continue
            self.tried += 1
            merged = self._merger(a, b)
            if merged is not None:
                self.neurons[self.neurons.index(a)] = merged
                self.neurons.remove(b)
                classes[merged] = classes[a]
                self.merged += 1
                self._tell(len(self.neurons))
                return True
            self.failed.add((a, b))
            self.failures.update((a, b))
        return False

    @torch.no_grad()
    def _class(self, neuron: FiringNeuron) -> int | None:
        """The one class of the texts that need it; None where they have several, or there are none."""
        classes = self.protected.answer[self.protected.needed([neuron])].unique()  # type: ignore[no-untyped-call]
        return int(classes) if len(classes) == 1 else None

    def _pairs(self, classes: dict[FiringNeuron, int | None]) -> Iterator[tuple[FiringNeuron, FiringNeuron]]:
        """Pairs of one class, the older first, those with the most similar keys (cosine) first."""
        some = [neuron for neuron in self.neurons if classes[neuron] is not None]
        if len(some) < 2:
            return
        keys = functional.normalize(torch.stack([neuron.key for neuron in some]))
        kinds = torch.tensor([classes[neuron] for neuron in some], device=keys.device)
        pairs = ((kinds.unsqueeze(1) == kinds) & torch.ones_like(keys @ keys.T, dtype=torch.bool).triu(1)).nonzero()
        likeness = (keys[pairs[:, 0]] * keys[pairs[:, 1]]).sum(1)
        for a, b in pairs[likeness.argsort(descending=True, stable=True)].tolist():
            yield some[a], some[b]

    def _merger(self, a: FiringNeuron, b: FiringNeuron) -> FiringNeuron | None:
        """A neuron in the place of two, under which every protected row holds; None where none is found."""
        protected = self.protected
        with torch.no_grad():
            texts = protected.needed([a, b])
            targets = protected.answer[texts]
            rows, out = protected.after([a, b])
        if len(targets.unique()) != 1:  # type: ignore[no-untyped-call]
            return None
        lesson = _Given(protected.site, protected.queries.at(texts), out[torch.searchsorted(rows, texts)])
        for placed, *_ in MERGED.candidates(self.bank, lesson, targets, MERGED.look(lesson.q, self.ground)):
            if placed is None:
                continue
            with torch.no_grad():
                merged = protected.neuron(a.owner, placed.key, placed.bias, placed.value)
                if protected.accept(*protected.after([a, b], [merged])):
                    return merged
        return None

    def _tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, self.bank.patches, len(self.neurons))


class _Given:
    """Rows to learn from, as queries with the FFN output that everything else gives them. `Trainable`."""

    def __init__(self, site: FeedForwardSite, queries: Queries, out: Tensor) -> None:
        self.site, self.queries, self.q, self.out = site, queries, queries.q, out

    def forward(self, picks: Tensor, change: Change) -> tuple[Tensor, Tensor]:
        """Queries and logits of some rows."""
        queries = self.queries.at(picks)
        return queries.q, self.site.logits(queries, change(queries.q, self.out[picks]))

    def evaluate(self, change: Change) -> tuple[Tensor, Tensor]:
        """Queries and logits of all rows."""
        return self.q, self.site.logits(self.queries, change(self.q, self.out))


def _ground(memory: Memory) -> Memory:
    """The memory without the edits, which are looked at row by row."""
    return memory.first()
