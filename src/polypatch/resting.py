"""Reverting where edits rest on one another: after pruning, a neuron may hold more than the edit that owns it.

An edit *rests* on others if it owns fewer neurons than it added. While any does, reverting takes more than cutting out:

1. the neurons of the edits that go are cut out, and those that a resting edit among them needs;
2. every other edit that loses a text by it is cut out as well, until none does;
3. these are made again, in the order of the history, beside all that stayed.

Where every edit is reverted nothing is left to be made again, and the model is the unedited one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from polypatch import stream
from polypatch.attempt import Attempt
from polypatch.deltas import PatchBank, chosen
from polypatch.errors import InputError
from polypatch.outcomes import EditRecord
from polypatch.protected import Protected
from polypatch.recipes import Recipe
from polypatch.reverting import resting
from polypatch.stream import Stream, examples_of, memory_of, remember_again, remember_one, watchman_again
from polypatch.whole import whole

Right = Mapping[str, Sequence[bool]]
"""Edit id -> which of its texts are right."""


def revert(edited: Stream, names: Sequence[str]) -> None:
    """Take these edits back; errors as for `EditedModel.revert`."""
    with whole(edited):
        _revert(edited, names)
        edited.report = None


def _revert(edited: Stream, names: Sequence[str]) -> None:
    bank, records = edited.delta, dict(edited.records)
    others = [name for name, record in records.items() if not record.reverted and name not in names]
    if not isinstance(bank, PatchBank) or not others or not resting(records.values(), bank.owners):
        stream.revert(edited, names)
        return
    if edited.recipe is None:
        raise InputError("how these edits were made is not known any more, so those that rest on others are stuck")
    tensors, owners = bank.tensors(), list(bank.owners)
    right, kept = _right(edited, edited.recipe), _staying(edited, bank, edited.recipe, names)
    stream.revert(edited, names)
    bank.load_tensors(*chosen(tensors, owners, lambda i, _: i in kept))
    _make_again(edited, edited.recipe, _cut_out(edited, bank, edited.recipe, right))


@torch.no_grad()
def _staying(edited: Stream, bank: PatchBank, recipe: Recipe, names: Sequence[str]) -> set[int]:
    """The neurons that stay: not of these edits, nor needed by one of them that rests on others."""
    going = [record for name, record in edited.records.items() if name in names]
    loose = [record for record in going if record.outcome.edit_id in resting(going, bank.owners)]
    texts = [one for record in loose for one in examples_of(edited, recipe, record)]
    needed: set[int] = set()
    if texts:
        targets = torch.tensor([edited.class_of(one.target) for one in texts], device=bank.keys.device)
        rows = Protected(edited.tail.site, bank, edited.tail.queries([one.text for one in texts]), targets)
        needed = {i for i, neuron in enumerate(rows.look()) if len(rows.needed([neuron]))}
    return {i for i, owner in enumerate(bank.owners) if owner not in names and i not in needed}


def _right(edited: Stream, recipe: Recipe) -> Right:
    """For every edit that was not reverted, which of its texts are right."""
    asked = {name: examples_of(edited, recipe, record) for name, record in edited.records.items()}
    texts = [one.text for row in asked.values() for one in row]
    answers = iter(edited.tail.logits(texts, edited.delta).argmax(-1).tolist())
    return {name: [edited.class_of(one.target) == next(answers) for one in row] for name, row in asked.items()}


def _cut_out(edited: Stream, bank: PatchBank, recipe: Recipe, before: Right) -> set[str]:
    """Cut out every edit that lost a text, until none does; their ids."""
    cut: set[str] = set()
    while True:
        now = _right(edited, recipe)
        lost = {
            name
            for name, right in now.items()
            if name not in cut and any(was and not still for was, still in zip(before[name], right, strict=False))
        }
        if not lost:
            return cut
        bank.drop(lost)
        cut |= lost


def _make_again(edited: Stream, recipe: Recipe, names: set[str]) -> None:
    """Make these edits again; the others are protected meanwhile."""
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
