"""Maps: where a text's query would lie in another language, learned from unlabelled parallel text.

    q_l ≈ q + (q − μ) B + δ        B by ridge regression of q_l − q on q, its strength chosen on held-out rows

Nobody needs a translation of the text itself. The regression is towards the identity and not towards the mean: a query
of which nothing is known stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from polypatch.arguments import texts_in
from polypatch.edits import Text
from polypatch.errors import InputError

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridges that are tried, in units of the mean variance of a coordinate."""

HELD_OUT = 5
"""Every so many-th row chooses the ridge."""

LEAST = 20
"""Rows of a corpus below which there is nothing to learn and to choose by."""


@dataclass(frozen=True)
class Map:
    """q ↦ q·A + c.

    Attributes:
        matrix: A [d, d].
        offset: c [d].
        ridge: the strength that was chosen.
        residual: mean squared distance of held-out mapped queries from the true ones.
        distance: that of the queries themselves, unmapped.
    """

    matrix: Tensor
    offset: Tensor
    ridge: float
    residual: float
    distance: float

    def __call__(self, q: Tensor) -> Tensor:
        """Mapped queries: [n, d] -> [n, d]."""
        return q @ self.matrix + self.offset


class Maps(Mapping[str, Map]):
    """One map per other name of a corpus (a language, where the caller has languages), each learned when it is used.

    Args:
        corpus: name -> texts; the i-th texts of all names say the same.
        queries: texts -> eval-mode queries [n, d].

    Raises:
        InputError: a column is no list of texts; the columns differ in length, or hold fewer than `LEAST` texts.
    """

    def __init__(self, corpus: Mapping[str, Sequence[Text]], queries: Callable[[Sequence[Text]], Tensor]) -> None:
        for name, texts in corpus.items():
            texts_in(texts, f"parallel[{name!r}]")
        lengths = {name: len(texts) for name, texts in corpus.items()}
        if len(set(lengths.values())) != 1 or min(lengths.values()) < LEAST:
            said = ", ".join(f"{name} {n}" for name, n in lengths.items()) or "nothing"
            raise InputError(f"parallel text must be as long in every language, {LEAST} texts at least; it is {said}")
        self.corpus = corpus
        self._columns = {name: queries(texts) for name, texts in corpus.items()}
        self._maps: dict[str, Map] = {}

    def __getitem__(self, name: str) -> Map:
        source, *others = self._columns
        if name not in others:
            raise KeyError(name)
        if name not in self._maps:
            self._maps[name] = _map(self._columns[source], self._columns[name])
        return self._maps[name]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._columns)[1:])

    def __len__(self) -> int:
        return len(self._columns) - 1

    @cached_property
    def scatter(self) -> Tensor | None:
        """Mean square of what another name changes in a query [d, d], in float64; None where there is no other."""
        source, *others = (column.double() for column in self._columns.values())
        apart = [column - source for column in others]
        return torch.stack([one.T @ one / len(one) for one in apart]).mean(0) if apart else None

    def queries(self, names: Sequence[str], origins: Tensor) -> Tensor:
        """Mapped queries [n, d] from true ones, each by the map of its name.

        Raises:
            InputError: a name that the corpus did not have.
        """
        missing = sorted({*names} - {*self})
        if missing:
            raise InputError(f"no parallel text in {', '.join(missing)} (has: {', '.join(self) or 'none'})")
        return torch.stack([self[name](q) for name, q in zip(names, origins, strict=True)])


def _map(source: Tensor, other: Tensor) -> Map:
    dtype, source, other = source.dtype, source.double(), other.double()
    held = torch.arange(len(source)) % HELD_OUT == 0
    tried = {ridge: _ridge(source[~held], other[~held], ridge) for ridge in STRENGTHS}
    errors = {ridge: _error(*tried[ridge], source[held], other[held]) for ridge in STRENGTHS}
    best = min(STRENGTHS, key=lambda ridge: errors[ridge])
    matrix, offset = _ridge(source, other, best)
    distance = float((source[held] - other[held]).pow(2).sum(1).mean())
    return Map(matrix.to(dtype), offset.to(dtype), best, errors[best], distance)


def _ridge(source: Tensor, other: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    x, y = source - source.mean(0), other - other.mean(0)
    spread = x.T @ x / len(x)
    eye = torch.eye(len(spread), dtype=spread.dtype, device=spread.device)
    # A corpus without any variance has nothing to say: the ridge keeps the system solvable.
    strength = max(ridge * float(spread.diagonal().mean()), 1e-12)
    matrix = eye + torch.linalg.solve(spread + strength * eye, x.T @ (y - x) / len(x))
    return matrix, other.mean(0) - source.mean(0) @ matrix


def _error(matrix: Tensor, offset: Tensor, source: Tensor, other: Tensor) -> float:
    return float((source @ matrix + offset - other).pow(2).sum(1).mean())
