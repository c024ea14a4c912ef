"""What a recipe gains against what it costs: CLG over locality in the language that suffers most."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from polypatch.errors import InputError
from polypatch.evaluation.aggregate import Aggregate, Stat, aggregate
from polypatch.evaluation.figures import STYLE, STYLES
from polypatch.evaluation.report import Report

FAR = 20.0


@rc_context(STYLE)
def pareto_figure(reports: Sequence[Report], *, far: float = FAR) -> Figure:
    """CLG (mean over languages) against agreement with the unedited model on the worst locality set; up and right wins.

    The worst set is the one whose mean over runs is lowest. Bars are ± standard deviations over runs. What has given up
    more than `far` points is left out and named in the corner: it would squeeze all others.

    Raises:
        InputError: no report has both.
    """
    rows = [row for row in aggregate(reports) if "clg_avg" in row.stats]
    points = [(row, worst, row.stats["clg_avg"]) for row in rows if (worst := worst_set(row)) is not None]
    if not points:
        raise InputError("no report has CLG and locality: nothing to draw")
    near = [point for point in points if point[1].mean > 100.0 - far] or points
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for i, (row, across, up) in enumerate(points):
        if (row, across, up) not in near:
            continue
        colour, marker = STYLES[i % len(STYLES)]
        axes.errorbar(
            *(across.mean, up.mean, up.sd or 0.0, across.sd or 0.0),
            color=colour,
            marker=marker,
            label=row.title,
            linestyle="none",
            linewidth=1.0,
            fillstyle="full" if i < len(STYLES) else "none",
        )
    axes.set_xlabel("answers as before on the worst locality set (%)")
    axes.set_ylabel("CLG, mean over languages (%)")
    axes.grid(color="#e0e0e0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if left_out := [row.recipe for row, across, _ in points if across.mean <= 100.0 - far and len(near) < len(points)]:
        axes.text(0.01, 0.01, f"not drawn: {', '.join(left_out)}", transform=axes.transAxes, fontsize=7)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def worst_set(row: Aggregate) -> Stat | None:
    """Agreement on the locality set with the lowest mean; None where nothing was measured."""
    found = worst_named(row)
    return None if found is None else found[1]


def worst_named(row: Aggregate) -> tuple[str, Stat] | None:
    """The same with the set's name before it."""
    stats = {name.removeprefix("locality."): stat for name, stat in row.stats.items() if name.startswith("locality.")}
    sets = [(name.removesuffix(".agreement"), stat) for name, stat in stats.items() if name.endswith(".agreement")]
    return min(sets, key=lambda one: one[1].mean) if sets else None
