"""Reverting where edits rest on one another: after pruning, a neuron may hold more than the edit that owns it.

An edit *rests* on others if it owns fewer neurons than it added. While any does, reverting takes more than cutting out:

1. the neurons of the edits that go are cut out, and those that a resting edit among them needs;
2. every other edit that loses a text by it is cut out as well, until none does;
3. these are made again, in the order of the history, beside all that stayed.

Where no edit rests on others, cutting out is enough, and then the others are looked at (`polypatch.model.holding`).
Where every edit is reverted nothing is left to be made again, and the model is the unedited one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polypatch.deltas import PatchBank, chosen
from polypatch.errors import InputError
from polypatch.model import stream
from polypatch.model.holding import claims, cut_out, make_again, mend, right
from polypatch.model.kept_rows import Protected
from polypatch.model.state import State, transaction
from polypatch.model.stream import examples_of
from polypatch.recipes import Recipe
from polypatch.sites.rows import flat
from polypatch.store.cut import newest, resting


def revert(edited: State, names: Sequence[str]) -> None:
    """Take these edits back; errors as for `EditedModel.revert`."""
    with transaction(edited):
        _revert(edited, names)
        edited.report = None


def _revert(edited: State, names: Sequence[str]) -> None:
    bank, records = edited.delta, dict(edited.records)
    others = [name for name, record in records.items() if not record.reverted and name not in names]
    if not isinstance(bank, PatchBank) or not others:
        stream.revert(edited, names)
        return
    if not resting(records.values(), bank.owners):
        _beside(edited, bank, names)
        return
    if edited.recipe is None:
        raise InputError("how these edits were made is not known any more, so those that rest on others are stuck")
    tensors, owners = bank.tensors(), list(bank.owners)
    kept = _staying(edited, bank, edited.recipe, names)
    asked = {name: examples_of(edited, edited.recipe, records[name]) for name in others}
    before = right(edited, asked)
    stream.revert(edited, names)
    bank.load_tensors(*chosen(tensors, owners, lambda i, _: i in kept))
    make_again(edited, edited.recipe, cut_out(edited, bank, asked, before))


def _beside(edited: State, bank: PatchBank, names: Sequence[str]) -> None:
    """Every edit has its own neurons: they are cut out, and the other edits looked at again."""
    if newest(edited.records.values(), bank.owners, names):
        stream.revert(edited, names)  # the model is as it was before they were made
        return
    asked = {name: texts for name, texts in claims(edited).items() if name not in names}
    before = right(edited, asked)
    stream.revert(edited, names)
    mend(edited, bank, asked, before, names)


@torch.no_grad()
def _staying(edited: State, bank: PatchBank, recipe: Recipe, names: Sequence[str]) -> set[int]:
    """The neurons that stay: not of these edits, nor needed by one of them that rests on others."""
    going = [record for name, record in edited.records.items() if name in names]
    loose = [record for record in going if record.outcome.edit_id in resting(going, bank.owners)]
    texts = [one for record in loose for one in examples_of(edited, recipe, record)]
    needed: set[int] = set()
    if texts:
        held = flat(edited.ask(texts))
        targets = torch.tensor(held.wanted, device=bank.keys.device)
        rows = Protected(edited.tail.site, bank, edited.tail.queries(held.rows), targets)
        needed = {i for i, neuron in enumerate(rows.look()) if len(rows.needed([neuron]))}
    return {i for i, owner in enumerate(bank.owners) if owner not in names and i not in needed}
