"""What an edited model is asked in the studies of its memory: all translations of the edits, and unrelated texts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from polypatch.data import EditingData
from polypatch.deltas import Delta, NearestBank
from polypatch.deltas.nearness import Numbers, nearest, sorted_in
from polypatch.deltas.published import seen_together
from polypatch.edits import Edit
from polypatch.sites import UNCHANGED, FrozenTail

AT_ONCE = 4096
"""Texts that are placed at once."""


class Look(NamedTuple):
    """The similarity to the nearest entry, its score s, and the group of n texts."""

    near: Tensor
    score: Tensor
    group: Tensor


class Questions:
    """Every text that is asked, with its query and the unedited model's answer.

    Args:
        tail: what is read of texts.
        edits: their prompts in every language are asked for the wanted answers.
        data: its locality sets are asked for the unedited model's.
    """

    unchanged = UNCHANGED

    def __init__(self, tail: FrozenTail, edits: Sequence[Edit], data: EditingData) -> None:
        self.tail = tail
        languages = edits[0].languages
        self.source = edits[0].source
        parts = {lang: [edit.prompt[lang] for edit in edits] for lang in languages}
        parts |= {name: [row.text for row in rows] for name, rows in data.locality.items()}
        self.sets, self.prompts = list(data.locality), list(languages)
        ends = torch.tensor([len(texts) for texts in parts.values()]).cumsum(0).tolist()
        self.where = dict(zip(parts, map(slice, [0, *ends], ends), strict=False))
        self.texts = [text for texts in parts.values() for text in texts]
        self.rows = tail.readout.rows(self.texts)
        self.q = tail.queries(self.rows).q
        self.before = tail.said(self.rows, UNCHANGED).ids
        names = {name: i for i, name in enumerate(tail.readout.answers)}
        self.wanted = torch.tensor([names[edit.target_in(edit.source)] for edit in edits])

    def look(self, delta: NearestBank) -> Look:
        """What is nearest to the texts, whatever the thresholds are."""
        now = seen_together(delta)
        found = [nearest(q, now) for q in torch.split(self.q, AT_ONCE)]
        group = sorted_in(self.q, now)
        near, over = (torch.cat([getattr(one, name) for one in found]) for name in ("near", "over"))
        return Look(near, over + now["thresholds"][group], group)

    def after(self, delta: Delta, look: Look | None = None) -> tuple[Tensor, Tensor]:
        """What is said with these edits [n], and where an edit is over its threshold [n]."""
        if not isinstance(delta, NearestBank):
            said = self.tail.said(self.rows, delta).ids
            return said, said != self.before
        now, look = seen_together(delta), look or self.look(delta)
        over = look.score > now["thresholds"][look.group]
        some = (over | (look.near > Numbers(*now["numbers"].tolist()).same)).nonzero().squeeze(1)
        said = self.before.clone()
        said[some] = self.tail.said([self.rows[i] for i in some.tolist()], delta).ids
        return said, over

    def measure(self, delta: Delta, look: Look | None = None) -> dict[str, Any]:
        """The figures, in per cent: gain over the unedited model, answers as before, texts that an edit acts on."""
        said, over = self.after(delta, look)

        def right(ids: Tensor, lang: str) -> float:
            return 100 * float((ids[self.where[lang]] == self.wanted).double().mean())

        others = [lang for lang in self.prompts if lang != self.source]
        kept = {name: 100 * float((said == self.before)[self.where[name]].double().mean()) for name in self.sets}
        acts = {name: 100 * float(over[self.where[name]].double().mean()) for name in self.sets}
        at_home = [name for name in self.sets if "." not in name]
        abroad = [acts[name] for name in self.sets if name not in at_home]
        return {
            "gain": statistics.fmean(right(said, lang) - right(self.before, lang) for lang in others),
            "reliability": right(said, self.source),
            "english": min(kept[name] for name in at_home),
            "worst": min(kept.values()),
            "worst set": min(kept, key=kept.__getitem__),
            "all": statistics.fmean(kept.values()),
            "acts on, english": statistics.fmean(acts[name] for name in at_home),
            "acts on, others": statistics.fmean(abroad),
            "acts on, most": max(abroad),
            "patches": delta.patches,
        }
