"""Grid: a table of strings under one or two header lines, rendered as Markdown, LaTeX or a rich table."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

from rich.cells import cell_len

from polypatch.rendering.harmless import inline, one_line
from polypatch.rendering.plain_grid import Cell as Cell
from polypatch.rendering.plain_grid import Column as Column
from polypatch.rendering.plain_grid import PlainGrid
from polypatch.rendering.terminal import OnTerminal

TableFormat: TypeAlias = Literal["markdown", "latex"]

_LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
    "\n": " ",
}


@dataclass(frozen=True)
class Grid(PlainGrid):
    """Columns and rows of texts, as Markdown, LaTeX, HTML, or on a terminal."""

    def render(self, how: TableFormat) -> str:
        """Markdown or LaTeX text, ending in a newline."""
        return self.to_markdown() if how == "markdown" else self.to_latex()

    def to_markdown(self) -> str:
        """A pipe table, padded so that it also reads as plain text."""
        header = [inline(column.title) for column in self.columns]
        rows = [[inline(str(cell)) for cell in row] for row in self.rows]
        widths = [max(3, *(cell_len(row[i]) for row in [header, *rows])) for i in range(len(header))]
        rule = ["-" * width if i < self.stubs else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
        lines = [self._padded(header, widths), rule, *(self._padded(row, widths) for row in rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def to_html(self) -> str:
        """A table for a notebook; whatever stands in a cell is shown and not obeyed."""
        head = "".join(f"<th>{_html(column.title)}</th>" for column in self.columns)
        rows = "".join(f"<tr>{''.join(f'<td>{_html(str(cell))}</td>' for cell in row)}</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def to_latex(self) -> str:
        r"""A booktabs tabular; groups become a \multicolumn over a \cmidrule."""
        alignment = "l" * self.stubs + "r" * (len(self.columns) - self.stubs)
        names = " & ".join(_latex(column.name) for column in self.columns)
        body = [" & ".join(map(_latex, row)) + r" \\" for row in self.rows]
        head = [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", *self._latex_groups(), names + r" \\", r"\midrule"]
        return "\n".join([*head, *body, r"\bottomrule", r"\end{tabular}", ""])

    def to_console(self) -> OnTerminal:
        """For rich, at whatever width it is printed."""
        return OnTerminal(self)

    @property
    def _two_lines(self) -> bool:
        return any(column.group for column in self.columns)

    def _padded(self, cells: Sequence[str], widths: Sequence[int]) -> list[str]:
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]
        return [
            cell + gap if i < self.stubs else gap + cell for i, (cell, gap) in enumerate(zip(cells, gaps, strict=True))
        ]

    def _latex_groups(self) -> list[str]:
        if not self._two_lines:
            return []
        cells, rules, start = [], [], 1
        for group, members in groupby(self.columns, key=lambda column: column.group):
            span = len(list(members))
            cells.append(rf"\multicolumn{{{span}}}{{c}}{{{_latex(group)}}}")
            if group:
                rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
            start += span
        return [" & ".join(cells) + r" \\", "".join(rules)]


def labels(titles: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: int = 0) -> Grid:
    """A grid of texts: all columns but the last `numbers` are labels."""
    columns = tuple(Column("", title) for title in titles)
    return Grid(columns, tuple(map(tuple, rows)), stubs=len(columns) - numbers)


def _html(text: str) -> str:
    return html.escape(one_line(text))


def _latex(cell: Cell) -> str:
    return "".join(_LATEX.get(char, char) for char in str(cell))
