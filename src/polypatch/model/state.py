"""State: all that an edited model is; and how it changes, whole or not at all.

Everything in this folder, and what reads and writes folders of edits, takes a `State`. `EditedModel` is one with verbs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch.data.memory import Kept
from polypatch.data.memory_file import MemoryFile
from polypatch.data.source import DataSource
from polypatch.deltas import Delta
from polypatch.editors import Memory
from polypatch.edits import Example, Lang, Text
from polypatch.model.guard import Watchman
from polypatch.model.rules import Rules
from polypatch.outcomes import EditOutcome, EditRecord, TrajectoryPoint
from polypatch.recipes import Recipe
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward, Question, Readout
from polypatch.sites.encoding.fingerprint import model_fingerprint


@dataclass(repr=False)
class State:
    """A model with edits, as data.

    Attributes:
        model: the Hugging Face model, as it was passed in.
        tokenizer: its tokenizer.
        tail: what editing and evaluation compute from.
        delta: what the edits left in the model.
        recipe: how further edits are made; None where a loaded folder names none that this polypatch knows.
        recipe_name: row of the table that made the edits; ``"original"`` before the first.
        sampled_languages: the languages a sampler could draw, the source first.
        records: the history: every edit that was handled, what became of it, and whether it was reverted.
        trajectory: how the model stood every so many edits, where that was asked for.
        config: the hyper-parameters behind the edits, as plain data.
        memory: what later edits of the same stream must leave alone; None until
            `polypatch.model.stream.memory_of` makes it of `kept`.
        kept: the texts of the memory, or the file that they are in; None in a model loaded without.
        data: where the edits came from; None where that is not known.
        rules: how edits are made and judged.
        report: rows of the report that was saved with these edits; None after any change of them.
        measured: the cost, once it was measured, and what it was measured of (`polypatch.model.cost`).
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    tail: FrozenTail | FullForward
    delta: Delta
    recipe: Recipe | None = None
    recipe_name: str = "original"
    sampled_languages: tuple[Lang, ...] = ()
    records: dict[str, EditRecord] = field(default_factory=dict)
    trajectory: list[TrajectoryPoint] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    memory: Memory | None = None
    kept: Kept | MemoryFile | None = field(default=None, repr=False)
    data: DataSource | None = None
    rules: Rules = field(default_factory=Rules)
    report: Sequence[Mapping[str, Any]] | None = None
    measured: Any = field(default=None, init=False, compare=False)

    @property
    def site(self) -> FeedForwardSite:
        """Where the edits are."""
        return self.tail.site

    @property
    def readout(self) -> Readout:
        """What the model is asked."""
        return self.tail.readout

    @property
    def held_out(self) -> Mapping[Lang, Sequence[Text]]:
        """Texts by language that no edit sees, which the cost is measured on; DataError where their file is gone."""
        return {} if self.kept is None else self.kept.read().held_out

    @property
    def outcomes(self) -> dict[str, EditOutcome]:
        """What became of each edit that was not reverted, in stream order."""
        return {name: record.outcome for name, record in self.records.items() if not record.reverted}

    @property
    def patches(self) -> int:
        """Neurons added, or entries of a codebook."""
        return self.delta.patches

    @property
    def fingerprint(self) -> str:
        """Names the unedited weights: a hash over all of them."""
        with self.site.bare():
            return model_fingerprint(self.site)

    def ask(self, examples: Sequence[Example]) -> list[Question]:
        """What must be said for each example to be right; UnknownLabelError where the model cannot say it."""
        texts, answers, via = ([getattr(one, part) for one in examples] for part in ("text", "target", "via"))
        return self.readout.ask(texts, answers, via)


@contextmanager
def transaction(state: State, watchman: Watchman | None = None) -> Iterator[None]:
    """Inside the block the model may be changed; any exception, Ctrl-C included, puts everything back as it was.

    That is the delta, the memory, the history and the settings, and what a guard remembers. Nobody reads meanwhile.
    """
    with state.site.lock.exclusive(), state.site.evaluating():
        before = _snapshot(state, watchman)
        try:
            yield
        except BaseException:
            _restore(state, before, watchman)
            raise


_VALUES = ("recipe", "recipe_name", "rules", "report", "sampled_languages")
"""What is replaced and never changed in place."""


class _Snapshot(NamedTuple):
    """A state as it was."""

    delta: object
    memory: Memory | None
    rows: Any
    records: dict[str, EditRecord]
    trajectory: list[TrajectoryPoint]
    config: dict[str, Any]
    values: dict[str, Any]
    watched: dict[str, Any]


def _snapshot(state: State, watchman: Watchman | None) -> _Snapshot:
    return _Snapshot(
        delta=state.delta.snapshot(),
        memory=state.memory,
        rows=None if state.memory is None else state.memory.photograph(),
        records=dict(state.records),
        trajectory=list(state.trajectory),
        config=dict(state.config),
        values={name: getattr(state, name) for name in _VALUES},
        watched={} if watchman is None else dict(vars(watchman)),
    )


def _restore(state: State, before: _Snapshot, watchman: Watchman | None) -> None:
    """What others may hold (the history, the memory) stays the same object."""
    state.delta.restore(before.delta)
    state.memory = before.memory
    if state.memory is not None:
        state.memory.put_back(before.rows)
    for now, then in ((state.records, before.records), (state.config, before.config)):
        now.clear()
        now.update(then)
    state.trajectory[:] = before.trajectory
    for name, value in before.values.items():
        setattr(state, name, value)
    if watchman is not None:
        vars(watchman).update(before.watched)
