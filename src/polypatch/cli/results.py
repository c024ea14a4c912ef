"""What is printed of a run's results."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from polypatch.cli.shown import shown
from polypatch.evaluation import Report, console_table
from polypatch.evaluation.in_words import in_words, legend, made_in_words
from polypatch.evaluation.tables import agreement_grid, answers_grid
from polypatch.runs.results import RunResults
from polypatch.store.run_folder import PAGE, results_in


def show_results(results: RunResults, console: Console) -> None:
    """Tables, failures and files, on the terminal."""
    console.print(console_table(results.reports))
    answers = answers_grid(results.reports)
    if answers.rows:
        console.print(answers.to_console())
    console.print(f"{legend(results.reports)}\n")
    show_agreement(results.reports, console)
    console.print(made_in_words(results.outcomes) + (":" if results.failed else "."))
    for outcome in results.failed[:3]:
        console.print(f"  {shown(outcome.edit_id)}: {shown(outcome.failure)}")
    if len(results.failed) > 3:
        console.print(f"  … and {len(results.failed) - 3} more")
    console.print(in_words(results.reports))
    if results.folder is not None:
        console.print(f"Written to {results.folder}: {', '.join(results_in(results.folder))}", soft_wrap=True)
        console.print(f"To read in a browser: {results.folder / PAGE}", soft_wrap=True)


def show_agreement(reports: Sequence[Report], console: Console) -> None:
    """How many answers stayed that should stay, in every language: a line per set and recipe."""
    grid = agreement_grid(reports)
    if grid.rows:
        console.print(grid.to_console())
