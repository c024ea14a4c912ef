"""The claim that MPN extends to other editors: each with the source alone, and with MPN's sampler and trigger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from polypatch.experiments.either import either
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table
from polypatch.experiments.settings import FINE_TUNING, PUBLISHED_TUNING
from polypatch.runs import Run

CONTRASTS = (
    Contrast("fine-tuning-mpn", "fine-tuning"),
    Contrast("lora-mpn", "lora"),
    Contrast("grace-mpn", "grace"),
    Contrast("mpn-all-once", "t-patcher"),
)
"""What a random parallel example and the trigger "any language is wrong" add to an editor."""

NOTE = (
    "With MPN's sampler an edit is learned from the source and one random parallel example, drawn once per edit, and "
    "made where any of the six languages is wrong."
)


def editors(scale: Scale, given: Materials) -> Experiment:
    """Table 1's streams, or MASSIVE's where a model and data are named.

    Memory is Table 1's English one on the world, and in 14 languages on MASSIVE; fine-tuning and LoRA use none.
    """
    whole, languages, memory = either(scale, given)
    patcher = next(row for row in whole.tables[0].rows if row.recipe == "t-patcher")
    if given.data:
        patcher = replace(patcher, languages=languages, memory_languages=memory)
    rows = tuple(_rows(patcher, small=scale == "small"))
    return replace(
        whole,
        name="editors",
        title="every editor with the source alone and with MPN's sampler",
        notes=(NOTE, *whole.notes),
        tables=(Table(title="Editors", rows=rows, contrasts=CONTRASTS),),
    )


def _rows(patcher: Run, *, small: bool) -> Iterator[Run]:
    """Each editor's two rows; Transformer-Patcher's as they are in the other tables."""
    # The others try until an edit is right, or would try the same again.
    base = replace(patcher, settings={}, retries=0)
    tuned = replace(base, settings=FINE_TUNING if small else PUBLISHED_TUNING, memory_languages=())
    plain = {
        "fine-tuning": tuned,
        "lora": tuned,
        "grace": base,
        "t-patcher": patcher,
    }
    for better, name in CONTRASTS:
        yield replace(plain[name], recipe=name)
        yield replace(plain[name], recipe=better)
