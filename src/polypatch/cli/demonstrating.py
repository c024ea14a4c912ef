"""The work behind ``polypatch demo``: one table, the gain, one picture."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from polypatch.cli.console import Bars
from polypatch.cli.results import markdown_list, show_agreement
from polypatch.evaluation import Gain, Report, console_table, gain, markdown_table, save_reports
from polypatch.evaluation.aggregate import with_original
from polypatch.evaluation.figures import clg_figure, save_figure
from polypatch.evaluation.in_words import LEGEND, in_words
from polypatch.evaluation.strict_json import to_json
from polypatch.evaluation.tables import locality_grid
from polypatch.experiments.demo import ROWS, bench
from polypatch.files import write_atomic, writing
from polypatch.recipes import DEFAULT
from polypatch.runs import Encoded, Event, Finished, Job, Processes, execute

MPN, BASELINE = "mpn-all-once", "t-patcher"
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
    """

    rows: Sequence[Report]
    gain: Gain
    folder: Path
    seconds: float
    command: str

    def to_json(self) -> str:
        """The table and the gain."""
        splits = {
            name: {"cells": split.cells, MPN: split.a, BASELINE: split.b, "gain": split.gain}
            for name, split in self.gain.splits.items()
        }
        return to_json({"table": [row.to_row() for row in self.rows], "gain": splits})

    @property
    def table(self) -> list[Report]:
        """The rows without what a clock said: the same digits on every machine."""
        return [replace(row, seconds_per_edit=None) for row in self.rows]

    def write(self) -> None:
        """report.json, report.md, clg.png."""
        with writing(self.folder):
            save_figure(clg_figure(self.rows), self.folder / "clg.png")
            write_atomic(self.folder / "report.md", self._markdown().encode())
            save_reports(self.rows, self.folder / "report.json")

    def show(self, console: Console) -> None:
        """The table, the gain, and the sum of it."""
        console.print(f"[bold]The demo[/]  {_stream(self.rows)}", markup=True)
        console.print(console_table(self.table))
        console.print(f"{LEGEND}\n")
        console.print(f"[bold]What {MPN} gains over {BASELINE}[/]  CLG, by what {MPN} was trained on", markup=True)
        console.print(self.gain.to_console())
        console.print("[bold]Locality[/]  texts that should not change, in every language", markup=True)
        show_agreement([row for row in self.rows if row.recipe != "original"], console)
        console.print(_sentence(self.rows))
        console.print(_clock(self.rows))
        console.print(f"{DEFAULT}: {in_words([row for row in self.rows if row.recipe == DEFAULT])}")
        console.print(f"{self.seconds:.0f} s. {self.folder}: report.md, report.json, clg.png", soft_wrap=True)

    def _markdown(self) -> str:
        parts = ["# The demo: one fix, every language\n", f"```\n{self.command}\n```\n", f"{_sentence(self.rows)}\n"]
        parts += [f"## {_stream(self.rows)}\n", markdown_table(self.table), f"{LEGEND}\n", f"{_clock(self.rows)}\n"]
        parts += [f"## What {MPN} gains over {BASELINE}\n", self.gain.to_markdown(), "![CLG](clg.png)\n"]
        parts += ["## Locality, set by set\n", locality_grid(self.rows).to_markdown(), "## Settings\n"]
        parts += [markdown_list({run.name: str(dict(run.settings)) for run in ROWS})]
        return "\n".join(parts)


def demonstrate(out: Path, seed: int, limit: int | None, jobs: int, bars: Bars, command: str) -> Demonstration:
    """Do the rows and write the files.

    Raises:
        PolypatchError: nothing that is the caller's fault but an unwritable folder.
    """
    started = time.perf_counter()
    runs = [replace(run, seed=seed, limit=limit or run.limit) for run in ROWS]
    # The dearest first: so that the cores are done at the same time.
    order = sorted(range(len(runs)), key=lambda number: _DEAREST.index(runs[number].recipe))

    def show(event: Event | Encoded | Finished) -> None:
        if not isinstance(event, Event):
            return
        if event.job is None:
            bars.opening(event.what, event.done, event.total)
        else:
            bars.update(runs[order[event.job]].name, event.done, event.total, key=event.job)

    grid = [Job(bench(seed), runs[number]) for number in order]
    found = execute(grid, on=Processes(jobs), out=out, on_event=show)
    reports = [found[order.index(number)][0] for number in range(len(runs))]
    by_name = {report.recipe: report for report in reports}
    won = gain(by_name[MPN], by_name[BASELINE])
    done = Demonstration(with_original(reports), won, out, time.perf_counter() - started, command)
    done.write()
    # They are there for a demo that was interrupted; the next one computes everything anew.
    shutil.rmtree(out / "rows", ignore_errors=True)
    return done


def _stream(reports: Sequence[Report]) -> str:
    first = reports[0]
    return f"{first.edits} edits, {first.source_errors} of them wrong in English before"


def _clock(reports: Sequence[Report]) -> str:
    said = [f"{row.recipe} {row.seconds_per_edit:.2g}" for row in reports if row.seconds_per_edit is not None]
    return f"Seconds per edit, on this machine: {', '.join(said)}."


def _sentence(reports: Sequence[Report]) -> str:
    said = [f"{row.recipe} {row.clg_avg:.1f}" for row in reports if row.clg_avg is not None]
    return f"Right in the other languages (CLG, mean, in per cent): {', '.join(said)}."
