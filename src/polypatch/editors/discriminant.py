"""DiscriminantPatch: a patch whose key is computed and not trained, and which never fires on the memory.

    k = (C + S + λ·tr(C)/d·I)⁻¹ (q̄ − μ)          the linear discriminant of the edit's queries against the memory
    b between the loudest memory row and the quietest edit row, a share γ of the way
    v of the least norm, by projections, that gives each edit row its class, with a margin and a probability

μ, C: mean and covariance of the memory; q̄, S: of the edit's own queries. Before a neuron stays it is looked at: every
row of both memories must keep its answer. Where one neuron cannot do that for all texts, they are parted among several.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from polypatch.deltas import Delta, PatchBank
from polypatch.editors.editor import Copies, Drawn, Fit, Lesson, Rate, Steps, Weight, expect
from polypatch.editors.keys import discriminant
from polypatch.editors.memory import Memory
from polypatch.editors.placed import Look, Placed
from polypatch.editors.values import Aim, projected, trained
from polypatch.settings import Range, Settings, above, at_least, below, between
from polypatch.sites import UNCHANGED, FeedForwardSite, Tail, Trainable

ROUNDS = 3
"""So often the tokens of an answer that are still wrong get a neuron more."""


class Candidate(NamedTuple):
    """A neuron along λ and γ.

    Attributes:
        neuron: None where no value gives all rows their classes.
        steps: projections for the value.
        looked: the memories as its key sees them.
    """

    neuron: Placed | None
    steps: int
    looked: Look


Looks = Callable[[float], Look]
"""λ ↦ both memories as the key of some queries sees them."""


@dataclass(frozen=True, kw_only=True)
class DiscriminantPatch(Settings):
    """One neuron per edit, or one per group of its texts, with a closed-form key.

    A text that no neuron can tell from the memory is left out of `Fit.drawn`; the text being corrected never is. Draws
    once, so a sampler that redraws at every step is asked for its first draw only.

    Attributes:
        shrinkages: λ, tried from the first on: more generalises better, less separates better.
        scatter: weight of the edit's own covariance S in the key: its texts are alike to the neuron.
        places: γ, tried from the first on until no row of the memories changes its answer.
        near_rounds: of a single text that cannot be told from the memory; so often the key is worked out anew, each
            time blind along more of the rows that are as loud as the text.
        tolerance: where nothing else is left for a single text, so many rows of the memories may change: a row can be
            all but the edit's own text.
        loudness: the mean pre-activation of the edit's rows.
        margin: by which the wanted class leads the next one, in logits.
        confidence: the probability that the wanted class gets, at least; 0 asks for the lead alone. Where `max_steps`
            do not reach it, an answer that is right stays all the same: `EditOutcome.confidence` says how sure it is.
        max_steps: projections for the value.
        separation: least distance of the quietest edit row from the loudest memory row, in units of the distance of the
            edit's mean from the memory's; nearer ones are not held apart by one neuron.
        memory_copies: how often each row of a finished edit counts in the memory; 0 leaves past edits unprotected.
        learning_rate: of Adam on a value below the last layer, in units of the queries' root mean square.
    """

    shrinkages: Annotated[tuple[Annotated[float, above(0)], ...], at_least(1)] = (0.03, 0.003, 0.0003, 0.00003)
    scatter: Weight = 4.0
    places: Annotated[tuple[Annotated[float, below(1)], ...], at_least(1)] = (0.6, 0.8)
    near_rounds: Annotated[int, between(0, 1000)] = 25
    tolerance: Annotated[int, between(0, 1000)] = 6
    loudness: Annotated[float, above(0)] = 4.0
    margin: Annotated[float, above(0)] = 1.0
    confidence: Annotated[float, Range(0, 1, without_most=True)] = 0.6
    max_steps: Steps = 40
    separation: Weight = 0.02
    memory_copies: Copies = 1
    learning_rate: Rate = 0.05

    exact = False
    protects_right = True

    @property
    def _aim(self) -> Aim:
        odds = math.log(self.confidence / (1 - self.confidence)) if self.confidence else -math.inf
        return Aim(self.margin, odds, self.max_steps, self.learning_rate)

    def start(self, site: FeedForwardSite) -> PatchBank:
        """An empty bank for this site."""
        return PatchBank(site.hidden_size, site.activation_name, site.device, site.dtype)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Place one neuron, or several where one cannot hold the edit and the memory apart."""
        bank, drawn = expect(PatchBank, delta, self), Drawn(lesson)
        picks = drawn()
        by_token = lesson.written and not tail.site.lower
        steps, left = (self._tokens if by_token else self._place)(bank, lesson, tail, memory, picks)
        taken = [pick for pick in picks if pick not in left]
        reason = "" if not left else f"{len(left)} of {len(picks)} texts cannot be told from the memory by a neuron"
        return Fit(max(steps, 1), tuple(dict.fromkeys([0, *taken])), reason)

    def _tokens(
        self, bank: PatchBank, lesson: Lesson, tail: Tail, memory: Memory, picks: Sequence[int]
    ) -> tuple[int, list[int]]:
        """Answers of several tokens: a neuron for each token that is wanted and not said, quiet where others are.

        Neurons push each other's rows about, so what is wrong when all are placed gets another, a few times.
        """
        steps, left, q = 0, list[int](), tail.queries([lesson.rows[pick] for pick in picks]).q
        wanted = [lesson.wanted[pick] for pick in picks]
        for _ in range(ROUNDS):
            said = tail.said([lesson.rows[pick] for pick in picks], bank).ids.tolist()
            wrong = [i for i, pick in enumerate(picks) if said[i] != wanted[i] and pick not in left]
            for token in dict.fromkeys(wanted[i] for i in wrong):
                group = [picks[i] for i in wrong if wanted[i] == token]
                others = q[[i for i in range(len(picks)) if wanted[i] != token]]
                more, without = self._place(bank, lesson, tail, memory, group, others)
                steps, left = steps + more, [*left, *without]
            if not wrong:
                break
        return steps, left

    def _place(
        self,
        bank: PatchBank,
        lesson: Lesson,
        tail: Tail,
        memory: Memory,
        picks: Sequence[int],
        others: Tensor | None = None,
    ) -> tuple[int, list[int]]:
        """Steps taken, and the picks that no neuron could be placed for; it is to be quiet at `others` [m, d]."""
        rows = tail.rows([lesson.rows[pick] for pick in picks], bank, views=0, generator=lesson.generator)
        targets = torch.tensor([lesson.wanted[pick] for pick in picks], device=rows.q.device)
        if bool((rows.evaluate(UNCHANGED)[1].argmax(-1) == targets).all()):
            return 0, []  # an earlier group's neuron has mended this one as well
        heads = lesson.firsts(picks) if tail.site.lower else list(range(len(picks)))
        steps, q = 0, rows.q[heads]
        at = q if tail.site.lower else None
        for look, allowed in self._looks(q, memory, others):
            neuron, more, held = self._neuron(bank, rows, targets, tail, look, allowed, at)
            steps += more
            if neuron is not None:
                bank.append(lesson.owner, neuron.key, neuron.bias, neuron.value)
                return steps, []
            if more and not held:
                break  # what no value can say here, none can along another key: it activates a text alone alike
        if len(heads) == 1:
            return steps, list(picks)
        left: list[int] = []
        for group in _halves(q, [picks[i] for i in heads]):
            whole = lesson.whole(group, picks) if tail.site.lower else group
            more, without = self._place(bank, lesson, tail, memory, whole, others)
            steps, left = steps + more, left + without
        return steps, left

    def _neuron(
        self, bank: PatchBank, rows: Trainable, targets: Tensor, tail: Tail, look: Looks, allowed: int, q: Tensor | None
    ) -> tuple[Placed | None, int, bool]:
        """The first neuron along λ and γ under which no more than `allowed` memory rows change; None for none.

        And the steps, and whether any value gave all rows their classes.
        """
        steps, held = 0, False
        for neuron, more, looked in self.candidates(bank, rows, targets, look, allowed, q):
            steps, held = steps + more, held or neuron is not None
            if neuron is not None and looked.changes(neuron, bank, tail) <= allowed:
                return neuron, steps, held
        return None, steps, held

    def look(self, q: Tensor, memory: Memory, others: Tensor | None = None, near: Tensor | None = None) -> Looks:
        """λ ↦ both memories, and `others`, as the key of the queries [n, d] sees them, each worked out once."""
        return functools.cache(lambda s: Look(discriminant(q, memory.train, s, self.scatter, near), memory, others))

    def _looks(self, q: Tensor, memory: Memory, others: Tensor | None) -> Iterator[tuple[Looks, int]]:
        """What to try in turn, and how many memory rows may change.

        A single text that cannot be told apart gets keys that are blind to what is louder than it, or all but: of
        queries of one length none is a mean of others, so it can be told from any that is not its equal. Only where
        that does not help either may rows change.
        """
        first, near = self.look(q, memory, others), q[:0]
        yield first, 0
        if len(q) > 1:
            return
        look = first
        for _ in range(self.near_rounds):
            loud = look(self.shrinkages[-1]).near(q)
            if not len(loud):
                break
            near = torch.cat([near, loud])
            look = self.look(q, memory, others, near)
            yield look, 0
        for allowed in range(1, self.tolerance + 1):
            yield first, allowed

    def candidates(
        self,
        bank: PatchBank,
        rows: Trainable,
        targets: Tensor,
        look: Looks,
        allowed: int = 0,
        q: Tensor | None = None,
    ) -> Iterator[Candidate]:
        """Along λ and γ: neurons under which all rows have their classes.

        Args:
            bank: its activation is the neuron's.
            rows: what the neuron is for, under the other neurons.
            targets: their classes [n].
            look: at what the key tells the rows from.
            allowed: so many of its rows may be louder than the quietest of `rows`.
            q: below the last layer, the queries that it is to fire at; None for those of all `rows`.
        """
        start: Tensor | None = None
        for shrinkage in self.shrinkages:
            looked = look(shrinkage)
            key, z = looked.key, (rows.q if q is None else q) @ looked.key
            loud, quiet, middle = looked.loudest(allowed), z.min(), z.mean()
            if not float(quiet - loud) > self.separation:
                continue
            for place in self.places:
                edge = loud + place * (quiet - loud)
                scale = self.loudness / (middle - edge)
                begun = torch.zeros_like(key) if start is None else start
                neuron = Placed(key, scale, -edge * scale, begun, bank.activation)
                value, steps, held = (projected if q is None else trained)(neuron, rows, targets, self._aim)
                yield Candidate(dataclasses.replace(neuron, value=value) if held else None, steps, looked)
                start = value if q is not None else None  # much the same along another key
                if q is not None and not held:
                    return  # what one value cannot say along this key, it cannot along another


def _halves(q: Tensor, picks: Sequence[int]) -> tuple[list[int], list[int]]:
    """Two groups: each text goes with the nearer of the two that are farthest apart; the first text's group first."""
    apart = torch.cdist(q, q)
    a, b = divmod(int(apart.argmax()), len(q))
    near = (apart[a] <= apart[b]).tolist()
    near[a], near[b] = True, False
    groups = (
        [pick for pick, one in zip(picks, near, strict=True) if one],
        [pick for pick, one in zip(picks, near, strict=True) if not one],
    )
    return groups if picks[0] in groups[0] else (groups[1], groups[0])
