"""The work behind ``polypatch demo``: two tables, the gain, one picture."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from polypatch.cli.console import Bars
from polypatch.cli.folder import writing
from polypatch.cli.results import LEGEND, markdown_list, show_agreement
from polypatch.evaluation import Gain, Report, console_table, gain, markdown_table, save_reports
from polypatch.evaluation.aggregate import with_original
from polypatch.evaluation.figures import clg_figure, save_figure
from polypatch.evaluation.strict_json import to_json
from polypatch.evaluation.tables import locality_grid
from polypatch.experiments.demo import TABLE_1, TABLE_3
from polypatch.files import write_atomic
from polypatch.runs import BenchSpec, Encoded, Event, Finished, Job, Processes, Run, execute

MPN, BASELINE = "mpn-all-once", "t-patcher"


@dataclass(frozen=True)
class Demonstration:
    """What the demo found.

    Attributes:
        table1, table3: the rows, the unedited model's first.
        gain: MPN over Transformer-Patcher, on the same cells.
        folder: where the files are.
        seconds: wall-clock time of everything.
    """

    table1: Sequence[Report]
    table3: Sequence[Report]
    gain: Gain
    folder: Path
    seconds: float
    command: str

    def to_json(self) -> str:
        """Both tables and the gain."""
        tables = {name: [row.to_row() for row in rows] for name, rows in self._tables.items()}
        splits = {
            name: {"cells": split.cells, MPN: split.a, BASELINE: split.b, "gain": split.gain}
            for name, split in self.gain.splits.items()
        }
        return to_json({**tables, "gain": splits})

    @property
    def _tables(self) -> dict[str, Sequence[Report]]:
        return {"table1": self.table1, "table3": self.table3}

    def write(self) -> None:
        """report.json, table3.json, report.md, clg.png."""
        with writing(self.folder):
            save_figure(clg_figure(self.table1), self.folder / "clg.png")
            save_reports(self.table3, self.folder / "table3.json")
            write_atomic(self.folder / "report.md", self._markdown().encode())
            save_reports(self.table1, self.folder / "report.json")

    def show(self, console: Console) -> None:
        """Both tables, the gain, and the sum of it."""
        console.print(f"[bold]Table 1[/]  {_stream(self.table1)}")
        console.print(console_table(self.table1, width=console.width))
        if any(row.edits for row in self.table3):
            console.print(f"[bold]Table 3[/]  {_all_wrong(self.table3)}")
            console.print(console_table(self.table3, width=console.width))
        console.print(f"[bold]What {MPN} gains over {BASELINE}[/]  CLG, by what {MPN} was trained on")
        console.print(self.gain.to_console())
        console.print("[bold]Locality[/]  texts that should not change, in every language")
        show_agreement([row for row in self.table1 if row.recipe != "original"], console)
        console.print(_sentence(self.table1))
        console.print(
            f"{self.seconds:.0f} s. {self.folder}: report.md, report.json, table3.json, clg.png", soft_wrap=True
        )

    def _markdown(self) -> str:
        parts = ["# The demo: one fix, every language\n", f"```\n{self.command}\n```\n", f"{_sentence(self.table1)}\n"]
        parts += [f"## Table 1: {_stream(self.table1)}\n", markdown_table(self.table1), f"{LEGEND}\n"]
        parts += [f"## Table 3: {_all_wrong(self.table3)}\n", markdown_table(self.table3)]
        parts += [f"## What {MPN} gains over {BASELINE}\n", self.gain.to_markdown(), "![CLG](clg.png)\n"]
        parts += ["## Locality, set by set\n", locality_grid(self.table1).to_markdown(), "## Settings\n"]
        parts += [markdown_list({run.name: str(dict(run.settings)) for run in TABLE_1})]
        return "\n".join(parts)


def demonstrate(out: Path, seed: int, limit: int | None, jobs: int, bars: Bars, command: str) -> Demonstration:
    """Run both tables and write the files.

    Raises:
        PolypatchError: nothing that is the caller's fault but an unwritable folder.
    """
    started = time.perf_counter()
    runs = [replace(run, seed=seed, limit=limit or run.limit) for run in (*TABLE_1, *TABLE_3)]

    def show(event: Event | Encoded | Finished) -> None:
        if not isinstance(event, Event):
            return
        if event.job is None:
            bars.opening(event.what, event.done, event.total)
        else:
            bars.update(_title(runs[event.job]), event.done, event.total, key=event.job)

    grid = [Job(BenchSpec(seed=seed), run) for run in runs]
    reports = [report for [report] in execute(grid, on=Processes(jobs), out=out, on_event=show)]
    table1, table3 = reports[: len(TABLE_1)], reports[len(TABLE_1) :]
    by_name = {report.recipe: report for report in table1}
    won = gain(by_name[MPN], by_name[BASELINE])
    seconds = time.perf_counter() - started
    done = Demonstration(with_original(table1), with_original(table3), won, out, seconds, command)
    done.write()
    # They are there for a demo that was interrupted; the next one computes everything anew.
    shutil.rmtree(out / "rows", ignore_errors=True)
    return done


def _title(run: Run) -> str:
    return f"{'table 3' if run.wrong_in_all else 'table 1'}: {run.name}"


def _stream(reports: Sequence[Report]) -> str:
    first = reports[0]
    return f"{first.edits} edits, {first.source_errors} of them wrong in English before"


def _all_wrong(reports: Sequence[Report]) -> str:
    return f"{reports[0].edits} edits that are wrong in every language before"


def _sentence(reports: Sequence[Report]) -> str:
    said = [f"{row.recipe} {row.clg_avg:.1f}" for row in reports if row.clg_avg is not None]
    return f"Right in the other languages (CLG, mean, in per cent): {', '.join(said)}."
