"""What became of edits: of one (EditOutcome), of all (the history: EditRecord), of the model meanwhile. Plain data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from polypatch.arguments import near
from polypatch.edits import Edit, Lang
from polypatch.errors import EditError


class Status(StrEnum):
    """What became of an edit; it is printed as the words on the right."""

    TAKEN = "taken"
    NOT_NEEDED = "not needed"
    FAILED = "failed"
    """It did not do what was wanted, and what it left is still in the model."""
    TAKEN_BACK = "taken back"
    """It did not do what was wanted, or cost too much, and nothing of it is in the model."""
    REVERTED = "reverted"
    """It was taken back by hand."""

    @property
    def holds(self) -> bool:
        """The edit is answered as wanted."""
        return self in (Status.TAKEN, Status.NOT_NEEDED)

    @property
    def changed(self) -> bool:
        """The edit has left something in the model."""
        return self in (Status.TAKEN, Status.FAILED)


@dataclass(frozen=True, slots=True)
class EditOutcome:
    """What became of one edit.

    Attributes:
        edit_id: the edit.
        triggered: the trigger asked for a change; where False, nothing was trained and nothing was added.
        success: every row that was checked (the source and, where drawn, the sampled rows) is right right after the
            edit. True for an edit that needed no change. A False is never hidden: `reason` says what happened. It is
            looked at again when other edits are reverted, and is False from then on where a row was right only by them.
        source_correct: the source-language prompt is right right after the edit (Transformer-Patcher's success rate).
        languages: languages whose examples the editor was trained on, in order of first use; empty if not triggered;
            ``de#2`` is the edit's second text in German, ``~de`` its source's query mapped to German.
        patches: neurons this edit added (0 for editors that change weights instead).
        steps: optimiser steps taken, over all attempts.
        attempts: training runs made (1 unless retried; 0 if not triggered).
        seconds: wall-clock time of this edit, trigger included.
        reason: why it failed; empty on success.
        locality_drop: percentage points of agreement on the probe set that it cost (negative: it mended some); None
            where no guard watched it, or nothing was tried.
        confidence: the least probability that a checked row gets for its wanted answer, right after the edit; None
            where it failed or nothing was checked, and from an older polypatch.
        finished: when, as ISO 8601 in UTC.
        taken_back: what it had left in the model was taken out again, because it failed or cost too much.
    """

    edit_id: str
    triggered: bool
    success: bool
    source_correct: bool
    languages: tuple[Lang, ...] = ()
    patches: int = 0
    steps: int = 0
    attempts: int = 0
    seconds: float = 0.0
    reason: str = ""
    locality_drop: float | None = None
    confidence: float | None = None
    finished: str = ""
    taken_back: bool = False

    def timeless(self) -> EditOutcome:
        """The same without what a clock said: what two equal runs agree on."""
        return replace(self, seconds=0.0, finished="")

    @property
    def status(self) -> Status:
        """What became of it; never `Status.REVERTED`, which only its record knows."""
        if self.success:
            return Status.TAKEN if self.triggered else Status.NOT_NEEDED
        return Status.TAKEN_BACK if self.taken_back else Status.FAILED

    @property
    def failure(self) -> str:
        """Why it failed, and whether it was taken back, for people; empty on success."""
        return f"{self.reason} ({Status.TAKEN_BACK})" if self.taken_back else self.reason


_BEFORE = f" ({Status.TAKEN_BACK})"
"""How the reason ended, in older files, of an edit that was taken back; `taken_back` was no field of theirs."""

_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("triggered", "success", "source_correct", "taken_back"), (bool,)),
    **dict.fromkeys(("patches", "steps", "attempts"), (int,)),
    **dict.fromkeys(("edit_id", "reason", "finished"), (str,)),
    "seconds": (int, float),
    **dict.fromkeys(("locality_drop", "confidence"), (int, float, type(None))),
}


def outcome_from_plain(edit_id: str, fields: Mapping[str, Any]) -> EditOutcome:
    """The outcome of plain data from a file.

    Raises:
        TypeError, ValueError, KeyError: a field is missing, is none of an outcome, or is not of its type.
    """
    languages = fields["languages"]
    if not isinstance(languages, list) or not all(isinstance(lang, str) for lang in languages):
        raise TypeError(f"languages must be a list of strings, not {languages!r}")
    outcome = EditOutcome(**{**fields, "edit_id": edit_id, "languages": tuple(languages)})
    for name, kinds in _KINDS.items():
        value = getattr(outcome, name)
        if type(value) not in kinds or (isinstance(value, float) and not math.isfinite(value)):
            raise TypeError(f"{name} cannot be {value!r}")
    if "taken_back" not in fields and outcome.reason.endswith(_BEFORE):
        return replace(outcome, reason=outcome.reason.removesuffix(_BEFORE), taken_back=True)
    return outcome


@dataclass(frozen=True, slots=True)
class EditRecord:
    """One line of the history: what was asked for, what became of it, and whether it was reverted since.

    Attributes:
        edit: the correction as it was used, its parallel prompts cut to the languages that could be drawn; None in a
            folder of format version 1, which did not keep it.
        outcome: what became of it.
        reverted: when it was taken back by hand, as ISO 8601 in UTC; empty while it holds.
    """

    edit: Edit | None
    outcome: EditOutcome
    reverted: str = ""

    @property
    def status(self) -> Status:
        """That of the outcome, or `Status.REVERTED`."""
        return Status.REVERTED if self.reverted else self.outcome.status


@dataclass(frozen=True, slots=True)
class TrajectoryPoint:
    """How the model stood after `edits_done` edits of the stream: a final number can hide a collapse half-way.

    Attributes:
        edits_done: edits of the stream handled so far, triggered or not.
        patches: patches in the model at that moment.
        reliability_so_far: eq. 10 over those edits, in per cent (0..100); None where it was not measured.
        locality: eq. 13, the accuracy on each watched locality set at that moment, in per cent (0..100); of a
            model that writes, how many answers there are what the unedited one writes.
    """

    edits_done: int
    patches: int
    reliability_so_far: float | None = None
    locality: Mapping[str, float] = field(default_factory=dict)


def require_active(records: Mapping[str, EditRecord], ids: Iterable[str]) -> None:
    """Refuse ids of edits that are not there to be reverted.

    Raises:
        EditError: no such edit, or one that was reverted already.
    """
    active = [name for name, record in records.items() if not record.reverted]
    for name in ids:
        if name not in records:
            raise EditError(f"no edit is called {name!r}; there are {near(name, active)}")
        if records[name].reverted:
            raise EditError(f"edit {name!r} was reverted already; there are {near(name, active)}")


def reverted(records: Mapping[str, EditRecord], ids: Collection[str], when: str) -> dict[str, EditRecord]:
    """The history with these edits reverted at that time, as ISO 8601 in UTC."""
    return {name: replace(one, reverted=when) if name in ids else one for name, one in records.items()}


def short_of_neurons(records: Iterable[EditRecord], owners: Sequence[str]) -> set[str]:
    """The edits that own fewer neurons than they added, and were not reverted: since pruning, others hold them."""
    owned = Counter(owners)
    inside = (one.outcome for one in records if one.status.changed)
    return {outcome.edit_id for outcome in inside if owned[outcome.edit_id] < outcome.patches}


def newest(records: Iterable[EditRecord], owners: Sequence[str], ids: Collection[str]) -> bool:
    """Whether these edits are the last ones made, so that without them all is as it was before, bit for bit."""
    names = [record.outcome.edit_id for record in records if not record.reverted]
    last = names[len(names) - len(set(ids)) :]
    own = [owner for owner in owners if owner in ids]
    return set(last) == set(ids) and list(owners[len(owners) - len(own) :]) == own
