"""Contradictions: edits that the model cannot tell apart and that want different answers. Found before training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polypatch.edits import Edit, Example, Lang, Text
from polypatch.errors import ContradictionError
from polypatch.sites import Tail

NEAR = 0.05
"""Distance of two queries, in units of their length, below which a neuron can hardly tell them apart."""

_SLICE = 1024


@dataclass(frozen=True)
class Contradiction:
    """Two edits with near-identical queries and different targets.

    Attributes:
        first, second: the edits' ids, in stream order.
        langs: the languages of the two prompts that lie closest.
        texts: those prompts.
        targets: what each wants.
        distance: ‖q₁ − q₂‖ / max(‖q₁‖, ‖q₂‖) of their queries; 0 for the same input.
    """

    first: str
    second: str
    langs: tuple[Lang, Lang]
    texts: tuple[Text, Text]
    targets: tuple[str, str]
    distance: float

    def __str__(self) -> str:
        (lang, other), (text, near), (wanted, instead) = self.langs, self.texts, self.targets
        return (
            f"{self.first} wants {wanted!r} for {_short(text)} ({lang}), "
            f"{self.second} wants {instead!r} for {_short(near)} ({other}); distance {self.distance:.3f}"
        )


def find_contradictions(tail: Tail, edits: Sequence[Edit], near: float = NEAR) -> list[Contradiction]:
    """Every pair of edits with prompts nearer than `near` and different targets, the closest pair of prompts of each.

    Exact search over all prompts in all languages, in slices: O(P²d) for P prompts.
    """
    rows = [(edit.id, edit.example(lang)) for edit in edits for lang in edit.languages]
    if not rows:
        return []
    q = tail.queries([example.text for _, example in rows]).float()
    order = {edit.id: place for place, edit in enumerate(edits)}
    found: dict[tuple[str, str], Contradiction] = {}
    for i, j, distance in _near_pairs(q, _numbers([example.target for _, example in rows]).to(q.device), near):
        (one, example), (two, other) = rows[i], rows[j]
        pair = (one, two) if order[one] < order[two] else (two, one)
        if one != two and (pair not in found or distance < found[pair].distance):
            first, second = (example, other) if pair[0] == one else (other, example)
            found[pair] = _contradiction(pair, first, second, distance)
    return sorted(found.values(), key=lambda pair: pair.distance)


def require_no_contradictions(edits: Sequence[Edit]) -> None:
    """Refuse edits that want different answers to the very same input; costs no forward pass.

    Raises:
        ContradictionError: naming both edits.
    """
    seen: dict[Text, tuple[str, Example]] = {}
    for edit in edits:
        for lang in edit.languages:
            example = edit.example(lang)
            other, earlier = seen.setdefault(example.text, (edit.id, example))
            if other != edit.id and earlier.target != example.target:
                pair = _contradiction((other, edit.id), earlier, example, 0.0)
                raise ContradictionError(f"{pair}. Leave one out, or allow contradictions.")


def _near_pairs(q: Tensor, wanted: Tensor, near: float) -> Iterator[tuple[int, int, float]]:
    """(i, j, distance) with i < j, different targets and a distance below `near`."""
    lengths = q.norm(dim=1)
    for start in range(0, len(q), _SLICE):
        part = q[start : start + _SLICE]
        scale = torch.maximum(lengths[start : start + _SLICE, None], lengths[None])
        # By inner products first, which round; then exactly, for the few that are left.
        squared = lengths[start : start + _SLICE, None] ** 2 + lengths[None] ** 2 - 2 * part @ q.T
        close = (squared < (near**2 + 1e-5) * scale**2) & (wanted[start : start + _SLICE, None] != wanted[None])
        for i, j in close.nonzero().tolist():
            i += start
            distance = float((q[i] - q[j]).norm() / torch.maximum(lengths[i], lengths[j]))
            if i < j and distance < near:
                yield i, j, distance


def _numbers(targets: Sequence[str]) -> Tensor:
    known: dict[str, int] = {}
    return torch.tensor([known.setdefault(target, len(known)) for target in targets])


def _contradiction(pair: tuple[str, str], first: Example, second: Example, distance: float) -> Contradiction:
    langs, texts = (first.lang, second.lang), (first.text, second.text)
    return Contradiction(*pair, langs, texts, (first.target, second.target), distance)


def _short(text: Text) -> str:
    shown = " / ".join(text) if isinstance(text, tuple) else text
    return repr(shown if len(shown) <= 60 else f"{shown[:59]}…")
