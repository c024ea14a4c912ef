"""Language models: every recipe on facts, in every language, measured by what the model writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from polypatch.edits import Lang
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table
from polypatch.runs import BenchSpec, Run

TITLE = "Facts, memory in every language"
WITHOUT = "Facts, without a memory"

ALONE = "Corrected in one language, asked in every one"

LIMIT = 300
"""Edits of each shuffled stream of facts, where the scale is small."""

QUESTIONS, EACH = 100, 30
"""The same of questions in twelve languages, some of which a small model does not know; and of each source language."""

SIZES = {"memory": 300, "validation": 50, "locality_test": 100}
"""Facts around those questions, each in twelve languages, where the scale is small."""

LAYER = 3
"""Below the last, where a row of the table says so: chosen on facts that no table edits."""

TUNED = {"views": 0, "max_steps": 100}
"""For editors that change the model's own matrices: no language model at hand has dropout."""

SETTINGS: dict[str, dict[str, Any]] = {
    "fine-tuning": {**TUNED, "learning_rate": 1e-4},
    "lora": {**TUNED, "learning_rate": 1e-4},
    "ike": {"shots": 1},
}
"""Learning rates chosen on the same facts; the editor's own settings for all others.

A language model is asked at every position, and each has its own nearest facts to read: with 16 of them that is hours.
MASSIVE's texts in 14 languages are as many.
"""

LANGUAGES: dict[str, tuple[Lang, ...]] = {
    "mzsre": ("en", "zh", "cs", "de", "nl", "es", "fr", "pt", "ru", "th", "tr", "vi"),
    "mlake": ("en", "zh", "ja", "fr", "de"),
}
"""Of a data set, the source first."""

DATA = ("facts", "facts-once", "mzsre", "mlake")
"""Formats of data that language models are asked."""

FACTS: tuple[Lang, ...] = ("en", "de", "fr", "es", "zh", "ar", "ru", "vi")
"""Of all others."""

NO_MEMORY = ("mlake",)
"""Data sets that have edits and nothing else: no memory, and no locality."""

MEASURING = ("grace", "polypatch")
"""Rows that measure by the memory how near texts are."""

LAST = (
    *("fine-tuning", "lora", "grace", "t-patcher", "mpn-only-once", "mpn-all-once"),
    *("polypatch-linear-one", "polypatch-linear-one-mapped", "polypatch-linear-mapped", "polypatch-linear-both"),
    *("polypatch-linear", "polypatch-mapped", "polypatch"),
)
OTHERS = ("fine-tuning", "grace", "polypatch-linear-one", "polypatch-linear", "polypatch")
"""Of data sets that no model at hand was taught."""

BELOW = ("t-patcher", "mpn-all-once", "polypatch-linear-one", "polypatch-linear")

MEMORY_NOTES = (
    "`known` are facts that are neither edited nor in the memory; locality asks whether the model writes what it wrote "
    "before.",
)
NO_MEMORY_NOTES = ("The data have neither memory nor locality: what else an edit changes is not seen here.",)
MATRIX_NOTES = (
    "In the second table the edits are made in one language each, in all of them in turn; the matrices have the "
    f"languages apart: on the diagonal reliability, elsewhere CLG. Where the scale is small, {EACH} edits a language.",
)

CONTRASTS = (
    Contrast("polypatch", "mpn-all-once"),
    Contrast("mpn-all-once", "t-patcher"),
    Contrast("polypatch", "polypatch-linear"),
    Contrast(f"polypatch-linear, layer {LAYER}", "polypatch-linear"),
    Contrast("polypatch-linear-mapped", "t-patcher"),
    Contrast("polypatch-mapped", "mpn-all-once"),
)


def language_models(scale: Scale, given: Materials) -> Experiment:
    """Facts: every recipe at the last layer, and some at a lower one. Questions of other data: fewer, and a matrix."""
    small, data = scale == "small", given.data.partition(":")[0]
    languages = LANGUAGES.get(data, FACTS)
    memory = () if data in NO_MEMORY else languages
    limit = {"mzsre": QUESTIONS, "mlake": None}.get(data, LIMIT) if small else None
    runs = (0,) if small and data in LANGUAGES else (0, 1, 2)
    sizes = SIZES if small and data == "mzsre" else {}
    rows = _others(memory, limit) if data in LANGUAGES else _facts(memory, limit)
    tables = [Table(title=TITLE if memory else WITHOUT, rows=tuple(rows), contrasts=CONTRASTS)]
    if data == "mzsre":
        tables.append(Table(title=ALONE, rows=tuple(_in_turn(languages, EACH * len(languages) if small else None))))
    return Experiment(
        name="lm",
        title="facts of a language model",
        notes=(
            "Right is what the model writes, greedily and up to its natural end, against the target's normal form."
            + (f" {limit} edits of each shuffled stream." if limit else ""),
            *(MATRIX_NOTES if data == "mzsre" else ()),
            *(MEMORY_NOTES if memory else NO_MEMORY_NOTES),
        ),
        spec=BenchSpec(model=given.model, data=given.data, languages=languages, sizes=sizes),
        tables=tuple(tables),
        seeds=runs,
        orders=runs,
    )


def _facts(memory: tuple[Lang, ...], limit: int | None) -> Iterator[Run]:
    for name in LAST:
        yield fact_row(name, memory, limit, trajectory_every=100)
    for name in BELOW:
        yield fact_row(name, memory, limit, trajectory_every=100, layer=LAYER, title=f"{name}, layer {LAYER}")


def _others(memory: tuple[Lang, ...], limit: int | None) -> Iterator[Run]:
    for name in OTHERS:
        if memory or name not in MEASURING:
            yield fact_row(name, memory, limit)


def _in_turn(languages: tuple[Lang, ...], limit: int | None) -> Iterator[Run]:
    """The rows that have a matrix."""
    yield fact_row(
        "polypatch-linear-one", languages, limit, sources=languages, k=0, title="polypatch-linear, one language alone"
    )
    yield fact_row("polypatch-linear-one", languages, limit, sources=languages, title="polypatch-linear-one")


def fact_row(name: str, memory: tuple[Lang, ...], limit: int | None, **more: Any) -> Run:
    """A recipe's row on facts, with the settings that it has there."""
    return Run(
        recipe=name,
        settings=SETTINGS.get(name, {}),
        memory_languages=memory,
        limit=limit,
        allow_contradictions=True,
        **more,
    )
