"""Pictures of reports: CLG per language and recipe, and the trajectory along the stream. No pyplot, no global state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from polypatch.errors import InputError
from polypatch.evaluation.aggregate import Aggregate, Stat, aggregate, with_original
from polypatch.files import write_atomic

if TYPE_CHECKING:
    from polypatch.evaluation.report import Report

# Okabe and Ito's palette, safe for the colour-blind; a marker of its own per recipe, for print without colour
STYLES = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
    ("#000000", "X"),
)
GREY = "#6b6b6b"
FORMATS = ("png", "svg", "pdf")

STYLE = {
    "svg.hashsalt": "polypatch",  # else an svg's ids are random
    "text.parse_math": False,  # a name with dollar signs is a name
    "text.usetex": False,
}
"""What every picture is made and written under: a text takes its own part of it when it is made."""


@rc_context(STYLE)
def clg_figure(reports: Sequence[Report]) -> Figure:
    """CLG (eq. 12) per language: a dot per recipe, the unedited model as a bar across; ± standard deviation over runs.

    Languages run from the unedited model's best to its worst, their mean stands apart on the right. Dots, because the
    axis does not start at 0 and the length of a bar would lie.

    Raises:
        InputError: no report has a CLG.
    """
    rows = aggregate(with_original(reports))
    columns = _ordered(rows)
    if not columns:
        raise InputError("no report has a CLG in any language: nothing to draw")
    edited = [row for row in rows if row.recipe != "original"]
    figure = Figure(figsize=(max(6.0, 1.6 + 0.26 * len(columns) * (len(edited) + 1)), 4.0), layout="constrained")
    axes = figure.add_subplot()
    places = {name: i + (0.3 if name == "clg_avg" else 0.0) for i, name in enumerate(columns)}
    base = next((row.stats for row in rows if row.recipe == "original"), {})
    _draw_original(axes, rows, places)
    labelled = len(edited) * len(columns) <= 24
    for i, row in enumerate(edited):
        shift = (i - (len(edited) - 1) / 2) * 0.8 / len(edited)
        at = {name: x + shift for name, x in places.items() if name in row.stats}
        _draw_dots(axes, row, at, STYLES[i % len(STYLES)])
        for name in at if labelled else ():
            _label(axes, at[name], row.stats[name], below=name in base and row.stats[name].mean < base[name].mean)
    dress(axes, "CLG (%)")
    axes.set_xticks(list(places.values()), ["Avg" if name == "clg_avg" else name[4:] for name in places])
    axes.tick_params(axis="x", length=0)
    axes.axvline(places[columns[-1]] - 0.65, color="#d0d0d0", linewidth=0.8)
    legend(figure)
    return figure


@rc_context(STYLE)
def trajectory_figure(reports: Sequence[Report], sets: Sequence[str] | None = None) -> Figure:
    """Reliability so far and locality along the stream, a line per run, a panel per measure; patches in the last one.

    Args:
        reports: those with a trajectory are drawn; runs of one recipe share its colour.
        sets: locality sets to draw; None for those without a language in their name (all, if every one has).

    Raises:
        InputError: no report has a trajectory.
    """
    runs = [report for report in reports if report.trajectory]
    if not runs:
        raise InputError("no report has a trajectory: nothing to draw")
    shown = panels(runs, sets)
    figure = Figure(figsize=(3.2 * len(shown) + 0.4, 3.1), layout="constrained")
    for axes, (title, key) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        _draw_panel(axes, runs, title, key)
    legend(figure)
    return figure


@rc_context(STYLE)
def panel_figure(runs: Sequence[Report], title: str, key: str) -> Figure:
    """One panel of `trajectory_figure`, a row of `panels`, as a figure of its own."""
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    _draw_panel(figure.add_subplot(), runs, title, key)
    if len({run.recipe for run in runs}) > 1:
        legend(figure)
    return figure


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 160) -> Path:
    """Write `figure` as its suffix says (png, svg, pdf), atomically, and without a date: a rerun gives the same file.

    Raises:
        InputError: another suffix.
    """
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise InputError(f"{path}: cannot write a figure as {suffix!r}; use one of {', '.join(FORMATS)}")
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    drawn = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(drawn, format=suffix, dpi=dpi, metadata=undated[suffix])
    return write_atomic(path, drawn.getvalue())


def _ordered(rows: Sequence[Aggregate]) -> list[str]:
    """The languages' metrics from the first row's best to its worst (by name where it has none), then their mean."""
    names = sorted({name for row in rows for name in row.stats if name.startswith("clg.")})
    first: Mapping[str, Any] = rows[0].stats if rows else {}
    names.sort(key=lambda name: -first[name].mean if name in first else 0.0)
    return [*names, "clg_avg"] if names else []


def _draw_original(axes: Any, rows: Sequence[Aggregate], places: Mapping[str, float]) -> None:
    for row in rows:
        if row.recipe == "original":
            known = [name for name in places if name in row.stats]
            heights = [row.stats[name].mean for name in known]
            left, right = ([places[name] + side for name in known] for side in (-0.42, 0.42))
            axes.hlines(heights, left, right, color=GREY, linewidth=1.6, label=row.title, zorder=1)


def _draw_dots(axes: Any, row: Aggregate, at: Mapping[str, float], style: tuple[str, str]) -> None:
    heights = [row.stats[name].mean for name in at]
    spread = [row.stats[name].sd or 0.0 for name in at] if row.n > 1 else None
    color, marker = style
    axes.errorbar(
        list(at.values()), heights, yerr=spread, fmt=marker, color=color, markersize=5.5, capsize=2, label=row.title
    )


def _label(axes: Any, x: float, stat: Stat, *, below: bool) -> None:
    """A dot's number beyond its error bar, on the side away from the unedited model's mark."""
    side = -1 if below else 1
    axes.annotate(
        f"{stat.mean:.1f}",
        (x, stat.mean + side * (stat.sd or 0.0)),
        (0, side * 5),
        textcoords="offset points",
        ha="center",
        va="top" if below else "bottom",
        fontsize=6.5,
        color="#333333",
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )


def panels(runs: Sequence[Report], sets: Sequence[str] | None = None) -> dict[str, str]:
    """The panels of `trajectory_figure`, which has the arguments: title -> what `points` reads."""
    found = list(dict.fromkeys(name for run in runs for point in run.trajectory for name in point.locality))
    chosen = sets if sets is not None else [name for name in found if "." not in name] or found
    measured = any(point.reliability_so_far is not None for run in runs for point in run.trajectory)
    reliability = {"Reliability so far (%)": "reliability_so_far"} if measured else {}
    return reliability | {f"Locality {name} (%)": f"locality.{name}" for name in chosen} | {"Patches": "patches"}


def points(run: Report, key: str) -> list[tuple[int, float]]:
    """(edits done, value) along a run's trajectory, where the value is known."""
    measure = key.removeprefix("locality.")
    read = ((at.edits_done, at.locality.get(measure) if measure != key else getattr(at, key)) for at in run.trajectory)
    return [(edits, value) for edits, value in read if value is not None]


def _draw_panel(axes: Any, runs: Sequence[Report], title: str, key: str) -> None:
    style = {recipe: STYLES[i % len(STYLES)] for i, recipe in enumerate(dict.fromkeys(run.recipe for run in runs))}
    for run in runs:
        _draw_run(axes, run, key, style[run.recipe])
    dress(axes, "")
    _widen(axes, key)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("edits done")


def _draw_run(axes: Any, run: Report, key: str, style: tuple[str, str]) -> None:
    known = points(run, key)
    color, marker = style
    axes.plot(
        [x for x, _ in known],
        [y for _, y in known],
        color=color,
        marker=marker if len(known) <= 30 else None,
        markersize=3,
        linewidth=1.2,
        label=run.recipe,
    )


def _widen(axes: Any, key: str) -> None:
    """At least five percentage points high, so that noise does not look like a collapse; patches are counted from 0."""
    low, high = axes.get_ylim()
    if key == "patches":
        axes.set_ylim(bottom=0)
    else:
        axes.set_ylim(*at_least_five(low, high))


def at_least_five(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis of percentages: five points apart, and no higher than what there can be."""
    top = min(max(high, (low + high + 5) / 2), 100.5)
    return min(low, top - 5), top


def legend(figure: Figure) -> None:
    """One legend above all panels, each name once, as many in a line as fit."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    widths = [0.65 + 0.07 * len(name) for name in found] or [1.0]  # inches: handle, gap and name
    room = figure.get_figwidth()
    columns = len(widths) if sum(widths) <= room else max(1, int(room / max(widths)))
    figure.legend(list(found.values()), list(found), loc="outside upper left", ncols=columns, frameon=False)


def dress(axes: Any, ylabel: str) -> None:
    """No box, a light grid, room above and below."""
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(y=0.12)
