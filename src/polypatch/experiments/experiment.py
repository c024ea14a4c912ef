"""Experiment: tables of runs, each run on every seed and order, as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

from polypatch.errors import InputError
from polypatch.experiments.published import Published
from polypatch.runs import BenchSpec, Job, Run

Scale: TypeAlias = Literal["small", "full"]


class Contrast(NamedTuple):
    """A difference in CLG worth an interval: rows by their names, the better first."""

    better: str
    baseline: str


class Headline(NamedTuple):
    """The row that an experiment is about, and the languages that none of its other rows has an edit in."""

    row: Run
    never: tuple[str, ...]


class Materials(NamedTuple):
    """What the caller brings.

    Attributes:
        model: a checkpoint's folder or a hub name; empty where none was named.
        data: ``format:place``; empty where none was named.
    """

    model: str = ""
    data: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table.

    Attributes:
        title: its heading.
        rows: its rows; seed and order are filled in by the experiment.
        published: the paper's table, whose rows are printed above ours.
        contrasts: differences to report with their intervals.
    """

    title: str
    rows: tuple[Run, ...]
    published: Published | None = None
    contrasts: tuple[Contrast, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment of the paper, at some scale.

    Attributes:
        name: ``table1``, …
        title: what it shows, in a line.
        notes: what a reader must know to compare it with the paper's.
        spec: model and data; its seed is replaced by each of `seeds`.
        tables: what is run and printed.
        seeds: of the data's sampled sets and of everything random in the edits; on the world, of the world itself.
        orders: each shuffles the stream in its own way; with a `Run.limit`, each takes other edits, too.
        one_stream: all seeds edit the same rows; False where a seed is a world of its own.
        headline: the row whose figures stand by themselves in the results; None for none.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    spec: BenchSpec
    tables: tuple[Table, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    orders: tuple[int, ...] = (0, 1, 2)
    one_stream: bool = True
    headline: Headline | None = None

    def jobs(self) -> list[Job]:
        """Everything to be run, each once, the jobs of one seed together."""
        distinct = dict.fromkeys(job.key for job in self._all())
        by_key = {job.key: job for job in self._all()}
        return [by_key[key] for key in distinct]

    def jobs_of(self, row: Run) -> list[Job]:
        """A row's jobs: over seeds, then orders, then folds."""
        folds = (None,) if row.folds == 1 else range(row.folds)
        return [
            Job(replace(self.spec, seed=seed), replace(row, seed=seed, order=order, fold=fold))
            for seed in self.seeds
            for order in self.orders
            for fold in folds
        ]

    def stream_of(self, job: Job) -> str:
        """A name for the rows that a job edits: equal names, same edits, though in another order."""
        return "the data" if self.one_stream else f"seed {job.spec.seed}"

    def changed(self, **fields: Any) -> Experiment:
        """The same with some fields of every row's `Run` replaced, such as ``limit`` or ``folds``."""
        tables = [replace(table, rows=tuple(replace(row, **fields) for row in table.rows)) for table in self.tables]
        limit = fields.get("limit")
        note = (
            () if limit is None else (f"--limit {limit}: no more edits of a stream than that, whatever is said above.",)
        )
        return replace(self, tables=tuple(tables), notes=(*self.notes, *note))

    def only(self, title: str) -> Experiment:
        """The same with one table alone, by its title, whatever its case; with all of them for the empty title.

        Raises:
            InputError: no table is called so.
        """
        if not title:
            return self
        found = tuple(table for table in self.tables if table.title.casefold() == title.casefold())
        if not found:
            known = ", ".join(repr(table.title) for table in self.tables)
            raise InputError(f"{self.name}: no table is called {title!r}; there are {known}")
        about = self.headline
        return replace(self, tables=found, headline=about if about and about.row in found[0].rows else None)

    def _all(self) -> Iterator[Job]:
        for seed in self.seeds:
            only = replace(self, seeds=(seed,))
            for table in self.tables:
                for row in table.rows:
                    yield from only.jobs_of(row)
