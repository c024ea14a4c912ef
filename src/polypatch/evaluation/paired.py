"""gain(): what one recipe wins over another in CLG, on the same cells, split by what the first was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polypatch.errors import InputError
from polypatch.evaluation.bootstrap import Counts, interval
from polypatch.evaluation.cells import Cells
from polypatch.evaluation.metrics import Correct, Ints, Mask, Percent, share
from polypatch.evaluation.report import Report
from polypatch.rendering.grid import Column, Grid
from polypatch.rendering.terminal import OnTerminal

SPLITS = ("seen", "unseen", "never", "untriggered")


@dataclass(frozen=True, slots=True)
class GainSplit:
    """CLG of both recipes on one set of cells, a micro average.

    Attributes:
        cells: how many (edit, language) cells.
        before: the unedited model, in per cent; None without cells, as the two below.
        a: recipe A.
        b: recipe B.
        won: cells that A gets right and B wrong.
        lost: cells that B gets right and A wrong.
        interval: the central 95 % of the gain over resampled edits (`bootstrap.interval`); None without cells.
    """

    cells: int
    before: Percent
    a: Percent
    b: Percent
    won: int
    lost: int
    interval: tuple[float, float] | None = None

    @property
    def gain(self) -> Percent:
        """CLG(A) - CLG(B) in percentage points = 100 × (won - lost) ÷ cells."""
        return None if self.cells == 0 else 100.0 * (self.won - self.lost) / self.cells


@dataclass(frozen=True)
class Gain:
    """Recipe A against recipe B.

    Attributes:
        recipe_a: name of A, whose sampler defines the splits.
        recipe_b: name of B.
        splits: ``all``; and its parts, as A sees them: ``seen`` and ``unseen`` (A's triggered edits), ``never`` (a
            language that A's sampler may not draw), ``untriggered`` (edits A did not make).
    """

    recipe_a: str
    recipe_b: str
    splits: dict[str, GainSplit]

    def to_grid(self, *, decimals: int = 1) -> Grid:
        """One row per split that has cells."""
        titles = ("CLG cells", "n", "original", self.recipe_b, self.recipe_a, "gain", "95 %", "won", "lost")
        rows = tuple(_row(name, split, decimals) for name, split in self.splits.items() if split.cells)
        return Grid(tuple(Column("", title) for title in titles), rows)

    def to_markdown(self) -> str:
        """The splits as a Markdown table."""
        return self.to_grid().to_markdown()

    def to_console(self) -> OnTerminal:
        """The splits for the terminal."""
        return self.to_grid().to_console()


def gain(
    report_a: Report | Sequence[Report], report_b: Report | Sequence[Report], streams: Sequence[str] | None = None
) -> Gain:
    """CLG of recipe A minus CLG of recipe B on the cells that both were evaluated on.

    The cells are split by *A's* training: the same cells count for both, so that a gain on ``unseen`` or ``never``
    cannot come from a difference in cells. Micro averages, while `Report.clg_never` is a mean over languages.

    Args:
        report_a: of A; or one per seed or order, whose cells are pooled.
        report_b: of B; as many, in the same order.
        streams: a name per report: in reports of one name an edit's id means the same edit, and the bootstrap draws all
            of its cells together. None: each report is of other edits.

    Raises:
        InputError: a report without cells, no cell in common, two different unedited models, or unequal numbers.
    """
    of_a, of_b = ([one] if isinstance(one, Report) else list(one) for one in (report_a, report_b))
    names = [str(i) for i in range(len(of_a))] if streams is None else list(streams)
    if not of_a or not len(of_a) == len(of_b) == len(names):
        raise InputError(
            f"{len(of_a)} reports against {len(of_b)}, of {len(names)} streams: give one of B, and a stream, for each"
        )
    tables = [_paired(a, b, name) for a, b, name in zip(of_a, of_b, names, strict=True)]
    return Gain(of_a[0].recipe, of_b[0].recipe, {name: _split(tables, name) for name in ("all", *SPLITS)})


@dataclass(frozen=True, eq=False)
class _Table:
    """What both recipes made of the cells that they share; E edits, L languages.

    Attributes:
        edits: (E,) which edit a row is, over all streams.
        before, a, b: (E, L) right or wrong.
        parts: (E, L) per split.
    """

    edits: list[tuple[str, str]]
    before: Correct
    a: Correct
    b: Correct
    parts: dict[str, Mask]


def _paired(report_a: Report, report_b: Report, stream: str) -> _Table:
    a, b = _cells(report_a), _cells(report_b)
    rows_a, rows_b = _shared(a.edits, b.edits)
    columns_a, columns_b = _shared(a.languages, b.languages)
    at_a, at_b = np.ix_(rows_a, columns_a), np.ix_(rows_b, columns_b)
    both = a.parallel[at_a] & b.parallel[at_b]
    if not both.any():
        raise InputError(f"{report_a.recipe} and {report_b.recipe} have no (edit, language) cell in common")
    before = a.before[at_a]
    if not np.array_equal(before[both], b.before[at_b][both]):
        raise InputError(f"{report_a.recipe} and {report_b.recipe} were made on different unedited models")
    parts = {"all": both} | {name: both & getattr(a, name)[at_a] for name in SPLITS}
    edits = [(stream, a.edits[row]) for row in rows_a]
    return _Table(edits, before, a.after[at_a], b.after[at_b], parts)


def _cells(report: Report) -> Cells:
    if report.cells is None:
        raise InputError(
            f"the report of {report.recipe} has no cells: they stay in memory; evaluate again, or load_cells what "
            "save_cells wrote and dataclasses.replace(report, cells=...)"
        )
    return report.cells


def _shared(a: Sequence[str], b: Sequence[str]) -> tuple[Ints, Ints]:
    """Where the names that both have stand in `a` and in `b`."""
    place = {name: i for i, name in enumerate(b)}
    pairs = [(i, place[name]) for i, name in enumerate(a) if name in place]
    both = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _row(name: str, split: GainSplit, decimals: int) -> tuple[str, ...]:
    percents = (f"{value:.{decimals}f}" for value in (split.before, split.b, split.a) if value is not None)
    low, high = split.interval or (float("nan"),) * 2
    sure = f"{low:+.{decimals}f} … {high:+.{decimals}f}"
    return name, str(split.cells), *percents, f"{split.gain:+.{decimals}f}", sure, str(split.won), str(split.lost)


def _split(tables: Sequence[_Table], name: str) -> GainSplit:
    """One split over all tables."""
    parts = [np.asarray(table.parts[name], dtype=np.bool_) for table in tables]
    won = [part & (table.a > table.b) for table, part in zip(tables, parts, strict=True)]
    lost = [part & (table.a < table.b) for table, part in zip(tables, parts, strict=True)]
    place = _places([edit for table in tables for edit in table.edits])
    better = np.concatenate([(up.astype(np.int64) - down).sum(axis=1) for up, down in zip(won, lost, strict=True)])
    cells = np.concatenate([part.sum(axis=1) for part in parts])
    return GainSplit(
        cells=sum(int(part.sum()) for part in parts),
        before=_share([table.before for table in tables], parts),
        a=_share([table.a for table in tables], parts),
        b=_share([table.b for table in tables], parts),
        won=sum(int(part.sum()) for part in won),
        lost=sum(int(part.sum()) for part in lost),
        interval=interval(_summed(better, place), _summed(cells, place)),
    )


def _places(edits: Sequence[tuple[str, str]]) -> Ints:
    """Equal edits get equal numbers, from 0."""
    number: dict[tuple[str, str], int] = {}
    return np.asarray([number.setdefault(edit, len(number)) for edit in edits], dtype=np.int64)


def _summed(counts: NDArray[np.int64], place: Ints) -> Counts:
    total = np.zeros(int(place.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(total, place, counts)
    return total


def _share(grids: Sequence[Correct], parts: Sequence[Mask]) -> Percent:
    return share(np.concatenate([grid[part] for grid, part in zip(grids, parts, strict=True)]))
