"""Reverting: edits go as if they had never been made, and those that stay are looked at again.

**Shared numbers** (changed weights, a codebook): the other edits are made again from the unedited model. That equals
never having made those that go, because an edit's random numbers depend on its own id alone.

**Parts of their own** (patches): the neurons of the edits that go are cut out. But a text of another edit may have been
right by one of them. What an edit *claims* is its source prompt and what it was trained on or found right; claims that
were right before are looked at again. An edit that lost one is made again, beside all that stayed; where that is not
possible, its outcome says so. Without the newest edits the model is as it was before them, so nothing is looked at.

**After pruning** an edit may *rest* on others: it owns fewer neurons than it added. While any does,

1. the neurons of the edits that go are cut out, and those that a resting edit among them needs;
2. every other edit that loses a text by it is cut out as well, until none does;
3. these are made again, in the order of the history, beside all that stayed.

Where every edit is reverted nothing is left to be made again, and the model is the unedited one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch

from polypatch.deltas import Delta, PatchBank, chosen
from polypatch.edits import Example
from polypatch.errors import InputError
from polypatch.model.guard import Watchman
from polypatch.model.kept_rows import Protected
from polypatch.model.state import State, transaction
from polypatch.model.step import Attempt, now
from polypatch.model.stream import examples_of, handled, learn_maps, memory_of, remember_again, remember_one
from polypatch.outcomes import EditOutcome, EditRecord, newest, require_active, reverted, short_of_neurons
from polypatch.recipes import Recipe
from polypatch.sites.rows import flat

Claims = Mapping[str, Sequence[Example]]
"""Edit id -> its texts."""

Right = Mapping[str, Sequence[bool]]
"""Edit id -> which of them are right."""


def revert(edited: State, names: Sequence[str]) -> None:
    """Take these edits back; errors as for `EditedModel.revert`."""
    with transaction(edited):
        require_active(edited.records, names)
        _revert(edited, names)
        edited.report = None


def _revert(edited: State, names: Sequence[str]) -> None:
    delta, records = edited.delta, edited.records
    staying = [name for name, record in records.items() if not record.reverted and name not in names]
    if not delta.separable:
        _remake_all(edited, names, staying)
    elif staying and isinstance(delta, PatchBank) and short_of_neurons(records.values(), delta.owners):
        _cut_from_pruned(edited, delta, names, staying)
    elif not staying or newest(records.values(), delta.owners, names):
        _cut(edited, names)
    else:
        _cut_and_look(edited, names)


def _remake_all(edited: State, names: Sequence[str], staying: Sequence[str]) -> None:
    """Make the others again, from the unedited model."""
    edited.records.update(reverted(edited.records, names, now()))
    recipe = edited.recipe
    if recipe is None or any(edited.records[name].edit is None for name in staying):
        raise InputError("how these edits were made is not known any more, so the others cannot be made again")
    memory = memory_of(edited) if staying else edited.memory
    with edited.tail.site.bare():  # else the copies would be of the changed matrices
        edited.delta.restore(recipe.editor.start(edited.tail.site).snapshot())
    if memory is not None:
        memory.restore(memory.base)
        _make(edited, recipe, staying)


def _cut(edited: State, names: Sequence[str]) -> None:
    """Cut these edits out, and do no more."""
    edited.records.update(reverted(edited.records, names, now()))
    edited.delta.drop(names)
    if edited.memory is not None and edited.recipe is not None:
        remember_again(edited, edited.recipe)


def _cut_and_look(edited: State, names: Sequence[str]) -> None:
    """Cut these edits out, and look whether the others hold: make again what lost an answer, or say that it did."""
    asked = {name: texts for name, texts in _claims(edited).items() if name not in names}
    before = _right(edited, asked)
    _cut(edited, names)
    guard_is_gone = edited.rules.guard is None and "guard" in edited.config
    has_memory = edited.memory is not None or edited.kept is not None
    if has_memory and not guard_is_gone and edited.recipe is not None and _lost(before, _right(edited, asked)):
        _make_again(edited, edited.recipe, _losers(edited, edited.delta, asked, before))
    after = _right(edited, asked)
    for name in _lost(before, after):
        record = edited.records[name]
        if record.outcome.success:
            edited.records[name] = replace(record, outcome=_no_longer(record, asked[name], after[name], names))


def _cut_from_pruned(edited: State, bank: PatchBank, names: Sequence[str], staying: Sequence[str]) -> None:
    """Cut these edits out where edits rest on one another, and make again what lost an answer."""
    if edited.recipe is None:
        raise InputError("how these edits were made is not known any more, so those that rest on others are stuck")
    tensors, owners = bank.tensors(), list(bank.owners)
    kept = _kept_neurons(edited, bank, edited.recipe, names)
    asked = {name: examples_of(edited, edited.recipe, edited.records[name]) for name in staying}
    before = _right(edited, asked)
    _cut(edited, names)
    bank.load_tensors(*chosen(tensors, owners, lambda i, _: i in kept))
    _make_again(edited, edited.recipe, _losers(edited, bank, asked, before))


@torch.no_grad()
def _kept_neurons(edited: State, bank: PatchBank, recipe: Recipe, names: Sequence[str]) -> set[int]:
    """The neurons that stay: not of these edits, nor needed by one of them that rests on others."""
    going = [record for name, record in edited.records.items() if name in names]
    loose = [record for record in going if record.outcome.edit_id in short_of_neurons(going, bank.owners)]
    texts = [one for record in loose for one in examples_of(edited, recipe, record)]
    needed: set[int] = set()
    if texts:
        held = flat(edited.ask(texts))
        targets = torch.tensor(held.wanted, device=bank.keys.device)
        rows = Protected(edited.tail.site, bank, edited.tail.queries(held.rows), targets)
        needed = {i for i, neuron in enumerate(rows.look()) if len(rows.needed([neuron]))}
    return {i for i, owner in enumerate(bank.owners) if owner not in names and i not in needed}


def _claims(edited: State) -> Claims:
    """What the edits that are in the model, and say that they hold, say it of."""
    asked = {}
    for name, record in edited.records.items():
        if record.edit is None or record.reverted or not record.outcome.success:
            continue
        known = handled(edited, edited.recipe, record) if edited.recipe is not None else ()
        texts = dict.fromkeys((record.edit.example(record.edit.source), *known))
        asked[name] = [one for one in texts if not one.via or _can_map(edited)]
    return asked


def _can_map(edited: State) -> bool:
    learn_maps(edited.tail, None if edited.kept is None else edited.kept.parallel)
    return getattr(edited.tail, "maps", None) is not None


def _right(edited: State, asked: Claims) -> Right:
    """Which of these texts are right now."""
    found = iter(edited.tail.right(edited.ask([one for row in asked.values() for one in row]), edited.delta))
    return {name: [next(found) for _ in row] for name, row in asked.items()}


def _lost(before: Right, after: Right) -> set[str]:
    """The edits with a text that was right and is not any more."""
    both = ((name, zip(before[name], row, strict=False)) for name, row in after.items() if name in before)
    return {name for name, pairs in both if any(was and not still for was, still in pairs)}


def _losers(edited: State, delta: Delta, asked: Claims, before: Right) -> set[str]:
    """Cut out every edit that lost a text, until none does; their ids."""
    cut: set[str] = set()
    while more := _lost(before, _right(edited, {name: row for name, row in asked.items() if name not in cut})):
        delta.drop(more)
        cut |= more
    return cut


def _make_again(edited: State, recipe: Recipe, names: set[str]) -> None:
    """Make these edits again, in the order of the history; the others are protected meanwhile."""
    if edited.memory is None and not names:
        return
    memory = memory_of(edited)
    memory.restore(memory.base)
    for name, record in edited.records.items():
        if name not in names:
            remember_one(edited, recipe, record)
    _make(edited, recipe, [name for name in edited.records if name in names])
    remember_again(edited, recipe)


def _make(edited: State, recipe: Recipe, names: Iterable[str]) -> None:
    """Make these edits, whose records are there, once more."""
    if not (names := list(names)):
        return
    watchman = _watchman(edited)
    for name in names:
        edit = edited.records[name].edit
        assert edit is not None  # looked at before
        outcome = Attempt(edited, memory_of(edited), recipe, edit, watchman).run(edited.rules)
        edited.records[name] = EditRecord(edit, outcome)


def _watchman(edited: State) -> Watchman | None:
    """The guard that the edits were made under, if any, from here on.

    Raises:
        InputError: there was one, and the model was loaded without.
    """
    guard = edited.rules.guard
    if guard is None and "guard" in edited.config:
        raise InputError(
            "these edits were made under a guard; give it again before the others can be made again: "
            "edited.rules = dataclasses.replace(edited.rules, guard=…)"
        )
    return None if guard is None else Watchman(guard, edited.tail, edited.delta)


def _no_longer(record: EditRecord, asked: Sequence[Example], after: Sequence[bool], gone: Sequence[str]) -> EditOutcome:
    wrong = [one.lang for one, still in zip(asked, after, strict=True) if not still]
    named = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
    return replace(
        record.outcome,
        success=False,
        source_correct=after[0],
        confidence=None,
        reason=f"no longer right in {', '.join(wrong)} since {named} was reverted",
    )
