"""Contradictions: edits that the model cannot tell apart and that want different answers. Found before training."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polypatch.arguments import shortened
from polypatch.data.given import edits_in
from polypatch.edits import Edit, Example, Lang, Text
from polypatch.errors import ContradictionError, InputError
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
        examples = map(Example, self.langs, self.texts, self.targets)
        return f"{_named((self.first, self.second), *examples)}; distance {self.distance:.3f}"


def find_contradictions(tail: Tail, edits: Sequence[Edit], near: float = NEAR) -> list[Contradiction]:
    """Every pair of edits with prompts nearer than `near` and different targets, the closest pair of prompts of each.

    Exact search over all prompts in all languages, in slices: O(P²d) for P prompts.
    """
    if not hasattr(tail, "queries"):
        raise InputError(f"tail is {shortened(tail)}: give an edited model's, edited.tail")
    edits = edits_in(edits)
    return _found(tail, edits, near, sum(len(edit.examples) for edit in edits))


def contradictions_of(tail: Tail, edit: Edit, others: Sequence[Edit], near: float = NEAR) -> list[Contradiction]:
    """Those of `find_contradictions` that one edit has with others: O(Pd) for their P prompts."""
    return _found(tail, [edit, *others], near, len(edit.examples))


def _found(tail: Tail, edits: Sequence[Edit], near: float, count: int) -> list[Contradiction]:
    """The contradictions that the first `count` prompts have with those behind them."""
    rows = [(edit.id, example) for edit in edits for example in edit.examples]
    if not rows:
        return []
    q = tail.queries(tail.readout.rows([example.text for _, example in rows])).q
    order = {edit.id: place for place, edit in enumerate(edits)}
    found: dict[tuple[str, str], Contradiction] = {}
    wanted = _numbers([example.target for _, example in rows]).to(q.device)
    for i, j, distance in _near_pairs(q, wanted, near, count):
        (one, example), (two, other) = rows[i], rows[j]
        pair = (one, two) if order[one] < order[two] else (two, one)
        if one != two and (pair not in found or distance < found[pair].distance):
            first, second = (example, other) if pair[0] == one else (other, example)
            found[pair] = _contradiction(pair, first, second, distance)
    return sorted(found.values(), key=lambda pair: pair.distance)


def require_no_contradictions(tail: Tail, edits: Sequence[Edit]) -> None:
    """Refuse edits that want different answers to one input; costs no forward pass.

    Two prompts are one input where they differ in case or Unicode form at most, or where the model reads the same
    tokens.

    Raises:
        ContradictionError: naming both edits.
    """
    rows = [(edit.id, example) for edit in edits for example in edit.examples]
    texts = [example.text for _, example in rows]
    for name, how in zip(
        _names(tail, texts), ("but for case or Unicode form", "to the model's tokenizer"), strict=True
    ):
        seen: dict[object, tuple[str, Example]] = {}
        for (edit, example), same in zip(rows, name, strict=True):
            other, earlier = seen.setdefault(same, (edit, example))
            if other != edit and earlier.target != example.target:
                what = "" if earlier.text == example.text else f" These two are one text {how}."
                pair = _named((other, edit), earlier, example)
                raise ContradictionError(f"{pair}.{what} Leave one out, or allow contradictions.", (other, edit))


def contradicted(tail: Tail, edits: Sequence[Edit]) -> set[tuple[str, Lang]]:
    """The prompts, by edit and language, for which `require_no_contradictions` would refuse the edits."""
    rows = [(edit.id, example) for edit in edits for example in edit.examples]
    texts = [example.text for _, example in rows]
    found = set[tuple[str, Lang]]()
    for names in _names(tail, texts):
        wanted: dict[object, set[str]] = {}
        for (_, example), same in zip(rows, names, strict=True):
            wanted.setdefault(same, set()).add(example.target)
        found |= {(edit, one.lang) for (edit, one), same in zip(rows, names, strict=True) if len(wanted[same]) > 1}
    return found


def _names(tail: Tail, texts: Sequence[Text]) -> tuple[Sequence[object], Sequence[object]]:
    """What texts are one input by: without case and Unicode form, and to the model's tokenizer."""
    return _folded(texts), tail.readout.rows(texts)


def _folded(texts: Sequence[Text]) -> list[object]:
    """Texts, equal where they differ in case or Unicode form only."""

    def fold(part: str) -> str:
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())

    return [fold(text) if isinstance(text, str) else tuple(map(fold, text)) for text in texts]


def _near_pairs(q: Tensor, wanted: Tensor, near: float, count: int) -> Iterator[tuple[int, int, float]]:
    """(i, j, distance) with i < j, i < count, different targets and a distance below `near`."""
    lengths = q.norm(dim=1)
    for start in range(0, count, _SLICE):
        here, behind = slice(start, min(start + _SLICE, count)), slice(start, None)
        one, other = lengths[here, None], lengths[None, behind]
        # By inner products first, which round; then exactly, for the few that are left.
        squared = one**2 + other**2 - 2 * q[here] @ q[behind].T
        close = squared < (near**2 + 1e-5) * torch.maximum(one, other) ** 2
        for i, j in (close & (wanted[here, None] != wanted[None, behind])).nonzero().tolist():
            i, j = i + start, j + start
            distance = float((q[i] - q[j]).norm() / torch.maximum(lengths[i], lengths[j]))
            if i < j and distance < near:
                yield i, j, distance


def _numbers(targets: Sequence[str]) -> Tensor:
    known: dict[str, int] = {}
    return torch.tensor([known.setdefault(target, len(known)) for target in targets])


def _contradiction(pair: tuple[str, str], first: Example, second: Example, distance: float) -> Contradiction:
    langs, texts = (first.lang, second.lang), (first.text, second.text)
    return Contradiction(*pair, langs, texts, (first.target, second.target), distance)


def _named(pair: tuple[str, str], *examples: Example) -> str:
    wants = (
        f"{name} wants {e.target!r} for {_short(e.text)} ({e.lang})" for name, e in zip(pair, examples, strict=True)
    )
    return ", ".join(wants)


def _short(text: Text) -> str:
    shown = " / ".join(text) if isinstance(text, tuple) else text
    return repr(shown if len(shown) <= 60 else f"{shown[:59]}…")
