"""PlainGrid: columns and rows of texts, however they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, Self, TypeAlias

from rich.text import Text

Cell: TypeAlias = str | Text
"""A text may carry colours for the terminal."""


class Column(NamedTuple):
    """A column's two header lines; neighbours with one group share it, as in the paper's ``CLG``."""

    group: str
    name: str

    @property
    def title(self) -> str:
        """Both in one line."""
        return f"{self.group} {self.name}".strip()


@dataclass(frozen=True)
class PlainGrid:
    """Columns and rows of texts.

    Attributes:
        columns: the header.
        rows: as many cells each as there are columns.
        stubs: leading columns that hold labels rather than numbers: left-aligned, and on a terminal over several lines
            where there is no room.
        breaks: indices of rows after which a rule is drawn on the console.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    stubs: int = 1
    breaks: frozenset[int] = frozenset()

    def transposed(self) -> Self:
        """On its side: metrics run down, and the rows' names across."""
        titles = [column.title for column in self.columns[1:]]
        columns = (
            Column("", self.columns[0].title),
            *(Column("", str(row[0]).replace(" (", "\n(", 1)) for row in self.rows),
        )
        rows = tuple((title, *(row[i] for row in self.rows)) for i, title in enumerate(titles, start=1))
        groups = [column.group for column in self.columns[1:]]
        breaks = frozenset(i for i, (here, after) in enumerate(pairwise(groups)) if here != after)
        return replace(self, columns=columns, rows=rows, stubs=1, breaks=breaks)

    def of_columns(self, picked: Sequence[int]) -> Self:
        """Of these columns alone; the first are still the labels."""
        rows = tuple(tuple(row[i] for i in picked) for row in self.rows)
        return replace(self, columns=tuple(self.columns[i] for i in picked), rows=rows)
