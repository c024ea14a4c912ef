"""What a run is written down as: report.html, report.md, report.json, cells.json, answers.jsonl."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polypatch._version import __version__
from polypatch.data import EditingData
from polypatch.evaluation import Report, markdown_table, save_cells, save_reports
from polypatch.evaluation.aggregate import with_original
from polypatch.evaluation.figures import save_figure, trajectory_figure
from polypatch.evaluation.in_words import legend
from polypatch.evaluation.page.document import Page
from polypatch.evaluation.page.run_page import RunFacts, run_page
from polypatch.evaluation.prompt_results import save_prompt_results
from polypatch.evaluation.strict_json import to_json
from polypatch.evaluation.tables import answers_grid, locality_grid
from polypatch.files import write_atomic, writing
from polypatch.model.cost import Cost, together
from polypatch.outcomes import EditOutcome
from polypatch.rendering.harmless import fenced, inline, markdown_list
from polypatch.runs.bench_spec import BenchSpec
from polypatch.runs.run import Run
from polypatch.store.run_folder import ANSWERS, CELLS, MARKDOWN, PAGE, REPORT

MOST_FAILED = 50


@dataclass
class RunResults:
    """One table's worth of reports, and what stands around it.

    Attributes:
        reports: one per fold.
        command: as it was typed.
        facts: what was run, for people.
        outcomes: what became of every edit.
        folder: where it was written.
    """

    reports: Sequence[Report]
    command: str
    facts: Mapping[str, str]
    outcomes: Sequence[EditOutcome] = ()
    folder: Path | None = field(default=None)

    @property
    def failed(self) -> list[EditOutcome]:
        """Edits that did not take."""
        return [outcome for outcome in self.outcomes if not outcome.success]

    @property
    def cost(self) -> Cost:
        """What changed elsewhere, over all folds."""
        return together(report.cost for report in self.reports if report.cost is not None)

    def to_json(self) -> str:
        """The rows of report.json: the unedited model first."""
        return to_json([report.to_row() for report in with_original(self.reports)])

    def write(self, folder: Path) -> None:
        """Write all files; the report last, because a folder with a report is whole."""
        with writing(folder):
            for i, report in enumerate(self.reports):
                if report.cells is not None:
                    save_cells(report.cells, folder / self._of_fold(CELLS, i))
                if report.prompts:
                    save_prompt_results(report.prompts, folder / self._of_fold(ANSWERS, i))
            if any(report.trajectory for report in self.reports):
                save_figure(trajectory_figure(self.reports), folder / "trajectory.png")
            write_atomic(folder / PAGE, self.to_page().to_bytes())
            write_atomic(folder / MARKDOWN, self.to_markdown().encode())
            save_reports(with_original(self.reports), folder / REPORT)
        self.folder = folder

    def to_page(self) -> Page:
        """The report for a browser."""
        answers = ANSWERS if len(self.reports) == 1 else ANSWERS.replace(".", "-*.")
        return run_page(self.reports, RunFacts(self.command, self.facts, self.outcomes, answers))

    def _of_fold(self, name: str, fold: int) -> str:
        """A file's name, numbered where there are several folds."""
        return name if len(self.reports) == 1 else name.replace(".", f"-{fold}.")

    def to_markdown(self) -> str:
        """The report for people."""
        parts = [f"# {inline(self.reports[0].recipe)}\n", fenced(self.command), "## Results\n"]
        parts += [markdown_table(self.reports), f"{legend(self.reports)}\n"]
        answers = answers_grid(self.reports)
        if answers.rows:
            parts += ["## Answers, language by language\n", answers.to_markdown()]
        localities = locality_grid(self.reports)
        if localities.rows:
            parts += ["## Locality, set by set\n", localities.to_markdown()]
        parts += [f"Elsewhere: {self.cost}.\n", "## What was run\n", markdown_list(self.facts)]
        if self.failed:
            named = {outcome.edit_id: outcome.failure for outcome in self.failed[:MOST_FAILED]}
            more = len(self.failed) - len(named)
            parts += [f"## Edits that did not take: {len(self.failed)}\n", markdown_list(named)]
            parts += [f"… and {more} more; provenance.jsonl beside the edits has all.\n"] if more else []
        return "\n".join(parts)


def facts_of(run: Run, data: EditingData, spec: BenchSpec, used: int, width: int) -> dict[str, str]:
    """What was run, in words."""
    recipe = run.built().at(width)
    measured = [lang for lang in _languages(data) if lang not in run.languages]
    memory = {lang: len(data.memory.get(lang, ())) for lang in run.memory_languages or data.memory or ()}
    if not run.memory_languages and data.memory:
        source = data.edits[0].source
        memory = {source: len(data.memory.get(source, ()))}
    return {
        "polypatch": __version__,
        "model": spec.model,
        "data": "; ".join([f"{spec.data}: {len(data.edits)} edits, {used} used", *_noted(data)]),
        "edit languages": ", ".join(run.languages),
        "only measured": ", ".join(measured) or "none",
        "memory": ", ".join(f"{lang} {count}" for lang, count in memory.items()) or "none",
        "recipe": run.recipe,
        "editor": described(recipe.editor),
        "sampler": described(recipe.sampler),
        "trigger": recipe.trigger.value,
        "seed": str(run.seed),
        "order": "as in the data" if run.order is None else f"shuffled with seed {run.order}",
        "folds": str(run.folds),
        "retries": str(run.retries),
        "failed edits": "kept" if run.keep_failed else "taken back",
        "only edits wrong in all languages": "yes" if run.wrong_in_all else "no",
    }


def described(part: Any) -> str:
    """``TPatcher(learning_rate=0.01, …)``: a row's part with its settings."""
    own = ", ".join(f"{field.name}={getattr(part, field.name)!r}" for field in dataclasses.fields(part))
    return f"{type(part).__name__}({own})"


def _noted(data: EditingData) -> list[str]:
    """What a reader of the results must know of the data, and how often."""
    return [f"{count} {what}" for what, count in data.notes.items()]


def _languages(data: EditingData) -> list[str]:
    return list(dict.fromkeys(lang for edit in data.edits for lang in edit.languages))
