"""What is written of a finished experiment: report.html, report.md, results.json and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polypatch.evaluation import Gain, Matrix, Report, matrix_grid, transfer
from polypatch.evaluation.figures import clg_figure, save_figure, trajectory_figure
from polypatch.evaluation.growth_figure import growth_figure
from polypatch.evaluation.in_words import LEGEND, in_words
from polypatch.evaluation.page.document import Block, CodeShown, Page, Paragraphs, Section, TableShown
from polypatch.evaluation.page.pictures import clg_picture, locality_picture
from polypatch.evaluation.pareto_figure import FAR, pareto_figure
from polypatch.evaluation.strict_json import to_json
from polypatch.evaluation.transfer_figure import transfer_figure
from polypatch.experiments.experiment import Table
from polypatch.experiments.reproduction import Reproduction
from polypatch.experiments.summary import differences, summary
from polypatch.files import write_atomic, writing
from polypatch.rendering.grid import Grid
from polypatch.store.run_folder import PAGE

MARKDOWN, RESULTS = "report.md", "results.json"
CAPTION = "CLG of one recipe over another's, in points, with 95 % intervals"
PATTERN = "What is added to Transformer-Patcher"

TOGETHER = "Every table's comparisons"

MANY = 4
"""Tables whose comparisons are shown together as well, before the first."""


@dataclass(frozen=True)
class Reproduced:
    """A finished experiment.

    Attributes:
        found: its numbers.
        folder: where its files go.
        command: as it was typed.
        spent: what it took, in words.
    """

    found: Reproduction
    folder: Path
    command: str
    spent: Sequence[str]

    def write(self) -> None:
        """report.html, report.md, results.json and the pictures."""
        with writing(self.folder):
            for number, table in enumerate(self.found.experiment.tables, start=1):
                self._draw(number, table)
            write_atomic(self.folder / PAGE, self.to_page().to_bytes())
            write_atomic(self.folder / MARKDOWN, "\n".join(self._markdown()).encode())
            write_atomic(self.folder / RESULTS, (to_json(self.found.plain()) + "\n").encode())

    def to_page(self) -> Page:
        """The tables, and CLG and locality as pictures, for a browser."""
        experiment = self.found.experiment
        made: list[Block] = [CodeShown(self.command), Paragraphs([*experiment.notes, self.runs, *self.spent, LEGEND])]
        return Page(
            f"{experiment.name}: {experiment.title}",
            [line for table in experiment.tables for line in best(self.found.rows(table)).splitlines()],
            [*self._together(), *map(self._section, range(len(experiment.tables))), Section("How it was made", made)],
        )

    def _together(self) -> Iterator[Section]:
        """The comparisons of all tables in one, where there are many tables."""
        gains = self._all_gains()
        if gains:
            yield Section(TOGETHER, [TableShown(CAPTION, differences(gains))])

    def _all_gains(self) -> list[Gain]:
        tables = self.found.experiment.tables
        return [won for table in tables for won in self.found.gains(table)] if len(tables) >= MANY else []

    def _section(self, number: int) -> Section:
        """A table of the experiment, with all that is told of it."""
        table = self.found.experiment.tables[number]
        reports = self.found.rows(table)
        clg, locality = clg_picture(reports, f"clg-{number}"), locality_picture(reports, f"locality-{number}", far=FAR)
        grids = [TableShown(caption, grid) for caption, grid in self._grids(table) if grid.rows]
        return Section(table.title, [*grids[:1], *clg, *locality, *grids[1:], Paragraphs(about(table))])

    def _grids(self, table: Table) -> Iterator[tuple[str, Grid]]:
        """Every grid of a table with its caption."""
        gains = self.found.gains(table)
        yield "What each recipe reached and cost", summary(self.found.rows(table))
        yield CAPTION, differences(gains)
        yield "Every measure, each under the paper's where it has one", self.found.compared(table)
        yield PATTERN, self.found.pattern(table)
        for won in gains:
            yield f"{won.recipe_a} over {won.recipe_b}, on the same cells", won.to_grid()
        yield from matrix_grids(self.found.matrices(table))
        yield "Answers as before, by language", self.found.agreement(table)

    def _markdown(self) -> Iterator[str]:
        experiment = self.found.experiment
        yield f"# {experiment.name}: {experiment.title}\n\n```\n{self.command}\n```\n"
        yield "".join(f"* {line}\n" for line in (*experiment.notes, self.runs, *self.spent))
        together = self._all_gains()
        if together:
            yield f"## {TOGETHER}\n\n{differences(together).to_markdown()}"
        for number, table in enumerate(experiment.tables, start=1):
            gains = self.found.gains(table)
            yield f"## {table.title}\n\n{summary(self.found.rows(table)).to_markdown()}"
            yield f"{differences(gains).to_markdown()}"
            yield f"{self.found.compared(table).to_markdown()}"
            yield "".join(f"* {line}\n" for line in about(table))
            pattern = self.found.pattern(table)
            if pattern.rows:
                yield f"{PATTERN}:\n\n{pattern.to_markdown()}"
            for won in gains:
                yield f"{won.recipe_a} over {won.recipe_b}, on the same cells:\n\n{won.to_markdown()}"
            for name, grid in matrix_grids(self.found.matrices(table)):
                yield f"{name}\n\n{grid.to_markdown()}"
            yield self.found.agreement(table).to_markdown()
            yield f"![CLG]({number}-clg.png)\n\n![CLG against locality]({number}-locality.png)\n"
            if _lengths(table):
                yield f"![By the number of edits]({number}-growth.png)\n"

    @property
    def runs(self) -> str:
        """What the figures are means of, in words."""
        experiment = self.found.experiment
        counts = ((len(experiment.seeds), "seed"), (len(experiment.orders), "order"))
        grid = " × ".join(f"{n} {what}{'s' * (n > 1)}" for n, what in counts)
        return f"mean ± standard deviation over {grid}" if max(counts)[0] > 1 else f"{grid}"

    def _draw(self, number: int, table: Table) -> None:
        reports: Sequence[Report] = self.found.rows(table)
        if _lengths(table):
            save_figure(growth_figure(reports), self.folder / f"{number}-growth.png")
        save_figure(clg_figure(reports), self.folder / f"{number}-clg.png")
        if any(report.locality for report in reports):
            save_figure(pareto_figure(reports), self.folder / f"{number}-locality.png")
        if any(report.trajectory for report in reports):
            save_figure(trajectory_figure(reports), self.folder / f"{number}-trajectory.png")
        drawn = [report for report in reports if report.recipe == "mpn-only-once" and report.cells is not None]
        if any((report.cells.trained & ~report.cells.source).any() for report in drawn if report.cells):
            save_figure(transfer_figure(transfer(drawn)), self.folder / f"{number}-transfer.png")


def best(reports: Sequence[Report]) -> str:
    """In words: the row that reaches most translations, its seeds and orders added up."""
    measured = [report for report in reports if report.clg_avg is not None]
    if not measured:
        return ""
    name = max(measured, key=lambda report: report.clg_avg or 0.0).recipe
    return f"{name}: {in_words([report for report in reports if report.recipe == name])}\n"


def matrix_grids(matrices: Mapping[str, Matrix]) -> Iterator[tuple[str, Grid]]:
    """Every matrix with its heading, the unedited model's first."""
    for number, (name, found) in enumerate(matrices.items()):
        if not number:
            yield "Source × target, the unedited model:", matrix_grid(found, original=True)
        yield f"Source × target, {name}:", matrix_grid(found)


def _lengths(table: Table) -> bool:
    """Whether its rows are of streams of several lengths."""
    return len({row.limit for row in table.rows}) > 1


def about(table: Table) -> list[str]:
    """The paper's table in words, and its slips."""
    if table.published is None:
        return []
    printed = table.published
    slips = [f"† {recipe}, {metric}: {what}" for (recipe, metric), what in printed.slips.items()]
    return [f"{printed.name}: {line}" for line in printed.about] + slips
