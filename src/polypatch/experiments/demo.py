"""The demo's rows: those of Table 1 on the embedded world, one seed, one draw per edit; and the default.

They are computed in double precision, and by `polypatch demo` with kernels that every processor has: so their table has
the same digits everywhere.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polypatch.evaluation import Gain, Report, gain, markdown_table, save_reports
from polypatch.evaluation.aggregate import with_original
from polypatch.evaluation.figures import clg_figure, save_figure
from polypatch.evaluation.in_words import LEGEND, in_words, legend
from polypatch.evaluation.page.document import Block, CodeShown, Facts, Page, Paragraphs, Section, TableShown
from polypatch.evaluation.page.meanings import measures_table
from polypatch.evaluation.page.pictures import clg_picture, locality_picture
from polypatch.evaluation.pareto_figure import FAR
from polypatch.evaluation.tables import locality_grid
from polypatch.experiments.compare import compare
from polypatch.experiments.demo_speaking import NAME as SPEAKING
from polypatch.experiments.demo_speaking import InLanguage, SpeakingPart, speaking
from polypatch.experiments.experiment import Experiment, Materials
from polypatch.experiments.rows import MPN
from polypatch.experiments.table1 import table1
from polypatch.files import write_atomic, writing
from polypatch.recipes import DEFAULT
from polypatch.rendering.grid import Column, Grid
from polypatch.rendering.harmless import markdown_list
from polypatch.runs import BenchSpec, Encoded, Event, Finished, Job, Processes, Run, execute
from polypatch.store.run_folder import PAGE

LIMIT = 200
"""Edits of each row: what two cores do in a minute."""


def _rows(experiment: Experiment) -> tuple[Run, ...]:
    return tuple(row for row in experiment.tables[0].rows if row.recipe not in MPN)


_OURS = next(row for row in _rows(compare("small", Materials())) if row.name == DEFAULT)
"""Its memory is unlabelled text in all languages; the paper's rows have English memory."""

ROWS = tuple(
    replace(row, order=0, trajectory_every=0, limit=LIMIT) for row in (*_rows(table1("small", Materials())), _OURS)
)
"""The paper's rows and ours."""


def bench(seed: int) -> BenchSpec:
    """The world of `seed`, in double precision."""
    return BenchSpec(seed=seed, double=True)


SPEAKING_JOB = len(ROWS)
"""The part on the world that speaks comes after the rows."""

COMPARED, BASELINE = "mpn-all-once", "t-patcher"
_DEAREST = ("mpn-all-once", "mpn-only-once", "t-patcher", "fine-tuning", "polypatch")


@dataclass(frozen=True)
class Demonstration:
    """What the demo found.

    Attributes:
        rows: the table, the unedited model's row first.
        gain: MPN over Transformer-Patcher, on the same cells.
        folder: where the files are.
        seconds: wall-clock time of everything.
        command: as it was typed.
        spoken: of the world that speaks.
    """

    rows: Sequence[Report]
    gain: Gain
    folder: Path
    seconds: float
    command: str
    spoken: SpeakingPart | None = None

    def plain(self) -> dict[str, Any]:
        """The table and the gain, as plain data."""
        splits = {
            name: {"cells": split.cells, COMPARED: split.a, BASELINE: split.b, "gain": split.gain}
            for name, split in self.gain.splits.items()
        }
        spoken = [] if self.spoken is None else [row.to_row() for row in self.spoken.reports]
        return {"table": [row.to_row() for row in self.rows], "gain": splits, "the world that speaks": spoken}

    @property
    def table(self) -> list[Report]:
        """The rows without what a clock said: the same digits on every machine."""
        return [replace(row, seconds_per_edit=None) for row in self.rows]

    def write(self) -> None:
        """report.html, report.json, report.md, clg.png."""
        with writing(self.folder):
            save_figure(clg_figure(self.rows), self.folder / "clg.png")
            write_atomic(self.folder / PAGE, self.to_page().to_bytes())
            write_atomic(self.folder / "report.md", self._markdown().encode())
            save_reports(self.rows, self.folder / "report.json")

    def to_page(self) -> Page:
        """The tables, and CLG and locality as pictures, for a browser."""
        first: list[Block] = [measures_table(stream_in_words(self.rows), self.table), *clg_picture(self.rows, "clg")]
        won = TableShown(f"What {COMPARED} gains over {BASELINE}", self.gain.to_grid())
        said = Paragraphs([LEGEND, seconds_in_words(self.rows)])
        kept = TableShown("Locality, set by set", locality_grid(self.rows))
        default = in_words([row for row in self.rows if row.recipe == DEFAULT])
        made: list[Block] = [CodeShown(self.command), Facts({run.name: str(dict(run.settings)) for run in ROWS})]
        return Page(
            "The demo: one fix, every language",
            [clg_in_words(self.rows), *(f"{DEFAULT}: {line}" for line in default.splitlines())],
            [
                Section("Measures", [*first, *locality_picture(self.rows, far=FAR), won, said]),
                Section("Locality", [kept]),
                Section("The world that speaks", [] if self.spoken is None else _speaking_blocks(self.spoken)),
                Section("How it was made", made),
            ],
        )

    def _markdown(self) -> str:
        parts = ["# The demo: one fix, every language\n", f"```\n{self.command}\n```\n", f"{clg_in_words(self.rows)}\n"]
        parts += [
            f"## {stream_in_words(self.rows)}\n",
            markdown_table(self.table),
            f"{LEGEND}\n",
            f"{seconds_in_words(self.rows)}\n",
        ]
        parts += [f"## What {COMPARED} gains over {BASELINE}\n", self.gain.to_markdown(), "![CLG](clg.png)\n"]
        parts += ["## Locality, set by set\n", locality_grid(self.rows).to_markdown()]
        if self.spoken is not None:
            parts += ["## The world that speaks\n", example_grid(self.spoken.example).to_markdown()]
            parts += [markdown_table(self.spoken.reports), f"{legend(self.spoken.reports)}\n"]
        parts += ["## Settings\n"]
        parts += [markdown_list({run.name: str(dict(run.settings)) for run in ROWS})]
        return "\n".join(parts)


def _speaking_blocks(spoken: SpeakingPart) -> list[Block]:
    asked = TableShown("One wrong fact, corrected: what the model answers", example_grid(spoken.example))
    return [asked, measures_table("All facts", spoken.reports), Paragraphs([legend(spoken.reports)])]


def demonstrate(
    out: Path, seed: int, limit: int | None, jobs: int, command: str, on_event: Callable[[str, Any], None]
) -> Demonstration:
    """Do the rows and write the files.

    Args:
        out: where.
        seed: of the world and the edits.
        limit: only so many edits of each row.
        jobs: rows computed side by side.
        command: as it was typed.
        on_event: told of every row that moves, as (its name, the event).

    Raises:
        PolypatchError: nothing that is the caller's fault but an unwritable folder.
    """
    started = time.perf_counter()
    runs = [replace(run, seed=seed, limit=limit or run.limit) for run in ROWS]
    # The dearest first: so that the cores are done at the same time.
    order = sorted(range(len(runs)), key=lambda number: _DEAREST.index(runs[number].recipe))

    def tell(event: Event | Encoded | Finished) -> None:
        if isinstance(event, Event):
            on_event("" if event.job is None else runs[order[event.job]].name, event)

    grid = [Job(bench(seed), runs[number]) for number in order]
    found = execute(grid, on=Processes(jobs), out=out, on_event=tell)
    reports = [found[order.index(number)][0] for number in range(len(runs))]
    by_name = {report.recipe: report for report in reports}
    won = gain(by_name[COMPARED], by_name[BASELINE])
    spoken = speaking(
        seed, limit, lambda _, done, total: on_event(SPEAKING, Event(SPEAKING_JOB, SPEAKING, done, total))
    )
    done = Demonstration(with_original(reports), won, out, time.perf_counter() - started, command, spoken)
    done.write()
    # They are there for a demo that was interrupted; the next one computes everything anew.
    shutil.rmtree(out / "rows", ignore_errors=True)
    return done


def example_grid(answers: Sequence[InLanguage]) -> Grid:
    """One question in every language: what was said before, what is said now."""
    columns = tuple(Column("", name) for name in ("Language", "Question", "Before", "After"))
    return Grid(columns, tuple((one.lang, f"{one.prompt} …", one.before, one.after) for one in answers), stubs=4)


def stream_in_words(reports: Sequence[Report]) -> str:
    """How many edits, and how many of them were needed."""
    first = reports[0]
    return f"{first.edits} edits, {first.source_errors} of them wrong in English before"


def seconds_in_words(reports: Sequence[Report]) -> str:
    """What an edit took, by recipe."""
    said = [f"{row.recipe} {row.seconds_per_edit:.2g}" for row in reports if row.seconds_per_edit is not None]
    return f"Seconds per edit, on this machine: {', '.join(said)}."


def clg_in_words(reports: Sequence[Report]) -> str:
    """How right the other languages are, by recipe."""
    said = [f"{row.recipe} {row.clg_avg:.1f}" for row in reports if row.clg_avg is not None]
    return f"Right in the other languages (CLG, mean, in per cent): {', '.join(said)}."
