"""What becomes of a recipe as edits pile up: everything against the number of edits."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from polypatch.errors import InputError
from polypatch.evaluation.aggregate import Aggregate, aggregate
from polypatch.evaluation.figures import STYLE, STYLES, dress, legend
from polypatch.evaluation.pareto_figure import worst_set
from polypatch.evaluation.report import Report

_PANELS = {
    "Reliability (%)": "reliability",
    "CLG, mean over languages (%)": "clg_avg",
    "As before, worst set (%)": "worst",
    "Patches": "patches",
    "Seconds per edit": "seconds_per_edit",
}


@rc_context(STYLE)
def growth_figure(reports: Sequence[Report]) -> Figure:
    """A panel per measure, a line per recipe, over streams of different lengths.

    Args:
        reports: of recipes called ``mpn-all, 100 edits``: what is before the last comma is a line's name.

    Raises:
        InputError: all streams are equally long.
    """
    lengths = {report.recipe: report.edits for report in reports}
    if len(set(lengths.values())) < 2:
        raise InputError("all reports are of equally many edits: there is nothing to draw them against")
    lines: dict[str, list[tuple[int, Aggregate]]] = {}
    for row in aggregate(reports):
        lines.setdefault(row.recipe.rpartition(",")[0], []).append((lengths[row.recipe], row))
    figure = Figure(figsize=(3.0 * len(_PANELS) + 0.4, 3.1), layout="constrained")
    panels = zip(figure.subplots(1, len(_PANELS), squeeze=False)[0], _PANELS.items(), strict=True)
    for axes, (title, measure) in panels:
        for (name, points), (colour, marker) in zip(lines.items(), STYLES, strict=False):
            known = [
                (n, value) for n, row in sorted(points, key=lambda point: point[0]) if (value := _of(row, measure))
            ]
            axes.plot(
                [n for n, _ in known],
                [value for _, value in known],
                color=colour,
                marker=marker,
                markersize=4,
                linewidth=1.2,
                label=name,
            )
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("edits")
        axes.set_xscale("log")
        axes.set_xticks(sorted(set(lengths.values())), labels=[_short(n) for n in sorted(set(lengths.values()))])
        axes.minorticks_off()
        dress(axes, "")
    legend(figure)
    return figure


def _short(edits: int) -> str:
    return str(edits) if edits < 1000 else f"{edits / 1000:g}k"


def _of(row: Aggregate, measure: str) -> float | None:
    stat = worst_set(row) if measure == "worst" else row.stats.get(measure)
    return None if stat is None else stat.mean
