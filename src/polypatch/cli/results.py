"""What is printed of a run's results."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from polypatch.cli.shown import shown
from polypatch.evaluation import Report, console_table
from polypatch.evaluation.in_words import in_words, legend
from polypatch.evaluation.tables import agreement_grid, answers_grid
from polypatch.runs.results import RunResults
from polypatch.store.run_folder import results_in


def show_results(results: RunResults, console: Console) -> None:
    """Tables, failures and files, on the terminal."""
    console.print(console_table(results.reports))
    answers = answers_grid(results.reports)
    if answers.rows:
        console.print(answers.to_console())
    console.print(f"{legend(results.reports)}\n")
    show_agreement(results.reports, console)
    made = sum(outcome.triggered for outcome in results.outcomes)
    needed = f": {made} needed a change" if made < len(results.outcomes) else " made"
    line = f"{len(results.outcomes)} edits{needed}, {made - len(results.failed)} took"
    console.print(line + (f", {len(results.failed)} did not:" if results.failed else "."))
    for outcome in results.failed[:3]:
        console.print(f"  {shown(outcome.edit_id)}: {shown(outcome.failure)}")
    if len(results.failed) > 3:
        console.print(f"  … and {len(results.failed) - 3} more")
    console.print(in_words(results.reports))
    if results.folder is not None:
        console.print(f"Written to {results.folder}: {', '.join(results_in(results.folder))}", soft_wrap=True)


def show_agreement(reports: Sequence[Report], console: Console) -> None:
    """How many answers stayed that should stay, in every language: a line per set and recipe."""
    grid = agreement_grid(reports)
    if grid.rows:
        console.print(grid.to_console())
