"""The claim that MPN extends to other editors: each with the source alone, and with MPN's sampler and trigger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from polypatch.experiments.either import either
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table
from polypatch.experiments.language_models import DATA, fact_row, language_models
from polypatch.experiments.settings import FINE_TUNING, PUBLISHED_TUNING
from polypatch.runs import Run

PAIRS = {
    **{name: f"{name}-mpn" for name in ("fine-tuning", "lora")},
    **{name: f"{name}-mpn" for name in ("rome", "memit", "pmet", "emmet", "alphaedit", "simie-rome")},
    **{name: f"{name}-mpn" for name in ("ultraedit", "kn", "amig")},
    **{name: f"{name}-mpn" for name in ("grace", "melo", "wise", "memoir", "calinet")},
    "t-patcher": "mpn-all-once",
}
"""Each editor's row with the source alone, and with MPN's sampler: by what they leave in the model."""

CONTRASTS = tuple(Contrast(better, name) for name, better in PAIRS.items())
"""What a random parallel example and the trigger "any language is wrong" add to an editor."""

WITHOUT_MEMORY = ("fine-tuning", "lora")
"""Editors that use none."""

NOTE = (
    "With MPN's sampler an edit is learned from the source and one random parallel example, drawn once per edit, and "
    "made where any of the languages is wrong."
)


def editors(scale: Scale, given: Materials) -> Experiment:
    """Table 1's streams, or MASSIVE's or a language model's facts where a model and data are named.

    Memory is Table 1's English one on the world, and in every language elsewhere; fine-tuning and LoRA use none.
    """
    if given.data.partition(":")[0] in DATA:
        whole = language_models(scale, given)
        rows = tuple(_fact_rows(whole.tables[0].rows[0]))
    else:
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
    for name, better in PAIRS.items():
        row = patcher if name == "t-patcher" else tuned if name in WITHOUT_MEMORY else base
        yield replace(row, recipe=name)
        yield replace(row, recipe=better)


def _fact_rows(like: Run) -> Iterator[Run]:
    """The same of a language model."""
    for name, better in PAIRS.items():
        row = fact_row(name, like.memory_languages, like.limit, trajectory_every=like.trajectory_every)
        yield row
        yield replace(row, recipe=better)
