"""Everything against the number of edits: the same stream, cut at several lengths."""

from __future__ import annotations

from dataclasses import replace

from polypatch.experiments.either import either
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table
from polypatch.runs import Run

LENGTHS = (100, 500, 1000, 2000, 5000)
WORLD_LENGTHS = (100, 500, 1500)
TRAINED = 1000
"""As far as MPN goes along: it trains each patch for hundreds of steps."""

OURS = ("polypatch", "polypatch-linear", "polypatch-linear-one", "polypatch-linear-mapped")
ALONE = "polypatch, in one language"
"""Edited in the first language alone."""


def growth(scale: Scale, given: Materials) -> Experiment:
    """A row per recipe and length, each measured in full at its end. One seed, one order: each is a part of the next.

    On MASSIVE where it is named (``massive-all`` has enough edits), else on the world. Memory in every language.
    """
    whole, languages, memory = either(scale, given)
    mpn = next(row for row in whole.tables[0].rows if row.name == "mpn-all-once")
    ours = Run(recipe="polypatch", allow_contradictions=True)
    several = [
        replace(row, languages=languages, memory_languages=memory, trajectory_every=0, title=row.recipe)
        for row in (*(replace(ours, recipe=name) for name in OURS), mpn)
    ]
    rows = [*several[:-1], replace(several[0], languages=languages[:1], title=ALONE), several[-1]]
    lengths = LENGTHS if given.data else WORLD_LENGTHS
    return replace(
        whole,
        name="growth",
        title="the same stream, cut at several lengths",
        tables=(
            Table(
                title="By the number of edits",
                rows=tuple(
                    replace(row, limit=n, title=_title(row.title, n))
                    for row in rows
                    for n in lengths
                    if row.recipe in OURS or n <= TRAINED
                ),
                contrasts=tuple(
                    Contrast(_title(name, n), _title(mpn.recipe, n)) for name in OURS for n in lengths if n <= TRAINED
                ),
            ),
        ),
        seeds=(0,),
        orders=(0,),
    )


def _title(name: str, edits: int) -> str:
    return f"{name}, {edits} edits"
