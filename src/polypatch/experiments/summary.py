"""The two tables a reader looks at first: what each recipe reached and cost, and what it won over another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from polypatch.evaluation import Gain, Report, Stat, aggregate
from polypatch.evaluation.aggregate import Aggregate, with_original
from polypatch.evaluation.paired import SPLITS, GainSplit
from polypatch.evaluation.pareto_figure import worst_set
from polypatch.evaluation.tables import BLANK
from polypatch.rendering.grid import Column, Grid

COLUMNS = {
    "Patches": "patches",
    "Reliability": "reliability",
    "MLG": "mlg",
    "CLG": "clg_avg",
    "seen": "clg_seen",
    "unseen": "clg_unseen",
    "never": "clg_never",
    "rephrase": "clg_rephrase",
    "forced, source": "teacher_forced_source",
    "forced, CLG": "teacher_forced_clg",
    "confidence": "confidence",
    "below half": "below_half",
}


def summary(reports: Sequence[Report]) -> Grid:
    """Mean ± standard deviation per recipe, the languages averaged.

    The last columns are the agreement with the unedited model on the English texts that should not change and on the
    worst of all sets (the one whose mean is lowest), and the seconds and kilobytes of an edit. Of a model that writes,
    teacher-forced accuracy (*forced*) stands beside the exact match of what it writes.
    """
    rows = aggregate(with_original(reports))
    used = {title: name for title, name in COLUMNS.items() if any(name in row.stats for row in rows)}
    titles = ("Recipe", *used, "as before, en", "worst", "s/edit", "kB/edit")
    body = []
    for row in rows:
        cells = [shown(row.stats.get(name), 0 if name == "patches" else 1) for name in used.values()]
        if row.recipe == "original":
            body.append((row.title, *cells, BLANK, BLANK, BLANK, BLANK))
            continue
        spent = (brief(row.stats.get(f"{name}_per_edit")) for name in ("seconds", "kilobytes"))
        kept = (shown(in_the_source(row), 1), shown(worst_set(row), 1))
        body.append((row.title, *cells, *kept, *spent))
    return Grid(tuple(Column("", title) for title in titles), tuple(body))


def differences(gains: Sequence[Gain]) -> Grid:
    """CLG of one recipe minus another's, in points, with 95 % intervals, split by what the first was trained on."""
    splits = ("all", *SPLITS)
    body = [(f"{won.recipe_a} over {won.recipe_b}", *(_gain(won.splits[name]) for name in splits)) for won in gains]
    return Grid((Column("", "CLG, points"), *(Column("", name) for name in splits)), tuple(body))


def in_the_source(row: Aggregate) -> Stat | None:
    """Agreement on the test texts in the source language; of data without such a set, on the first one there is."""
    sets = [name for name in row.stats if re.fullmatch(r"locality\.[^.]+\.agreement", name)]
    test = "locality.test.agreement"
    return row.stats[test if test in sets else sets[0]] if sets else None


def brief(stat: Stat | None) -> str:
    """A cost: two digits of its mean."""
    return BLANK if stat is None else f"{stat.mean:.2g}"


def shown(stat: Stat | None, decimals: int) -> str:
    """Mean ± standard deviation."""
    if stat is None:
        return BLANK
    spread = "" if stat.sd is None else f" ± {stat.sd:.{decimals}f}"
    return f"{stat.mean:.{decimals}f}{spread}"


def _gain(split: GainSplit) -> str:
    if split.gain is None or split.interval is None:
        return BLANK
    return points(split.gain, *split.interval)


def points(gain: float, low: float, high: float) -> str:
    """Points gained, with their interval."""
    return f"{gain:+.1f} [{low:+.1f}, {high:+.1f}]"
