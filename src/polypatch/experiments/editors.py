"""The claim that MPN extends to other editors: each with the source alone, and with MPN's sampler and trigger."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

from polypatch.experiments.either import either
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table
from polypatch.experiments.language_models import DATA, SETTINGS, SIZES, fact_row, language_models
from polypatch.experiments.settings import FINE_TUNING, PUBLISHED_TUNING
from polypatch.runs import Run

TRAINED = "Trained nets"

GROUPS = {
    "Trained weights": ("fine-tuning", "lora"),
    "Rank-one terms": ("rome", "memit", "pmet", "emmet", "alphaedit", "simie-rome"),
    "Gradients and neurons": ("ultraedit", "kn", "amig"),
    "Memories beside the layer": ("grace", "melo", "wise", "memoir", "calinet"),
    "Facts that are read": ("serac", "ike", "remake"),
    "Patches": ("t-patcher",),
    TRAINED: ("mend", "malmen", "ke"),
}
"""The editors of each table, by what they leave in the model: more of them no picture shows apart."""

BETTER = {"t-patcher": "mpn-all-once"}
"""What a row with MPN's sampler is called, where it is not called after the editor's."""

LIME = {"mend": ("lime-mend",), "ke": ("lime-ke",)}
"""Rows of a published method that has MPN's sampler from the start, by the editor that it is made of."""

TRAINING = {"steps": 500, "patience": 20}
"""All steps, whatever a validation says: half a minute a net on the world. Twice as many lower the loss little more."""

FEWER = {"locality_own": SIZES["locality_test"]}
"""MzsRE's edits bring 8,200 questions with them, in twelve languages, which every run would ask again."""

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
        if scale == "small" and given.data.partition(":")[0] == "mzsre":
            whole = replace(whole, spec=replace(whole.spec, sizes={**whole.spec.sizes, **FEWER}))
        rows = dict(_fact_rows(whole.tables[0].rows[0]))
    else:
        whole, languages, memory = either(scale, given)
        patcher = next(row for row in whole.tables[0].rows if row.recipe == "t-patcher")
        if given.data:
            patcher = replace(patcher, languages=languages, memory_languages=memory)
        rows = dict(_rows(patcher, small=scale == "small"))
        if given.data and scale == "small":
            rows["ike"] = replace(rows["ike"], settings=SETTINGS["ike"])
    rows |= {name: replace(rows[name], training=TRAINING) for name in GROUPS[TRAINED]}
    return replace(
        whole,
        name="editors",
        title="every editor with the source alone and with MPN's sampler",
        notes=(NOTE, *whole.notes),
        tables=tuple(_table(title, names, rows) for title, names in GROUPS.items()),
    )


def better(name: str) -> str:
    """The row of an editor with MPN's sampler."""
    return BETTER.get(name, f"{name}-mpn")


def rivals(name: str) -> tuple[str, ...]:
    """The rows that an editor's own is compared with: with MPN's sampler, and LiME's where there is one."""
    return (better(name), *LIME.get(name, ()))


def _table(title: str, names: tuple[str, ...], rows: Mapping[str, Run]) -> Table:
    """Each editor's rows, and what a parallel example and the trigger "any language is wrong" add to it."""
    found = tuple(replace(rows[name], recipe=row) for name in names for row in (name, *rivals(name)))
    contrasts = tuple(Contrast(rival, name) for name in names for rival in rivals(name))
    return Table(title=title, rows=found, contrasts=contrasts)


def _rows(patcher: Run, *, small: bool) -> Iterator[tuple[str, Run]]:
    """Each editor's row with the source alone; Transformer-Patcher's as it is in the other tables."""
    # The others try until an edit is right, or would try the same again.
    base = replace(patcher, settings={}, retries=0)
    tuned = replace(base, settings=FINE_TUNING if small else PUBLISHED_TUNING, memory_languages=())
    for name in itertools.chain.from_iterable(GROUPS.values()):
        row = patcher if name == "t-patcher" else tuned if name in WITHOUT_MEMORY else base
        yield name, replace(row, recipe=name)


def _fact_rows(like: Run) -> Iterator[tuple[str, Run]]:
    """The same of a language model."""
    for name in itertools.chain.from_iterable(GROUPS.values()):
        yield name, fact_row(name, like.memory_languages, like.limit, trajectory_every=like.trajectory_every)
