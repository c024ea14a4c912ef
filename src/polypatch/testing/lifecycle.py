"""The laws that need another run: made again, in two calls, stopped, taken back, taken over from a journal, merged."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor, nn

from polypatch.deltas import PatchBank
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
    _merged(life)
    _reverted(life)
    _resumed(life)


def _reverted(life: Life) -> None:
    last = max(i for i, outcome in enumerate(life.outcomes) if outcome.triggered)
    with life.attached() as edited:
        first = list(life.stream(edited, life.edits[:last]))
        assert edited.memory is not None
        rows = edited.memory.snapshot()
        made = [*first, *life.stream(edited, life.edits[last : last + 1])]
        _equal_run(life, edited, last + 1, "two calls ≡ one", made)
        law = "reverting the last ≡ never made"
        edited.revert(life.edits[last].id)
        _equal_run(life, edited, last, law)
        require(edited.memory.snapshot() == rows, law, "the memory has other rows")
        # And the history goes on from there as if nothing had been.
        list(life.stream(edited, life.edits[last:]))
        _equal_run(life, edited, len(life.edits), law)
        _all_reverted(life, edited)


def _all_reverted(life: Life, edited: EditedModel) -> None:
    law = "reverting all in random order ≡ base"
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
        memos = _stopped(life, edited, middle)
    with life.attached() as edited:
        for record, tensors in memos:
            edited.adopt(record, tensors, None)
        _equal_run(life, edited, middle, law)
        list(life.stream(edited, life.edits[middle:]))
        _equal_run(life, edited, len(life.edits), law)


def _stopped(life: Life, edited: EditedModel, count: int) -> list[Memo]:
    """What a journal keeps of a stream that nobody draws from any further."""
    memos, patches = list[Memo](), 0
    stream = life.stream(edited, life.edits)
    made = []
    for outcome in itertools.islice(stream, count):
        made.append(outcome)
        changed = outcome.status.changed
        memos.append((edited.records[outcome.edit_id], edited.delta.since(patches) if changed else None))
        patches = edited.patches
    del stream
    _equal_run(life, edited, count, "stopping half-way", made)
    return memos


def _merged(life: Life) -> None:
    law = "merged checkpoint ≡ attached patches"
    with life.attached() as edited:
        made = list(life.stream(edited, life.edits))
        _equal_run(life, edited, len(made), "same seed ≡ same tensors", made)
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
    neurons = isinstance(edited.delta, PatchBank) and edited.delta.patches
    fits = takes_neurons if neurons else mergeable
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


def _equal_run(
    life: Life, edited: EditedModel, count: int, law: str, made: Sequence[EditOutcome] | None = None
) -> None:
    """Require the first `count` edits of the undisturbed run, and where outcomes were yielded that they are kept."""
    kept = list(edited.outcomes.values())
    timeless = [[outcome.timeless() for outcome in run] for run in (kept, life.outcomes[:count])]
    require(timeless[0] == timeless[1], law, f"outcomes differ: {timeless[0]} against {timeless[1]}")
    require(made is None or kept == list(made), law, "the model's outcomes are not the ones yielded")
    require(same_tensors(edited.delta.tensors(), life.tensors[count]), law, "the delta's tensors differ")
