"""Language models: every recipe on facts, in every language, measured by what the model writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from polypatch.edits import Lang
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table
from polypatch.runs import BenchSpec, Run

TITLE = "Memory in every language"

LIMIT = 300
"""Edits of each shuffled stream, where the scale is small."""

LAYER = 3
"""Below the last, where a row of the table says so: chosen on facts that no table edits."""

TUNED = {"views": 0, "max_steps": 100}
"""For editors that change the model's own matrices: no language model at hand has dropout."""

SETTINGS: dict[str, dict[str, Any]] = {
    "fine-tuning": {**TUNED, "learning_rate": 1e-4},
    "lora": {**TUNED, "learning_rate": 1e-4},
}
"""Learning rates chosen on the same facts; the editor's own settings for all others."""

LANGUAGES: dict[str, tuple[Lang, ...]] = {
    "mzsre": ("en", "zh", "cs", "de", "nl", "es", "fr", "pt", "ru", "th", "tr", "vi"),
    "mlake": ("en", "zh", "ja", "fr", "de"),
}
"""Of a data set, the source first."""

FACTS: tuple[Lang, ...] = ("en", "de", "fr", "es", "zh", "ar", "ru", "vi")
"""Of all others."""

LAST = (
    *("fine-tuning", "lora", "grace", "t-patcher", "mpn-only-once", "mpn-all-once"),
    *("polypatch-one", "polypatch-one-mapped", "polypatch-mapped", "polypatch-both", "polypatch"),
)
BELOW = ("t-patcher", "mpn-all-once", "polypatch-one", "polypatch")

CONTRASTS = (
    Contrast("polypatch", "mpn-all-once"),
    Contrast("mpn-all-once", "t-patcher"),
    Contrast(f"polypatch, layer {LAYER}", "polypatch"),
    Contrast("polypatch-mapped", "t-patcher"),
)


def language_models(scale: Scale, given: Materials) -> Experiment:
    """Every recipe at the last layer, and those that gain by it at a lower one, with memory in every language."""
    small, languages = scale == "small", LANGUAGES.get(given.data.partition(":")[0], FACTS)
    return Experiment(
        name="lm",
        title="facts of a language model",
        notes=(
            "Right is what the model writes, greedily and up to its natural end, against the target's normal form."
            + (f" {LIMIT} edits of each shuffled stream." if small else ""),
            "`known` are facts that are neither edited nor in the memory; locality asks whether the model writes "
            "what it wrote before.",
        ),
        spec=BenchSpec(model=given.model, data=given.data, languages=languages),
        tables=(
            Table(
                title="Facts, memory in every language", rows=tuple(_rows(languages, small=small)), contrasts=CONTRASTS
            ),
        ),
    )


def _rows(languages: tuple[Lang, ...], *, small: bool) -> Iterator[Run]:
    for name in LAST:
        yield _row(name, languages, small)
    for name in BELOW:
        yield _row(name, languages, small, layer=LAYER, title=f"{name}, layer {LAYER}")


def _row(name: str, languages: tuple[Lang, ...], small: bool, **more: Any) -> Run:
    return Run(
        recipe=name,
        settings=SETTINGS.get(name, {}),
        memory_languages=languages,
        limit=LIMIT if small else None,
        trajectory_every=100,
        allow_contradictions=True,
        **more,
    )
