"""Board: the live table of a grid, a bar for the whole and one for each run under way."""

from __future__ import annotations

from collections.abc import Sequence

from polypatch.cli.console import Bars
from polypatch.runs import Encoded, Event, Finished, Job


class Board:
    """Shows the events of a grid.

    Args:
        jobs: the grid.
        bars: where it is shown.
    """

    def __init__(self, jobs: Sequence[Job], bars: Bars) -> None:
        self.jobs, self.bars = jobs, bars
        self.done = self.stored = 0
        self.encodings: list[Encoded] = []

    def show(self, event: Event | Encoded | Finished) -> None:
        """Something moved."""
        if isinstance(event, Encoded):
            self.encodings.append(event)
        elif isinstance(event, Finished):
            self.done += 1
            self.stored += event.stored
            self.bars.drop(event.job)
            self.bars.update("runs", self.done, len(self.jobs), key="runs")
        elif event.job is None:
            self.bars.opening(event.what, event.done, event.total)
        else:
            run = self.jobs[event.job].run
            title = f"  {run.name}, seed {run.seed}, order {run.order}"
            title += "" if run.fold is None else f", fold {run.fold}"
            self.bars.update(title, event.done, event.total, key=event.job)
