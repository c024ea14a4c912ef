"""The demo's rows: Table 1 over the world's stream, and Table 3 over the edits that are wrong in all six languages."""

from __future__ import annotations

from dataclasses import replace

from polypatch.runs import Run

PATCHES = {"learning_rate": 3e-2, "max_steps": 100, "first_validation": 25}
"""The published defaults take 2,000 steps at 1e-2; a small model is done sooner."""

LANGUAGES = ("en", "de", "fr", "es", "zh", "ar")
LIMIT = 300

TABLE_1: tuple[Run, ...] = tuple(
    Run(recipe=recipe, settings=settings, languages=LANGUAGES, order=0, limit=LIMIT)
    for recipe, settings in (
        ("fine-tuning", {"learning_rate": 1e-3, "max_steps": 100}),
        ("t-patcher", PATCHES),
        ("mpn-only", PATCHES),
        ("mpn-all", PATCHES),
    )
)
"""The paper's rows."""

TABLE_3: tuple[Run, ...] = tuple(replace(run, wrong_in_all=True, limit=60) for run in TABLE_1)
"""The same on the edits that the unedited model gets wrong in every language."""
