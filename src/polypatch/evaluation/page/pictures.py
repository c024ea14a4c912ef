"""The pictures of a page, each with its figures in words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from polypatch.evaluation.aggregate import Aggregate, aggregate, with_original
from polypatch.evaluation.figures import at_least_five, clg_figure, panel_figure, panels, points
from polypatch.evaluation.page.document import Picture
from polypatch.evaluation.page.svg import inline_svg
from polypatch.evaluation.pareto_figure import pareto_figure, worst_named
from polypatch.evaluation.report import Report
from polypatch.rendering.harmless import one_line

MOST_DRAWN = 30
"""Characters of a name in a picture."""

FEW = 3
"""So many points leave room for a small picture."""

_NO_XML = re.compile("[\ufffe\uffff]")


def clg_picture(reports: Sequence[Report], name: str) -> list[Picture]:
    """CLG by language, the unedited model's beside it; none where no report has any."""
    drawn = [_drawable(report) for report in with_original(reports)]
    means = {row.title: row.stats["clg_avg"].mean for row in aggregate(drawn) if "clg_avg" in row.stats}
    if not means:
        return []
    said = ", ".join(f"{title} {mean:.1f}" for title, mean in means.items())
    said = f"Translations that are right, mean over the languages, in per cent: {said}. The tables have each language."
    return [replace(_picture(lambda: clg_figure(drawn), name, "CLG by language", said), wide=True)]


def locality_picture(reports: Sequence[Report], name: str = "locality", far: float = math.inf) -> list[Picture]:
    """CLG against the worst locality set, the unedited model's beside it; none where a report lacks either.

    Args:
        reports: those of the table.
        name: begins the ids of the picture.
        far: recipes that changed so many points of other answers are named, and not drawn.
    """
    both = [_drawable(report) for report in with_original(reports)]
    rows = aggregate(both)
    said = {row.recipe: line for row in rows if (line := _point(row, brief=len(rows) > FEW))}
    if said.keys() <= {"original"}:
        return []

    def draw() -> Figure:
        figure = pareto_figure(both, far=far)
        if len(said) <= FEW:
            figure.set_size_inches(5.0, 3.4)
        (axes,) = figure.axes
        axes.set_xlim(*at_least_five(*axes.get_xlim()))
        return figure

    picture = _picture(draw, name, "CLG against locality", f"Up and right is better. {'. '.join(said.values())}.")
    return [replace(picture, wide=len(said) > FEW)]


def trajectory_pictures(reports: Sequence[Report], name: str = "trajectory") -> list[Picture]:
    """A picture for each measure along the stream; none where there is no trajectory."""
    runs = [_drawable(report) for report in reports if report.trajectory]
    found = []
    for number, (title, key) in enumerate(panels(runs).items() if runs else ()):
        said = ". ".join(line for run in runs if (line := _course(run, key)))
        found.append(_picture(_panel(runs, title, key), f"{name}-{number}", title, f"Along the stream: {said}."))
    return found


def _panel(runs: Sequence[Report], title: str, key: str) -> Callable[[], Figure]:
    return lambda: panel_figure(runs, title, key)


def _picture(draw: Callable[[], Figure], name: str, title: str, said: str) -> Picture:
    return Picture(inline_svg(draw, name, title, said), title, said)


def _point(row: Aggregate, *, brief: bool) -> str:
    """A dot in words; in few where there are many."""
    worst = worst_named(row)
    if worst is None or "clg_avg" not in row.stats:
        return ""
    where, stat = worst
    if brief:
        return f"{row.title}: {row.stats['clg_avg'].mean:.1f} % right, {stat.mean:.1f} % as before"
    kept = f"{stat.mean:.1f} % of the answers as before on its worst set, {where}"
    kept = "its own answers everywhere" if row.recipe == "original" else kept
    return f"{row.title}: {row.stats['clg_avg'].mean:.1f} % of the translations right, {kept}"


def _course(run: Report, key: str) -> str:
    """A line in words: where it begins, ends, and is lowest."""
    known = points(run, key)
    if not known:
        return ""
    (first, start), (last, end) = known[0], known[-1]
    at, least = min(known, key=lambda point: point[1])
    low = f", lowest {least:.4g} after {at:,}" if least < min(start, end) else ""
    return f"{run.recipe}, {start:.4g} after {_edits(first)}, {end:.4g} after {_edits(last)}{low}"


def _edits(number: int) -> str:
    return "1 edit" if number == 1 else f"{number:,} edits"


def _drawable(report: Report) -> Report:
    """The report with names that can be drawn."""
    locality = {_name(name): value for name, value in report.locality.items()}
    trajectory = [replace(at, locality={_name(k): v for k, v in at.locality.items()}) for at in report.trajectory]
    return replace(report, recipe=_name(report.recipe), locality=locality, trajectory=tuple(trajectory))


def _name(text: str) -> str:
    """One line that XML holds, and that leaves room for the picture."""
    line = _NO_XML.sub("\ufffd", one_line(text))
    return line if len(line) <= MOST_DRAWN else f"{line[: MOST_DRAWN - 1]}…"
