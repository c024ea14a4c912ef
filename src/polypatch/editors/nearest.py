"""NearestPatch: an edit made in one language that acts on what is said in others.

A text's place is its query, seen so that texts of the memory are spread evenly and translations lie close together:

    u = (q − μ) M ÷ ‖(q − μ) M‖        M Mᵀ = (C + w·W + λ·tr(C)/d·I)⁻¹

μ, C: mean and covariance of the memory, each of its groups (languages) counting the same, in units of its spread; W:
mean square of what a translation changes in a query, from parallel text, none of it an edit. The nearest edit acts
(`NearestBank`), by a value that is computed for the edit's own text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas import Delta, NearestBank
from polypatch.deltas.nearness import crowding_among, sorted_in, trace, unit
from polypatch.editors.editor import Drawn, Fit, Lesson, Steps, Weight, expect
from polypatch.editors.memory import Memory
from polypatch.editors.placed import Placed
from polypatch.editors.values import Aim, projected
from polypatch.errors import InputError, UnsupportedModelError
from polypatch.settings import Range, Settings, above, at_least, between
from polypatch.sites import UNCHANGED, FeedForwardSite, Row, Tail, Trainable


@dataclass(frozen=True, kw_only=True)
class NearestPatch(Settings):
    """An entry for each text of an edit, right already or not: what is right in one language need not be in another.

    Of an answer of several tokens only the first reaches other texts; the model's own knowledge of the name goes on.

    Draws once, so a sampler that redraws at every step is asked for its first draw only.

    Attributes:
        shrinkage: λ.
        translations: w, the weight of what a translation changes.
        weight: β, of how crowded the places of text and key are.
        share: of the memory's texts of a language that an entry may be near enough to act on.
        home: times that share in a language that the edits are given in: there no translation has to be reached.
        crowd: edits from which on that share is theirs in whole; each of fewer has its part of it.
        width: from the threshold to where an entry acts in full, in units of cosine similarity.
        same: a similarity above which two texts are one.
        landmarks: of each group of the memory, at most; so many for each position that a text of it has in the mean.
        rank: directions that texts are told apart by, at most: those in which the memory's differ most.
        margin: by which the wanted class leads the next one, in logits.
        confidence: the probability that the wanted class gets, at least.
        max_steps: projections for a value.
    """

    shrinkage: Annotated[float, above(0)] = 0.03
    translations: Weight = 16.0
    weight: Weight = 0.5
    share: Annotated[float, Range(0, 1, without_most=True)] = 0.02
    home: Annotated[float, between(0, 1)] = 0.5
    crowd: Annotated[int, at_least(1)] = 100
    width: Annotated[float, above(0)] = 0.05
    same: Annotated[float, between(0, 1)] = 0.97
    landmarks: Annotated[int, at_least(1)] = 350
    rank: Annotated[int, at_least(1)] = 512
    margin: Annotated[float, above(0)] = 2.0
    confidence: Annotated[float, Range(0, 1, without_most=True)] = 0.8
    max_steps: Steps = 40

    exact = False
    memory_copies = 0
    protects_right = False
    measures = True

    def start(self, site: FeedForwardSite) -> NearestBank:
        """An empty bank for this site.

        Raises:
            UnsupportedModelError: what is read there is not what an answer depends on alone.
        """
        if site.lower:
            raise UnsupportedModelError(
                "NearestPatch edits the last layer: leave layer= out, or take the recipe polypatch-linear"
            )
        return NearestBank(site.hidden_size, site.read_size, site.device, site.dtype)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Place an entry for each of the lesson's rows.

        Raises:
            InputError: there is no memory to measure nearness by.
        """
        bank, drawn = expect(NearestBank, delta, self), Drawn(lesson)
        if not bank.framed:
            bank.frame(self._frame(memory))
        steps, wrong, picks = 0, 0, drawn()
        for pick in picks:
            row = lesson.rows[pick]
            rows = tail.rows([row], UNCHANGED, views=0, generator=lesson.generator)
            value, more, held = self._value(rows, lesson.wanted[pick], bank.hidden_size)
            bank.append(lesson.owner, rows.q[0], value, alone=_goes_on(row, lesson.rows))
            steps, wrong = steps + more, wrong + (not held)
        reason = f"{wrong} of {len(picks)} values not right after {self.max_steps} steps" if wrong else ""
        return Fit(max(steps, 1), drawn.seen, reason)

    def _value(self, rows: Trainable, wanted: int, width: int) -> tuple[Tensor, int, bool]:
        """V [width], the steps it took, and whether it gives its row the class."""
        like, none = rows.q[0], torch.zeros_like(rows.q[0])
        alone = Placed(none, like.new_tensor(1.0), like.new_tensor(1.0), none[:width], _as_it_is)
        odds = math.log(self.confidence / (1 - self.confidence)) if self.confidence else -math.inf
        aim = Aim(self.margin, odds, self.max_steps, learning_rate=0.0)
        return projected(alone, rows, torch.tensor([wanted], device=like.device), aim)

    def _frame(self, memory: Memory) -> dict[str, Tensor]:
        """What texts are measured by: the tensors of `polypatch.deltas.nearest_bank.FRAME`."""
        first = memory.train.first()
        if not len(first.rows):  # all texts lie in one direction then
            raise InputError(
                "NearestPatch measures nearness by the memory: pass memory= with texts of every language, or take "
                "the recipe polypatch-linear, which does without"
            )
        names = sorted(set(first.groups.tolist()))
        groups = [first.rows[first.groups == group] for group in names]
        # A text of the memory changes where any of its positions does.
        positions = len(first.asked) / len({(row.tokens, row.context) for row in first.asked})
        numbers = [self.weight, self.share / positions, self.home, self.width, self.same, float(self.crowd)]
        found = _measure(groups, memory.scatter, self.shrinkage, self.translations)
        tensors = {name: tensor.to(first.rows) for name, tensor in found.items()}
        # An entry is of such a position too, and nearest to what asks the same of another subject.
        asking = [first.rows[(first.groups == group) & first.begins] for group in names]
        rows = torch.cat([_spread_out(group, round(self.landmarks * positions)) for group in asking])
        tensors["map"] = _told_apart_by(rows - tensors["centre"], tensors["map"], self.rank)
        landmarks = unit(rows, tensors)
        of = {"landmarks": landmarks, "crowding": crowding_among(landmarks), "groups": sorted_in(rows, tensors)}
        begun = (part.rows[: part.base] for part in (memory.train, memory.validation))
        kept = [trace(unit(rows, tensors)) for whole in begun for rows in torch.split(whole, CHUNK)]
        return {**tensors, **of, "kept": torch.cat(kept), "numbers": first.rows.new_tensor(numbers)}


def _goes_on(row: Row, rows: Sequence[Row]) -> bool:
    """Whether a row stands behind another of the same pass: an answer's second token, say.

    What stands before it was put there by the edit itself, or by anyone: "As" goes on as "Asmara" here and as "Asia"
    there. So it says little of whether a text is about the same.
    """
    return any((row.tokens, row.context) == (one.tokens, one.context) and one.place < row.place for one in rows)


def _as_it_is(z: Tensor) -> Tensor:
    return z


def _spread_out(rows: Tensor, most: int) -> Tensor:
    """So many rows at most, evenly."""
    count = min(most, len(rows))
    return rows[torch.arange(count, device=rows.device) * len(rows) // max(count, 1)]


def _measure(
    groups: Sequence[Tensor], scatter: Tensor | None, shrinkage: float, translations: float
) -> dict[str, Tensor]:
    """Centre μ [D], map M [D, D], the groups' linear discriminants, sorting [D, g] and bias [g]; in float64."""
    rows = [group.double() for group in groups]
    centre = torch.stack([group.mean(0) for group in rows]).mean(0)
    spread = torch.stack([(group - centre).square().mean(0) for group in rows]).mean(0).sqrt()
    # Where nothing is spread nothing is told apart; without a floor it would be told apart by rounding.
    spread = spread.clamp(min=FLOOR * float(spread.max().clamp(min=FLOOR)))
    seen = [(group - centre) / spread for group in rows]
    ridge = shrinkage * torch.eye(len(centre)).to(centre)
    covariance = torch.stack([group.T @ group / len(group) for group in seen]).mean(0)
    if scatter is not None:
        covariance = covariance + translations * scatter.to(covariance) / spread / spread.unsqueeze(1)
    factor = torch.linalg.cholesky(covariance + ridge)
    turned = torch.linalg.solve_triangular(factor, torch.diag(1 / spread), upper=False).T
    means = torch.stack([group.mean(0) for group in seen])
    within = torch.stack([_covariance(group) for group in seen]).mean(0)
    towards = torch.linalg.solve(within + ridge, means.T)
    sorting = towards / spread.unsqueeze(1)
    bias = -0.5 * (means * towards.T).sum(1) - centre @ sorting
    return {"centre": centre, "map": turned.contiguous(), "sorting": sorting, "bias": bias}


def _told_apart_by(rows: Tensor, turned: Tensor, rank: int) -> Tensor:
    """The map [D, r] on the directions in which the rows [m, D], of unit length behind it, differ most, last of all."""
    seen = functional.normalize(rows.double() @ turned.double(), dim=1)
    vectors: Tensor = torch.linalg.eigh(seen.T @ seen).eigenvectors[:, -rank:]
    return (turned.double() @ vectors).to(turned).contiguous()


def _covariance(rows: Tensor) -> Tensor:
    away = rows - rows.mean(0)
    return away.T @ away / len(rows)


CHUNK = 8192
"""Rows of the memory that are placed at once."""

FLOOR = 1e-6
"""Of the spread of a coordinate, in units of the largest."""
