"""The laws of an edit's later life: taken back, taken over from a journal, merged into a checkpoint."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor, nn

from polypatch.edited_model import EditedModel
from polypatch.edits import Edit
from polypatch.errors import InputError
from polypatch.outcomes import EditOutcome, EditRecord, Status
from polypatch.sites.merge import mergeable, takes_neurons
from polypatch.testing.bits import AMPLIFIED, close, require, same_bits, same_tensors

Memo = tuple[EditRecord, dict[str, Tensor] | None]
"""One edit as a journal keeps it."""


@dataclass(frozen=True)
class Life:
    """What these laws need to know of a case.

    Attributes:
        edits: the stream.
        attached: a fresh edited model, taken off again on the way out.
        stream: applies edits.
        logits: of a model, through nothing of polypatch's.
        base: those of the unedited model.
        tensors: of the delta after 0, 1, 2, … edits in an undisturbed run.
        outcomes: of that run.
        seed: of the order in which edits are reverted.
    """

    edits: Sequence[Edit]
    attached: Callable[[], AbstractContextManager[EditedModel]]
    stream: Callable[[EditedModel, Sequence[Edit]], Iterator[EditOutcome]]
    logits: Callable[[nn.Module], Tensor]
    base: Tensor
    tensors: Sequence[Mapping[str, Tensor]]
    outcomes: Sequence[EditOutcome]
    seed: int


def check_lifecycle(life: Life) -> None:
    """Hold a case to the laws of this file; AssertionError names the one that is broken."""
    _last_reverted(life)
    _all_reverted(life)
    _resumed(life)
    _merged(life)


def _last_reverted(life: Life) -> None:
    law = "reverting the last ≡ never made"
    last = max(i for i, outcome in enumerate(life.outcomes) if outcome.triggered)
    with life.attached() as edited:
        list(life.stream(edited, life.edits[:last]))
        assert edited.memory is not None
        rows = edited.memory.snapshot()
        _one_more(life, edited, last)
        edited.revert(life.edits[last].id)
        require(same_tensors(edited.delta.tensors(), life.tensors[last]), law, "the delta's tensors differ")
        require(edited.memory.snapshot() == rows, law, "the memory has other rows")
        _equal_outcomes(edited, life.outcomes[:last], law)
        # And the history goes on from there as if nothing had been.
        list(life.stream(edited, life.edits[last:]))
        require(same_tensors(edited.delta.tensors(), life.tensors[-1]), law, "edits made afterwards differ")
        _equal_outcomes(edited, life.outcomes, law)


def _one_more(life: Life, edited: EditedModel, place: int) -> None:
    list(life.stream(edited, life.edits[place : place + 1]))
    law = "same seed ≡ same tensors"
    require(same_tensors(edited.delta.tensors(), life.tensors[place + 1]), law, "the delta's tensors differ")


def _all_reverted(life: Life) -> None:
    law = "reverting all in random order ≡ base"
    with life.attached() as edited:
        list(life.stream(edited, life.edits))
        names = [edit.id for edit in life.edits]
        random.Random(life.seed).shuffle(names)
        for name in names:
            edited.revert(name)
            require(name not in edited.outcomes, law, f"{name} is still among the outcomes")
        require(same_tensors(edited.delta.tensors(), life.tensors[0]), law, "something is left in the delta")
        require(same_bits(life.logits(edited.model), life.base), law, "logits differ from the unedited model's")
        statuses = {record.status for record in edited.records.values()}
        require(statuses == {Status.REVERTED}, law, f"the history says {statuses}")


def _resumed(life: Life) -> None:
    law = "interrupted and resumed ≡ uninterrupted"
    middle = len(life.edits) // 2
    with life.attached() as edited:
        memos = _journalled(life, edited, middle)
    with life.attached() as edited:
        for record, tensors in memos:
            edited.adopt(record, tensors, None)
        require(same_tensors(edited.delta.tensors(), life.tensors[middle]), law, "what was taken over differs")
        list(life.stream(edited, life.edits[middle:]))
        require(same_tensors(edited.delta.tensors(), life.tensors[-1]), law, "the delta's tensors differ")
        _equal_outcomes(edited, life.outcomes, law)


def _journalled(life: Life, edited: EditedModel, count: int) -> list[Memo]:
    memos: list[Memo] = []
    patches = 0
    for outcome in life.stream(edited, life.edits[:count]):
        changed = outcome.status.changed
        memos.append((edited.records[outcome.edit_id], edited.delta.since(patches) if changed else None))
        patches = edited.patches
    return memos


def _merged(life: Life) -> None:
    law = "merged checkpoint ≡ attached patches"
    with life.attached() as edited:
        list(life.stream(edited, life.edits))
        logits = life.logits(edited.model)
        if not _takes_merging(edited):
            _refuses_to_merge(life, edited, logits, law)
            return
        merged = edited.merge_and_unload()
        require(type(merged) is type(edited.model), law, f"the merged model is a {type(merged).__name__}")
        close(life.logits(merged), logits, law, "the merged model", AMPLIFIED)
        require(same_bits(life.logits(edited.model), life.base), law, "merging changed the model that was edited")


def _takes_merging(edited: EditedModel) -> bool:
    """Whether a stock model of this kind can hold this delta."""
    fits = takes_neurons if edited.delta.patches else mergeable
    return edited.delta.mergeable and (fits(edited.site) or bool(edited.delta.overrides))


def _refuses_to_merge(life: Life, edited: EditedModel, logits: Tensor, law: str) -> None:
    for what in ("merge_cost", "merge_and_unload"):
        try:
            found = getattr(edited, what)
            made = found() if callable(found) else found
        except InputError:
            continue
        require(False, law, f"the delta is not mergeable, yet {what} gives a {type(made).__name__}")
    require(same_bits(life.logits(edited.model), logits), law, "being asked to merge changed the model")


def _equal_outcomes(edited: EditedModel, wanted: Sequence[EditOutcome], law: str) -> None:
    got = [outcome.timeless() for outcome in edited.outcomes.values()]
    require(got == [outcome.timeless() for outcome in wanted], law, f"outcomes differ: {got} against {list(wanted)}")
