"""What ``polypatch ls`` lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from polypatch.deltas.kinds import KINDS
from polypatch.editors.widths import BY_WIDTH, MEASURED, settings_for
from polypatch.errors import DataError
from polypatch.outcomes import EditOutcome
from polypatch.recipes import DEFAULT, ROWS, recipe_named
from polypatch.rendering.grid import labels
from polypatch.samplers import AllLanguages, SourcePlusMapped, SourcePlusRandom
from polypatch.store.artefact import TENSORS, Artefact, read_artefact
from polypatch.store.folder import aside
from polypatch.store.places import edit_folders, find_edits
from polypatch.triggers import Trigger


@dataclass(frozen=True)
class Listing:
    """A titled table of strings, with notes below it."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: Sequence[str] = ()

    def plain(self) -> dict[str, object]:
        """For ``--json``."""
        names = self.columns if any(self.columns) else ("name", "value")
        return {"title": self.title, "rows": [dict(zip(names, row, strict=True)) for row in self.rows]}

    def show(self, console: Console) -> None:
        """For people."""
        console.print(Text(self.title, style="bold"))
        console.print(labels(self.columns, self.rows).to_console())
        for note in self.notes:
            console.print(note)
        if self.notes:
            console.print()


ASKED = {
    Trigger.SOURCE: "source wrong",
    Trigger.SAMPLED: "drawn wrong",
    Trigger.ANY: "any wrong",
    Trigger.ALWAYS: "always",
}
REDRAWN = {"per_step": "each step", "per_edit": "once"}
ABOUT_RECIPES = (
    "source + 1: the prompt that is corrected and its translation into one language, drawn anew at each training step "
    "or once per edit. mapped: queries mapped to languages that have no translation, by unlabelled parallel text.",
    "drawn wrong: the source, or a language drawn with it; any wrong: any edit language.",
    "NAME-all beside every NAME-mpn: the same editor, learned from all languages that an edit has.",
)

METRICS = {
    "reliability": ("the source prompts", "eq. 10"),
    "mlg": ("rephrases in the source language", "eq. 11"),
    "clg, clg_avg": ("the parallel prompts, by language and their mean", "eq. 12"),
    "clg_seen": ("parallel prompts the editor was trained on", "eq. 12, split"),
    "clg_unseen": ("parallel prompts it could have drawn and did not", "eq. 12, split"),
    "clg_never": ("parallel prompts in languages that no sampler may draw", "eq. 12, split"),
    "clg_rephrase": ("another wording in another language", "–"),
    "confidence": ("the mean probability of the mended answers", "–"),
    "below_half": ("mended answers with a probability below 50 %; below_half_kept: of those right before", "–"),
    "cost": ("answers that changed elsewhere, by language", "–"),
    "locality": ("texts that should not change: accuracy, retention, agreement", "eq. 13"),
}


def recipes() -> Listing:
    """The table of recipes."""
    rows = [(name, row.editor_name, _learned_from(row.sampler), ASKED[row.trigger]) for name, row in ROWS.items()]
    papers: dict[str, list[str]] = {}
    for name, row in ROWS.items():
        if row.paper:
            papers.setdefault(row.paper, []).append(name)
    return Listing(
        f"Recipes (the default is {DEFAULT})",
        ("Recipe", "Editor", "Learned from", "Edits when"),
        rows,
        (*ABOUT_RECIPES, *(f"{', '.join(names)}: {paper}" for paper, names in papers.items())),
    )


def _learned_from(sampler: Any) -> str:
    drawn = getattr(sampler, "k", 0)
    first = {0: "source", None: "all languages"}.get(drawn, f"source + {drawn}")
    if isinstance(sampler, AllLanguages):
        first = "all languages"
    if isinstance(sampler, SourcePlusMapped):
        return f"{first}, mapped"
    return f"{first}, {REDRAWN[sampler.redraw]}" if isinstance(sampler, SourcePlusRandom) else first


def data() -> Listing:
    """The data formats."""
    from polypatch.data.formats import FORMATS

    rows = [(", ".join(f"{name}:{place}" for place in row.places), row.what) for name, row in FORMATS.items()]
    world = ("world", "the embedded six-language world, built offline")
    speaking = ("speaking-world", "the same as questions and answers, for its small language model")
    return Listing("Data", ("--data", "What is read"), [*rows, world, speaking])


def metrics() -> Listing:
    """The metrics."""
    rows = [(name, *told) for name, told in METRICS.items()]
    return Listing("Metrics: accuracy of the final model, in per cent", ("Metric", "Over", "MPN paper"), rows)


TABLES: Mapping[str, Callable[[], Listing]] = {
    "recipes": recipes,
    "data": data,
    "metrics": metrics,
}


def all_tables() -> list[Listing]:
    """All four."""
    return [make() for make in TABLES.values()]


def settings(recipe: str) -> Listing:
    """A recipe's settings with their defaults."""
    editor: Any = recipe_named(recipe).editor
    rows = [(field.name, _default(editor, field.name)) for field in dataclasses.fields(editor)]
    return Listing(f"Settings of {recipe} ({type(editor).__name__})", ("Setting", "Default"), rows)


def _default(editor: Any, name: str) -> str:
    value = getattr(editor, name)
    if value is not BY_WIDTH:
        return repr(value)
    return "by width: " + ", ".join(f"{settings_for(width)[name]:g} at {width}" for width in MEASURED)


def saved_edits(folder: Path) -> list[Listing]:
    """What is in a run's folder, or in one folder of edits.

    Raises:
        DataError: `folder` is no table, no recipe, and no such folder.
    """
    if not folder.exists():
        known = ", ".join((*TABLES, *ROWS))
        raise DataError(f"{folder}: neither a folder nor something to list ({known})")
    places = edit_folders(folder) or [find_edits(folder)]
    read = {place: read_artefact(place, tensors=False) for place in places}
    listings = [Listing(str(place), ("", ""), _summary(artefact, place)) for place, artefact in read.items()]
    failed = [outcome for artefact in read.values() for outcome in artefact.outcomes if not outcome.success]
    if failed:
        rows = [(one.edit_id, ", ".join(one.languages), str(one.steps), one.failure) for one in failed]
        listings.append(Listing("Edits that did not take", ("Edit", "Trained on", "Steps", "Why"), rows))
    return listings


def _summary(artefact: Artefact, place: Path) -> list[tuple[str, str]]:
    config, outcomes = artefact.config, artefact.outcomes
    in_parts = KINDS[config["delta"]].in_parts
    made = [outcome for outcome in outcomes if outcome.triggered]
    return [
        ("recipe", str(config["recipe"])),
        ("made on", str(config["base_model"]) or "an unnamed model"),
        ("edit languages", ", ".join(config["sampled_languages"])),
        ("seed", str(config["seed"])),
        (
            "edits",
            str(len(made)) if len(made) == len(outcomes) else f"{len(outcomes)}, of which {len(made)} needed a change",
        ),
        ("took", f"{sum(one.success for one in made)} of {len(made)}"),
        ("patches", str(len(artefact.owners)) if in_parts else "none: weights were changed"),
        ("size", f"{((place if place.exists() else aside(place)) / TENSORS).stat().st_size / 1000:,.0f} kB"),
        ("memory", _memory(config.get("memory"))),
        ("time", _time(made)),
    ]


def _memory(said: Mapping[str, Any] | None) -> str:
    """What is kept of the texts that edits leave alone."""
    if said is None:
        return "not kept with the edits"
    if "file" not in said:
        return f"in {said['path']}"
    texts = ", ".join(f"{count:,} {part.replace('_', ' ')}" for part, count in said["texts"].items())
    return f"{sum(said['texts'].values()):,} texts ({texts}), {said['bytes'] / 1000:,.0f} kB"


def _time(made: Sequence[EditOutcome]) -> str:
    seconds = sum(one.seconds for one in made)
    return f"{seconds:.1f} s, {seconds / len(made):.2f} s each" if made else "–"
