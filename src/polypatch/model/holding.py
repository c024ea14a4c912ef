"""Whether edits still hold after others went: a text may have been right by a neuron of somebody else's edit.

What an edit claims is its source prompt and what it was trained on or found right. After a revert the claims that were
right before are looked at again. An edit that lost one is made again; where that is not possible, its outcome says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from polypatch.deltas import PatchBank
from polypatch.edits import Example
from polypatch.model.state import State
from polypatch.model.step import Attempt
from polypatch.model.stream import handled, learn_maps, memory_of, remember_again, remember_one, watchman_again
from polypatch.outcomes import EditOutcome, EditRecord
from polypatch.recipes import Recipe

Asked = Mapping[str, Sequence[Example]]
"""Edit id -> its texts."""

Right = Mapping[str, Sequence[bool]]
"""Edit id -> which of them are right."""


def claims(edited: State) -> Asked:
    """What the edits that are in the model, and say that they hold, say it of."""
    asked = {}
    for name, record in edited.records.items():
        if record.edit is None or record.reverted or not record.outcome.success:
            continue
        known = handled(edited, edited.recipe, record) if edited.recipe is not None else ()
        texts = dict.fromkeys((record.edit.example(record.edit.source), *known))
        asked[name] = [one for one in texts if not one.via or _can_map(edited)]
    return asked


def right(edited: State, asked: Asked) -> Right:
    """Which of these texts are right now."""
    found = iter(edited.tail.right(edited.ask([one for row in asked.values() for one in row]), edited.delta))
    return {name: [next(found) for _ in row] for name, row in asked.items()}


def lost(before: Right, now: Right) -> set[str]:
    """The edits with a text that was right and is not any more."""
    both = ((name, zip(before[name], row, strict=False)) for name, row in now.items() if name in before)
    return {name for name, pairs in both if any(was and not still for was, still in pairs)}


def cut_out(edited: State, bank: PatchBank, asked: Asked, before: Right) -> set[str]:
    """Cut out every edit that lost a text, until none does; their ids."""
    cut: set[str] = set()
    while more := lost(before, right(edited, {name: row for name, row in asked.items() if name not in cut})):
        bank.drop(more)
        cut |= more
    return cut


def make_again(edited: State, recipe: Recipe, names: set[str]) -> None:
    """Make these edits again, in the order of the history; the others are protected meanwhile."""
    if edited.memory is None and not names:
        return
    memory = memory_of(edited)
    watchman = watchman_again(edited) if names else None
    memory.restore(memory.base)
    for name, record in edited.records.items():
        if name not in names:
            remember_one(edited, recipe, record)
    for name in [name for name in edited.records if name in names]:
        edit = edited.records[name].edit
        assert edit is not None  # its texts were looked at
        edited.records[name] = EditRecord(edit, Attempt(edited, memory, recipe, edit, watchman).run(edited.rules))
    remember_again(edited, recipe)


def mend(edited: State, bank: PatchBank, asked: Asked, before: Right, gone: Sequence[str]) -> None:
    """After `gone` went: make again what lost an answer, or say that it did.

    Args:
        edited: the model, without them.
        bank: its patches.
        asked: what the other edits claim.
        before: which of that was right before.
        gone: the edits that went.
    """
    guarded = edited.rules.guard is None and "guard" in edited.config  # by a guard that is not here
    known = edited.memory is not None or edited.kept is not None
    if known and edited.recipe is not None and not guarded and lost(before, right(edited, asked)):
        make_again(edited, edited.recipe, cut_out(edited, bank, asked, before))
    now = right(edited, asked)
    for name in lost(before, now):
        record = edited.records[name]
        if record.outcome.success:
            edited.records[name] = replace(record, outcome=_no_longer(record, asked[name], now[name], gone))


def _no_longer(record: EditRecord, asked: Sequence[Example], now: Sequence[bool], gone: Sequence[str]) -> EditOutcome:
    wrong = [one.lang for one, still in zip(asked, now, strict=True) if not still]
    named = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
    return replace(
        record.outcome,
        success=False,
        source_correct=now[0],
        confidence=None,
        reason=f"no longer right in {', '.join(wrong)} since {named} was reverted",
    )


def _can_map(edited: State) -> bool:
    learn_maps(edited.tail, None if edited.kept is None else edited.kept.parallel)
    return getattr(edited.tail, "maps", None) is not None
