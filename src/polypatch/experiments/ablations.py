"""Ablations: one choice at a time, everything else as in the comparison's row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from polypatch.experiments.compare import SAME_MEMORY, compare
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table
from polypatch.runs import Run

SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "the shrinkage λ that is tried first": (
        {"shrinkages": (0.3, 0.03, 0.003, 0.0003, 0.00003)},
        {"shrinkages": (0.003, 0.0003, 0.00003)},
        {"shrinkages": (0.0003, 0.00003)},
    ),
    "the place γ of the bias that is tried first": (
        {"places": (0.2, 0.6, 0.8)},
        {"places": (0.4, 0.8)},
        {"places": (0.8,)},
    ),
    "the weight of the edit's own covariance": ({"scatter": 0.0}, {"scatter": 1.0}, {"scatter": 16.0}),
    "memory rows that may change where nothing else is left": ({"tolerance": 0}, {"tolerance": 3}, {"tolerance": 20}),
    "how often a past edit counts in the memory": ({"memory_copies": 0}, {"memory_copies": 8}),
}
"""What is changed -> the settings of `polypatch`'s editor instead of the row's own."""

VIEWS = (16, 64)
REPEAT = 8
"""Copies of a text in a batch, each in a dropout view of its own, as published."""


def ablations(scale: Scale, given: Materials) -> Experiment:
    """Of polypatch's own recipe. One order per seed; memory in every language, MASSIVE where it is named."""
    whole, rows = _compared(scale, given)
    own, one = rows["polypatch-linear"], rows["polypatch-linear-one"]
    languages = own.memory_languages
    tables = [
        *(_table(what, own, (replace(own, settings=dict(s)) for s in changes)) for what, changes in SETTINGS.items()),
        _table("languages of the memory", own, (replace(own, memory_languages=languages[:n]) for n in (1, 2, 4))),
        _table("languages drawn beside the source", one, (replace(one, k=k) for k in (2, 3, 4))),
    ]
    return replace(whole, name="ablations", title="one choice at a time", tables=tuple(tables), orders=whole.orders[:1])


def mpn_ablations(scale: Scale, given: Materials) -> Experiment:
    """Of MPN, with the same memory: when it draws, and from how many dropout views. One seed, one order: it is slow."""
    whole, rows = _compared(scale, given)
    mpn = rows[SAME_MEMORY if SAME_MEMORY in rows else "mpn-all-once"]
    drawn = replace(mpn, settings={**mpn.settings, "example_repeat": REPEAT})
    changed = [replace(drawn, settings={**drawn.settings, "views": v}) for v in VIEWS if mpn.settings["views"] != v]
    tables = (
        _table("a new draw at every step", mpn, [replace(mpn, recipe="mpn-all")]),
        _table("dropout views kept per text", mpn, changed),
    )
    once = whole.orders[:1]
    return replace(
        whole,
        name="mpn-ablations",
        title="MPN, one choice at a time",
        tables=tables,
        seeds=whole.seeds[:1],
        orders=once,
    )


def _compared(scale: Scale, given: Materials) -> tuple[Experiment, dict[str, Run]]:
    """The comparison, and its rows with memory in every language: MASSIVE's second table, the world's only one."""
    whole = compare(scale, given)
    return whole, {row.name: row for row in whole.tables[1 if given.data else 0].rows}


def _table(what: str, row: Run, changed: Iterable[Run]) -> Table:
    """The row as it is, then the changed ones, called by what was changed."""
    others = tuple(replace(run, title=_difference(row, run)) for run in changed)
    return Table(title=what, rows=(row, *others), contrasts=tuple(Contrast(run.name, row.name) for run in others))


def _difference(row: Run, run: Run) -> str:
    said = [f"{name} = {value}" for name, value in run.settings.items() if row.settings.get(name) != value]
    if run.k != row.k:
        said.append(f"k = {run.k}")
    if run.memory_languages != row.memory_languages:
        said.append(f"memory in {', '.join(run.memory_languages)}")
    return ", ".join((run.recipe, *said))
