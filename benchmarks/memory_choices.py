"""Which of many texts a memory holds: ways to choose m of n, in the order in which they are chosen."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

ROUNDS = 10
"""Of k-means."""


class Candidates(NamedTuple):
    """The texts of one language that a memory may be chosen from, in random order.

    Attributes:
        u: their places, as the nearest edit is looked for [n, r], of unit length.
        seen: their queries in units of the memory's spread, of unit length [n, D].
        classes: what the unedited model says to them [n].
        near: the similarity to the nearest edit [n]; known only after the edits.
    """

    u: Tensor
    seen: Tensor
    classes: Tensor
    near: Tensor


def at_random(one: Candidates, most: int) -> Tensor:
    """The first ones."""
    return torch.arange(min(most, len(one.u)))


def farthest(places: Tensor, most: int) -> Tensor:
    """Each the farthest from those before it (k-center, Gonzalez 1985)."""
    chosen, closest = [0], places @ places[0]
    while len(chosen) < min(most, len(places)):
        chosen.append(int(closest.argmin()))
        closest = torch.maximum(closest, places @ places[chosen[-1]])
    return torch.tensor(chosen)


def medoids(places: Tensor, most: int) -> Tensor:
    """The texts nearest to the means of k-means, by direction; fewer where two means have the same."""
    means = places[: min(most, len(places))].clone()
    for _ in range(ROUNDS):
        cluster = (places @ means.T).argmax(1)
        sums = torch.zeros_like(means).index_add_(0, cluster, places)
        means = torch.where(sums.norm(dim=1, keepdim=True) > 0, functional.normalize(sums, dim=1), means)
    return (places @ means.T).argmax(0).unique()


def facilities(places: Tensor, most: int) -> Tensor:
    """Greedily those that raise the sum over texts of the similarity to the nearest chosen one most; lazily."""
    similar = (places @ places.T).clamp(min=0)
    covered = places.new_zeros(len(places))
    gains = [(-gain, i) for i, gain in enumerate(similar.sum(1).tolist())]
    heapq.heapify(gains)
    chosen: list[int] = []
    while len(chosen) < min(most, len(places)):
        _, best = heapq.heappop(gains)
        gain = float((similar[best] - covered).clamp(min=0).sum())
        if gains and -gain > gains[0][0]:
            heapq.heappush(gains, (-gain, best))
            continue
        chosen.append(best)
        covered = torch.maximum(covered, similar[best])
    return torch.tensor(chosen)


def by_class(one: Candidates, most: int) -> Tensor:
    """One of each predicted class, in turn."""
    turn = torch.zeros_like(one.classes)
    for label in one.classes.unique():
        of = one.classes == label
        turn[of] = torch.arange(int(of.sum()))
    return turn.argsort(stable=True)[:most]


def in_proportion(one: Candidates, most: int) -> Tensor:
    """At random, but one of each predicted class at least."""
    first = by_class(one, len(one.classes.unique()))[:most]
    others = torch.arange(len(one.u))[~torch.isin(torch.arange(len(one.u)), first)]
    return torch.cat([first, others[: most - len(first)]])


def loudest(one: Candidates, most: int) -> Tensor:
    """Half of them those nearest to the edits, half at random: in hindsight, to see what there is to be had."""
    near = one.near.argsort(descending=True)[: most // 2]
    others = torch.arange(len(one.u))[~torch.isin(torch.arange(len(one.u)), near)]
    return torch.cat([near, others[: most - len(near)]])


CHOICES: dict[str, Callable[[Candidates, int], Tensor]] = {
    "at random": at_random,
    "k-center": lambda one, most: farthest(one.u, most),
    "k-center, query": lambda one, most: farthest(one.seen, most),
    "k-means medoids": lambda one, most: medoids(one.u, most),
    "facility location": lambda one, most: facilities(one.u, most),
    "each class in turn": by_class,
    "each class at least once": in_proportion,
    "half nearest to the edits": loudest,
}

NESTED = ("k-center", "k-center, query", "facility location", "at random", "each class in turn")
"""The first m of more are the m that would have been chosen."""


def stands_for(name: str, one: Candidates, chosen: Tensor) -> Tensor:
    """How many candidates each chosen text stands for [m]: those nearest to it; of the nearest to the edits, itself."""
    if name == "half nearest to the edits":
        near = len(chosen) // 2
        weights = torch.ones_like(chosen)
        weights[near:] = max(1, round((len(one.u) - near) / max(len(chosen) - near, 1)))
        return weights
    if name == "each class in turn":
        sizes, shown = (
            torch.bincount(classes, minlength=1 + int(one.classes.max()))
            for classes in (one.classes, one.classes[chosen])
        )
        return (sizes / shown.clamp(min=1)).round().long().clamp(min=1)[one.classes[chosen]]
    return torch.bincount((one.u @ one.u[chosen].T).argmax(1), minlength=len(chosen))
