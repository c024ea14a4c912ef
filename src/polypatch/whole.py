"""A change of an edited model is made whole or not at all, and by one thread at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from polypatch.deltas import Delta
from polypatch.editors import Memory
from polypatch.guard import Watchman
from polypatch.outcomes import EditRecord, TrajectoryPoint
from polypatch.sites import Tail

_NAMES = ("recipe", "recipe_name", "rules", "guard", "report", "sampled_languages")


class Changeable(Protocol):
    """What can change in an edited model."""

    delta: Delta
    memory: Memory | None
    records: dict[str, EditRecord]
    trajectory: list[TrajectoryPoint]
    config: dict[str, Any]

    @property
    def tail(self) -> Tail:
        """The model behind the FFN input."""
        ...


@contextmanager
def whole(edited: Changeable, watchman: Watchman | None = None) -> Iterator[None]:
    """Inside the block the model may be changed; any exception, Ctrl-C included, puts everything back as it was.

    That is the delta, the memory, the history and the settings, and what a guard remembers. Nobody reads meanwhile.
    """
    site = edited.tail.site
    with site.lock.exclusive(), site.evaluating():
        before = _Photograph(edited, watchman)
        try:
            yield
        except BaseException:
            before.put_back()
            raise


class _Photograph:
    """An edited model as it is."""

    def __init__(self, edited: Changeable, watchman: Watchman | None) -> None:
        self.edited, self.watchman = edited, watchman
        self.delta = edited.delta.snapshot()
        self.memory = edited.memory, None if edited.memory is None else edited.memory.photograph()
        self.records, self.trajectory, self.config = dict(edited.records), list(edited.trajectory), dict(edited.config)
        self.named = {name: getattr(edited, name) for name in _NAMES}
        self.agreed = {} if watchman is None else dict(vars(watchman))

    def put_back(self) -> None:
        """Make the model so again. What others may hold (the history, the memory) stays the same object."""
        edited = self.edited
        edited.delta.restore(self.delta)
        edited.memory, photograph = self.memory
        if edited.memory is not None and photograph is not None:
            edited.memory.put_back(photograph)
        edited.records.clear()
        edited.records.update(self.records)
        edited.config.clear()
        edited.config.update(self.config)
        edited.trajectory[:] = self.trajectory
        for name, value in self.named.items():
            setattr(edited, name, value)
        if self.watchman is not None:
            vars(self.watchman).update(self.agreed)
