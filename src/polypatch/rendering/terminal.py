"""A grid on a terminal of any width: no number and no label is cut.

In this order: as it is; with headings over several lines; turned on its side; with labels over several lines; as
several tables, each with the labels; as a list of every cell under its heading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from polypatch.rendering.plain_grid import Cell, PlainGrid

GAP = 2
"""Cells between two columns."""

LONGEST_WORD = 24
"""A word longer than this, or a sentence without spaces, may go over several lines."""


class OnTerminal:
    """What rich prints for a grid, at the width of the console it is printed on."""

    def __init__(self, grid: PlainGrid) -> None:
        self.grid = grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        """The tables, a blank line after each."""
        del console
        for table in tables(self.grid, options.max_width):
            yield table
            yield Text()


def tables(grid: PlainGrid, width: int) -> list[Table]:
    """The grid as tables that are at most `width` cells wide."""
    views = [grid, grid.transposed()] if grid.stubs == 1 < len(grid.columns) else [grid]
    for least in (_natural, _headings_wrapped, _all_wrapped):
        for view in views:
            if _total(least(view)) <= width:
                return [_table(view, _grown(least(view), _natural(view), width))]
    found = [parts for view in views if (parts := _split(view, width))]
    if not found:
        return [_listed(grid, width)]
    return [_table(part, _grown(_apart(part, width), _natural(part), width)) for part in min(found, key=_lines)]


def _natural(grid: PlainGrid) -> list[int]:
    """Widths without any wrapping."""
    return [max(map(_width, cells)) for cells in _by_column(grid)]


def _headings_wrapped(grid: PlainGrid) -> list[int]:
    """Widths with every word of a heading on a line of its own."""
    return [
        max(_longest_word(group), _longest_word(name), *map(_width, cells)) for group, name, *cells in _by_column(grid)
    ]


def _all_wrapped(grid: PlainGrid) -> list[int]:
    """The same, and the labels likewise; a number is never broken."""
    wrapped = [max(min(_longest_word(cell), LONGEST_WORD) for cell in cells) for cells in _by_column(grid)]
    return [*wrapped[: grid.stubs], *_headings_wrapped(grid)[grid.stubs :]]


def _apart(grid: PlainGrid, width: int) -> list[int]:
    """Widths in several tables, where a third of the terminal can be the labels'."""
    wrapped, natural = _all_wrapped(grid), _natural(grid)
    labels = [max(least, min(most, width // 3)) for least, most in zip(wrapped, natural, strict=True)]
    return [*labels[: grid.stubs], *wrapped[grid.stubs :]]


def _by_column(grid: PlainGrid) -> Iterator[tuple[Cell, ...]]:
    """Group, name and cells of each column."""
    for i, (group, name) in enumerate(grid.columns):
        yield (group, name, *(row[i] for row in grid.rows))


def _grown(least: Sequence[int], natural: Sequence[int], width: int) -> list[int]:
    """Widths between the two: what is left of the width goes to the narrowest column that wants some, cell by cell."""
    widths = list(least)
    for _ in range(max(0, width - _total(widths))):
        wanting = [i for i, (has, want) in enumerate(zip(widths, natural, strict=True)) if has < want]
        if not wanting:
            break
        widths[min(wanting, key=widths.__getitem__)] += 1
    return widths


def _split(grid: PlainGrid, width: int) -> list[PlainGrid]:
    """The grid as several of its columns each, with the labels in all; nothing where one column is too wide already."""
    least = _apart(grid, width)
    labels, parts, part = list(range(grid.stubs)), [], []  # type: list[int], list[list[int]], list[int]
    for i in range(grid.stubs, len(least)):
        if part and _total(least[k] for k in (*labels, *part, i)) > width:
            parts.append(part)
            part = []
        part.append(i)
    parts.append(part)
    if any(_total(least[k] for k in (*labels, *part)) > width for part in parts):
        return []
    return [grid.of_columns([*labels, *part]) for part in parts]


def _lines(parts: Sequence[PlainGrid]) -> int:
    return sum(len(part.rows) + 3 for part in parts)


def _listed(grid: PlainGrid, width: int) -> Table:
    """Heading and cell, one pair under the other."""
    rows = [(column.title, cell) for row in grid.rows for column, cell in zip(grid.columns, row, strict=True)]
    ends = frozenset(range(len(grid.columns) - 1, len(rows), len(grid.columns)))
    pairs = replace(grid, columns=grid.columns[:0], rows=tuple(rows), stubs=2, breaks=ends)
    left = min(max((_width(row[0]) for row in rows), default=0), width // 2)
    return _table(pairs, [left, max(1, width - left - GAP)])


def _table(grid: PlainGrid, widths: Sequence[int]) -> Table:
    headed = any(column.title for column in grid.columns)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    table.show_header, shown = headed, ""
    grouped = any(column.group for column in grid.columns)
    for i, width in enumerate(widths):
        group, name = grid.columns[i] if headed else ("", "")
        title = f"{'' if group == shown else group}\n{name}" if grouped else name
        table.add_column(Text(title), justify="left" if i < grid.stubs else "right", width=width, overflow="fold")
        shown = group
    for i, row in enumerate(grid.rows):
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row), end_section=i in grid.breaks)
    return table


def _total(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + GAP * (len(found) - 1)


def _width(cell: Cell) -> int:
    return max(map(cell_len, str(cell).split("\n")))


def _longest_word(cell: Cell) -> int:
    return max(map(cell_len, str(cell).split()), default=0)
