"""The demo's rows: Table 1 over the world's stream, and Table 3 over the edits that are wrong in all six languages."""

from __future__ import annotations

from dataclasses import replace

from polypatch.runs import Run

PATCHES = {
    "views": 0,
    "example_repeat": 1,
    "learning_rate": 6e-2,
    "memory_copies": 1,
    "first_validation": 30,
    "validate_every": 10,
    "max_steps": 300,
}
"""Where the world's model is too small for the published defaults (`docs/deviations.md`, "Small models").

Chosen on seed 0, on up to 1,000 edits with one language and with two; seeds 1 and 2 run unchanged.
"""

LIMIT = 500
"""Edits of the shuffled stream in Table 1; with more, patches break more of what was right (docs/results.md)."""

FINE_TUNING = {"views": 0}
"""At the published rate. Ten to a hundred times faster rates end in a collapse within 1,000 edits."""

LANGUAGES = ("en", "de", "fr", "es", "zh", "ar")

# As in the released code, what a failed edit left stays in.
_COMMON = Run(
    recipe="t-patcher",
    settings=PATCHES,
    languages=LANGUAGES,
    order=0,
    limit=LIMIT,
    keep_failed=True,
    allow_contradictions=True,
)
# A patch that does not take is tried once more, in the same languages; the released code does not try again.
_PATCHED = replace(_COMMON, retries=1)

TABLE_1: tuple[Run, ...] = (
    replace(_COMMON, recipe="fine-tuning", settings=FINE_TUNING),
    _PATCHED,
    # Drawn once per edit, so that languages an edit was and was not trained on can be told apart.
    replace(_PATCHED, recipe="mpn-only", redraw="per_edit"),
    replace(_PATCHED, recipe="mpn-all", redraw="per_edit"),
)
"""The paper's rows."""

TABLE_3: tuple[Run, ...] = tuple(replace(run, wrong_in_all=True, limit=None) for run in TABLE_1)
"""The same on the edits that the unedited model gets wrong in every language."""
