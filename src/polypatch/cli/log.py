"""``polypatch log``: what was edited, when, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text as Shown

from polypatch.cli.console import as_json, say, stdout
from polypatch.cli.options import Json
from polypatch.cli.shown import shown
from polypatch.errors import InputError
from polypatch.outcomes import EditRecord, Status

if TYPE_CHECKING:
    from polypatch.store.history import HistoryLine

EXAMPLES = """[bold]Examples[/]

polypatch log runs/first

polypatch log runs/first --status failed --status taken-back --trained-on de

polypatch log my-edits --id 'fever-*' --since 2026-05-01 --limit 20 --json
"""


STYLES = {
    Status.TAKEN: "green",
    Status.FAILED: "red",
    Status.TAKEN_BACK: "yellow",
    Status.NOT_NEEDED: "dim",
    Status.REVERTED: "dim",
}
COLUMNS = ("Time, UTC", "Fold", "Edit", "Status", "Trained on", "Patches", "Steps", "Seconds", "Locality drop")
NUMBERS = ("Fold", "Patches", "Steps", "Seconds", "Locality drop")
MAYBE = ("Fold", "Locality drop")


def log(
    run: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status", metavar="STATUS", help="taken, failed, taken-back, not-needed or reverted; repeat for more."
        ),
    ] = None,
    trained_on: Annotated[str | None, typer.Option(metavar="L", help="Only edits trained on this language.")] = None,
    edit_id: Annotated[str | None, typer.Option("--id", metavar="GLOB", help="Only ids like this: 'fever-*'.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only what happened since: 2026-05-01, or with a time, in UTC.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the last so many.")] = None,
    json: Json = False,
) -> None:
    """The history: every edit that was handled, in order, with what was asked for and what it cost.

    While polypatch edit is at work, or after it was killed, the history is that
    of its journal. Does not need the model.
    """
    from polypatch.store.history import HistoryFilter, history, moment

    statuses = [_status(typed) for typed in status or ()]
    wanted = HistoryFilter(statuses, trained_on, edit_id, None if since is None else moment(since), limit)
    lines = wanted.choose(history(run))
    if json:
        say(as_json([line.plain() for line in lines]))
    elif lines:
        _show(lines, stdout())
    else:
        say(f"{run}: no such edits")


def _status(typed: str) -> Status:
    for status in Status:
        if typed.lower().replace("-", " ").replace("_", " ") == status:
            return status
    known = ", ".join(one.replace(" ", "-") for one in Status)
    raise InputError(f"--status {typed}: there are {known}")


def _show(lines: Sequence[HistoryLine], console: Console) -> None:
    """For people: a row an edit, and below it what was asked for and why it failed."""
    rows = [_cells(line) for line in lines]
    # Columns that say nothing are left out: the fold of one, the cost that nobody watched.
    there = [i for i, name in enumerate(COLUMNS) if name not in MAYBE or any(row[i].plain for row in rows)]
    widths = {i: max(cell_len(one) for one in (COLUMNS[i], *(row[i].plain for row in rows))) for i in there}
    narrow = sum(widths.values()) + 2 * (len(there) - 1) > console.width
    if narrow:  # then the languages stand with the text
        there.remove(COLUMNS.index("Trained on"))

    def padded(cells: Sequence[Shown]) -> Shown:
        line = Shown()
        for i in there:
            gap = " " * (widths[i] - cell_len(cells[i].plain))
            line += Shown(gap) + cells[i] if COLUMNS[i] in NUMBERS else cells[i] + Shown(gap)
            line.append("  ")
        line.rstrip()
        return line

    head = padded([Shown(name) for name in COLUMNS])
    head.stylize("bold")
    console.print(head, soft_wrap=True)
    for row, line in zip(rows, lines, strict=True):
        console.print(padded(row), soft_wrap=True)
        for text in _below(line.record, narrow):
            console.print(Shown("    ") + text, soft_wrap=True)


def _cells(line: HistoryLine) -> list[Shown]:
    record, outcome = line.record, line.record.outcome
    return [
        Shown(line.time[:16].replace("T", " ") or "–"),
        Shown("" if line.fold is None else str(line.fold)),
        Shown(shown(outcome.edit_id, 40), "bold"),
        Shown(record.status, STYLES[record.status]),
        Shown(", ".join(outcome.languages) or "–"),
        *(Shown(cell) for cell in (str(outcome.patches), str(outcome.steps), f"{outcome.seconds:.2f}")),
        Shown("" if outcome.locality_drop is None else f"{outcome.locality_drop:.2f}"),
    ]


def _below(record: EditRecord, narrow: bool) -> list[Shown]:
    edit, lines = record.edit, []
    if narrow and record.outcome.languages:
        lines.append(Shown(f"trained on {', '.join(record.outcome.languages)}"))
    if edit is not None:
        lines.append(Shown(f"{shown(edit.prompt[edit.source], 120)} → {shown(edit.target_in(edit.source), 60)}"))
    if record.outcome.reason:
        lines.append(Shown(shown(record.outcome.failure), "dim"))
    return lines
