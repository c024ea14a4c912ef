"""The paper's four rows, and MPN's drawn once per edit, for any data and any settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from polypatch.edits import Lang
from polypatch.experiments.experiment import Contrast
from polypatch.runs import Run

MPN = ("mpn-only", "mpn-all")
"""Drawn anew at every step."""

ONCE = ("mpn-only-once", "mpn-all-once")
"""Drawn once per edit."""

CONTRASTS = (
    *(Contrast(better, "t-patcher") for better in (*ONCE, *MPN)),
    *(Contrast(step, once) for step, once in zip(MPN, ONCE, strict=True)),
)
"""What each form of MPN gains over Transformer-Patcher, and a draw per step over a draw per edit."""


def paper_rows(
    settings: Mapping[str, Any],
    fine_tuning: Mapping[str, Any],
    languages: tuple[Lang, ...] = (),
    *,
    mpn: tuple[str, ...] = MPN,
    per_step: bool = True,
    **common: Any,
) -> tuple[Run, ...]:
    """Fine-tuning, Transformer-Patcher, MPN drawn once per edit and MPN drawn anew at every step.

    Drawn once per edit, the languages that an edit was and was not trained on can be told apart; the paper does not say
    which it did. As in the released code, what a failed edit left stays in the model.

    Args:
        settings: of the patches.
        fine_tuning: of fine-tuning.
        languages: what samplers and triggers may use; nothing for all.
        mpn: which recipes of MPN.
        per_step: also with the language drawn anew at every step.
        **common: further fields of every `Run`.
    """
    base = Run(recipe="t-patcher", languages=languages, keep_failed=True, allow_contradictions=True, **common)
    patcher = replace(base, settings=settings)
    per_edit = [replace(patcher, recipe=f"{name}-once") for name in mpn]
    anew = [replace(patcher, recipe=name) for name in mpn]
    # Fine-tuning knows no memory, and tries until it is right.
    tuned = replace(base, recipe="fine-tuning", settings=fine_tuning, memory_languages=(), retries=0)
    return (tuned, patcher, *per_edit, *(anew if per_step else ()))
