"""The page of a run: what happened, every sentence, the measures, pictures, what failed, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polypatch.evaluation.in_words import in_words, legend, made_in_words
from polypatch.evaluation.page.document import Block, CodeShown, Facts, Page, Paragraphs, Section, TableShown, cut
from polypatch.evaluation.page.meanings import measures_table
from polypatch.evaluation.page.pictures import locality_picture, trajectory_pictures
from polypatch.evaluation.page.prompt_block import languages_table, prompts_block
from polypatch.evaluation.report import Report
from polypatch.evaluation.strict_json import to_json
from polypatch.evaluation.tables import answers_grid, locality_grid
from polypatch.model.cost import Cost, together
from polypatch.outcomes import EditOutcome
from polypatch.rendering.grid import Column, Grid, labels

MARKS = "Source: the language that the edit was made in. Trained: the editor was trained on this sentence, too."
ALIASES = (
    "Right is an answer that is the wanted one or another name of it, but for case, widths, punctuation and articles."
)
MOST_FAILED = 50
MOST_TOLD = 4_000
"""Characters of the command, and of a fact."""

MOST_CONFIGURED = 60_000
"""Characters of a run's settings; longer ones are in report.json alone."""


@dataclass(frozen=True)
class RunFacts:
    """What a run's page says beside its reports.

    Attributes:
        command: as it was typed.
        facts: what was run, for people.
        outcomes: what became of every edit.
        answers: the file of all prompts and answers.
    """

    command: str
    facts: Mapping[str, str]
    outcomes: Sequence[EditOutcome]
    answers: str


def run_page(reports: Sequence[Report], run: RunFacts) -> Page:
    """The page of one run, its folds added up.

    Args:
        reports: one per fold, of one recipe.
        run: what stands around them.
    """
    lead = [f"{made_in_words(run.outcomes)}.", *in_words(reports).splitlines()]
    return Page(
        f"{sum(report.edits for report in reports):,} edits by {cut(reports[0].recipe)}",
        lead,
        [
            Section("Before and after", _prompts(reports, run)),
            Section("Measures", _measures(reports)),
            Section("CLG against locality", locality_picture(reports)),
            Section("Along the stream", trajectory_pictures(reports)),
            Section("What failed, and why", _failed(run)),
            Section("What changed elsewhere", _elsewhere(reports)),
            Section("How it was made", _how(reports, run)),
        ],
    )


def _prompts(reports: Sequence[Report], run: RunFacts) -> list[Block]:
    results = [one for report in reports for one in report.prompts]
    if not results:
        return []
    written = any(report.sources for report in reports)
    return [
        languages_table(results, run.answers),
        Paragraphs([MARKS, *([ALIASES] if written else [])]),
        prompts_block(results, run.outcomes, run.answers, written),
    ]


def _measures(reports: Sequence[Report]) -> list[Block]:
    caption = "Right answers of the final model, per cent, and what the edits cost"
    blocks: list[Block] = [measures_table(caption, reports)]
    if (answers := answers_grid(reports)).rows:
        blocks.append(TableShown("Answers, language by language", answers))
    if (localities := locality_grid(reports)).rows:
        blocks.append(
            TableShown("Locality, set by set: accuracy, retention and agreement with the unedited model", localities)
        )
    return [*blocks, Paragraphs([legend(reports)])]


def _failed(run: RunFacts) -> list[Block]:
    failed = [outcome for outcome in run.outcomes if not outcome.success]
    if not failed:
        return [Paragraphs(["Every edit that was needed took."])]
    rows = [(cut(one.edit_id), one.status.value, cut(one.reason)) for one in failed]
    count = f"{len(failed):,} edit{'s' * (len(failed) > 1)} did not take"
    grid = labels(("Edit", "What became of it", "Why"), rows)
    return [TableShown(count, grid, most=MOST_FAILED, all_in="provenance.jsonl beside the edits")]


def _elsewhere(reports: Sequence[Report]) -> list[Block]:
    cost: Cost = together(report.cost for report in reports if report.cost is not None)
    if not cost.known:
        return [Paragraphs([f"Elsewhere: {cost}."])]
    body = [
        (lang or "source", f"{one.rows:,}", f"{one.changed:,}", f"{one.percent:.1f}")
        for lang, one in cost.languages.items()
    ]
    names = ("Language", "Other sentences", "Answers that changed", "Per cent")
    return [
        Paragraphs([f"{cost}."]),
        TableShown(
            "Answers that should not have changed",
            Grid(tuple(Column("", name) for name in names), tuple(body)),
            all_in="report.json",
        ),
    ]


def _how(reports: Sequence[Report], run: RunFacts) -> list[Block]:
    settings = to_json(reports[0].config)
    if len(settings) > MOST_CONFIGURED:
        settings = f"{settings[:MOST_CONFIGURED]}\n… report.json has the rest"
    first = f"the first of {len(reports)} folds" if len(reports) > 1 else "this run"
    return [
        CodeShown(cut(run.command, MOST_TOLD)),
        Facts({cut(name): cut(value, MOST_TOLD) for name, value in run.facts.items()}),
        CodeShown(settings, summary=f"All settings of {first}, as in report.json"),
    ]
