"""Which entry of a `NearestBank` acts on a text, and how strongly: the formulas, over the bank's tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.deltas.cells import cells_of, most_similar, sorted_into_cells

NEIGHBOURS = 10
"""Landmarks whose mean similarity says how crowded a place is."""

TRACE = 32
"""Numbers that are kept of a text of the memory: enough to know it again."""

TWIN = 0.9995
"""A similarity of two traces above which they are of one text."""


ALONE = 4.0
"""More than a similarity can be over a threshold: what is taken off where nothing is to be near enough."""


class Numbers(NamedTuple):
    """What decides whether the nearest entry acts.

    Attributes:
        weight: of how crowded the places of text and key are, β.
        share: of the landmarks of a group that an entry may be near enough to act on.
        home: times that share, in a group that most entries' own texts are of.
        width: from the threshold to where an entry acts in full.
        same: a similarity above which two texts are one.
        crowd: entries of one group's texts from which on that share is theirs in whole; each of fewer has its part.
    """

    weight: float
    share: float
    home: float
    width: float
    same: float
    crowd: float


def unit(q: Tensor, now: Mapping[str, Tensor]) -> Tensor:
    """U of texts: [n, D] -> [n, r]."""
    return functional.normalize((q - now["centre"]) @ now["map"], dim=1)


def trace(u: Tensor) -> Tensor:
    """What is kept of texts, from their places [n, r]: [n, `TRACE`], in the directions in which texts differ most."""
    return functional.normalize(u[:, -TRACE:], dim=1)


def crowding(u: Tensor, landmarks: Tensor) -> Tensor:
    """The mean similarity to the nearest landmarks [n]."""
    return _mean_of_nearest(u @ landmarks.T)


def _mean_of_nearest(similar: Tensor) -> Tensor:
    if not similar.shape[1]:
        return similar.new_zeros(len(similar))
    return similar.topk(min(NEIGHBOURS, similar.shape[1]), 1).values.mean(1)


def crowding_among(landmarks: Tensor) -> Tensor:
    """How crowded the places of landmarks are, each by the others [m]."""
    parts = []
    for start in range(0, len(landmarks), 1024):
        similar = landmarks[start : start + 1024] @ landmarks.T
        similar[torch.arange(len(similar)), torch.arange(start, start + len(similar))] = -1.0
        parts.append(_mean_of_nearest(similar))
    return torch.cat(parts) if parts else landmarks.new_empty(0)


def sorted_in(q: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """The group [n] of texts."""
    return (q @ tensors["sorting"] + tensors["bias"]).argmax(1)


class Nearest(NamedTuple):
    """What is nearest to n texts.

    Attributes:
        entry: the nearest entry [n].
        near: the similarity to it [n].
        beside: to every landmark [n, m].
        over: by how much the score s of the entry is over the threshold of the text's group [n].
        u: where they are [n, r].
    """

    entry: Tensor
    near: Tensor
    beside: Tensor
    over: Tensor
    u: Tensor


def nearest(q: Tensor, now: Mapping[str, Tensor]) -> Nearest:
    """What is nearest to texts: [n, D]."""
    u = unit(q, now)
    beside = u @ now["landmarks"].T
    near, entry = most_similar(u, beside, now)
    score = near - now["offsets"][entry] - now["numbers"][0] * _mean_of_nearest(beside)
    return Nearest(entry, near, beside, score - now["thresholds"][sorted_in(q, now)], u)


def acting(q: Tensor, now: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The nearest entry of each text [n], and how strongly it acts [n]."""
    *_, width, same, _ = now["numbers"].unbind()
    entry, near, beside, over, u = nearest(q, now)
    strength = (over / width).clamp(0, 1)
    strength = torch.where(near > same, torch.ones_like(strength), strength)
    own = trace(u)
    known = (own @ now["kept"].T, (own * trace(now["keys"][entry])).sum(1), now["numbers"].new_tensor(TWIN))
    for similar, to_entry, one in ((beside, near, same), known):
        if similar.shape[1]:
            closest = similar.max(1).values
            strength = strength.masked_fill((closest > one) & (closest > to_entry + ROUNDING), 0.0)
    return entry, strength


AT_ONCE = 1024
"""Entries that are held against the landmarks at once."""

ROUNDING = 1e-4
"""Of similarities, a text and itself being read in two passes; and of a share of some landmarks."""


def judged(now: Mapping[str, Tensor], since: int = 0) -> dict[str, Tensor]:
    """With what the landmarks say of the entries from `since` on: the threshold of each group.

    In float64, so that many entries at once and one by one come to the same bits in float32.
    """
    landmarks, weight = now["landmarks"], float(now["numbers"][0])
    near = now["near"] if since else landmarks.new_full((len(landmarks),), -1.0)
    score = now["score"] if since else landmarks.new_full((len(landmarks),), -4.0)
    wide, cells = landmarks.double(), [now["cells"] if since else cells_of(landmarks[:, :0])]
    for start in range(since, len(now["keys"]), AT_ONCE):
        keys, offsets = (now[name][start : start + AT_ONCE] for name in ("keys", "offsets"))
        similar = (wide @ keys.double().T).to(landmarks)
        cells.append(cells_of(similar))
        closest, entry = similar.masked_fill(~_reaching(offsets), -1.0).max(1)
        nearer = closest > near
        near = torch.where(nearer, closest, near)
        score = torch.where(nearer, closest - offsets[entry] - weight * now["crowding"], score)
    at_home = torch.bincount(now["homes"][_reaching(now["offsets"])], minlength=len(now["bias"])).double()
    shares, rise = _shares(now, at_home).tolist(), _rise(now, at_home)
    thresholds = [_threshold(score[now["groups"] == group], share, rise) for group, share in enumerate(shares)]
    seen = {"near": near, "score": score, "cells": torch.cat(cells)}
    seen["thresholds"] = _no_lower_at_home(torch.stack(thresholds), at_home)
    return {**now, **seen, **sorted_into_cells(seen["cells"], len(landmarks), now if since else {})}


def _reaching(offsets: Tensor) -> Tensor:
    """Which entries act on other texts than their own [n]."""
    return offsets <= ALONE / 2


def _shares(now: Mapping[str, Tensor], at_home: Tensor) -> Tensor:
    """Of each group's landmarks, how many an entry may be near enough to act on [g]; at_home: its own entries [g]."""
    share, home = now["numbers"][1:3].double().unbind()
    shares: Tensor = share * (1 - (1 - home) * at_home / at_home.max().clamp(min=1))
    return shares


def _no_lower_at_home(thresholds: Tensor, at_home: Tensor) -> Tensor:
    """The thresholds [g], no lower in a group that the entries' texts are of than the mean over such groups.

    There no translation has to be reached, and a low one says that the group's landmarks are few or about other things.
    """
    home = at_home >= at_home.max().clamp(min=1) / 2
    if not bool(home.any()):
        return thresholds
    return torch.where(home, thresholds.clamp(min=thresholds[home].mean()), thresholds)


def _rise(now: Mapping[str, Tensor], at_home: Tensor) -> float:
    """How many times smaller the share of so few entries is, as a logarithm."""
    return max(0.0, math.log(max(float(now["numbers"][5]), 1.0) / max(float(at_home.max()), 1.0)))


TAIL = 10
"""Scores, the largest, by which those that are larger still are judged."""


def _threshold(scores: Tensor, share: float, rise: float = 0.0) -> Tensor:
    """What no larger share of scores exceeds; of none nothing is known, and only an edit's own text is near enough.

    For a share e^rise times smaller, of which so few scores tell nothing, their tail is taken to fall exponentially
    (Pickands 1975, https://doi.org/10.1214/aos/1176343003, with shape 0): β·rise more, β their mean excess.
    """
    if not len(scores):
        return scores.new_tensor(ALONE)
    last, scores = len(scores) - 1, scores.sort(descending=True).values
    most = min(int(share * len(scores) + ROUNDING), last)
    tail = min(max(most, TAIL), last)
    return scores[most] + rise * (scores[: tail + 1].mean() - scores[tail])
