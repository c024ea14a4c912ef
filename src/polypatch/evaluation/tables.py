"""The paper's Table 1 and the table of localities, from reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from polypatch.evaluation.aggregate import Aggregate, Stat, aggregate, with_original
from polypatch.evaluation.report_data import ReportData
from polypatch.rendering.grid import Column, Grid, TableFormat
from polypatch.rendering.terminal import OnTerminal

Show: TypeAlias = Callable[[float], str]

BLANK = "–"


def results_grid(reports: Sequence[ReportData], *, decimals: int = 1, original: bool = True) -> Grid:
    """Table 1: one row per recipe; columns for which no report has a value are dropped.

    Recipe | Patches | Reliability | MLG | CLG de … Avg seen unseen never rephrase | F1 source CLG | Teacher-forced
    source CLG | Confusion | Repetition | Confidence | Locality train test | s/edit. F1 to repetition are a writing
    model's; `answers_grid` has them by language. Confidence is the mean probability of the mended answers. Locality is
    the accuracy, on the sets without a language in their name; `locality_grid` has the rest.

    Args:
        reports: several of one recipe are averaged, mean ± sample standard deviation.
        decimals: of percentages.
        original: put the unedited model first, where the reports know it.
    """
    rows = aggregate(with_original(reports) if original else reports)
    metrics = [metric for metric in _layout(reports, decimals) if any(metric[1] in row.stats for row in rows)]
    columns = (Column("", "Recipe"), *(column for column, _, _ in metrics))
    cells = ((row.title, *(_cell(row, name, show) for _, name, show in metrics)) for row in rows)
    return Grid(columns, tuple(cells))


def locality_grid(reports: Sequence[ReportData], *, decimals: int = 1, original: bool = True) -> Grid:
    """Every locality set under its three definitions: set by set, the recipes below each other."""
    rows = aggregate(with_original(reports) if original else reports)
    show = _fixed(decimals)
    body, breaks = [], set()
    for name in _distinct(name for report in reports for name in report.locality):
        for row in rows:
            keys = [f"locality.{name}.{definition}" for definition in _DEFINITIONS]
            if any(key in row.stats for key in keys):
                body.append((name, row.title, *(_cell(row, key, show) for key in keys)))
        breaks.add(len(body) - 1)
    columns = (Column("", "Locality set"), Column("", "Recipe"), *(Column("", name) for name in _DEFINITIONS.values()))
    return Grid(columns, tuple(body), stubs=2, breaks=frozenset(breaks))


def answers_grid(reports: Sequence[ReportData], *, decimals: int = 1, original: bool = True) -> Grid:
    """What a model that writes is measured by, language by language, the recipes below each other; else without rows.

    Language | Recipe | EM | F1 | Teacher-forced | Confusion | Perplexity. EM is exact match: CLG, and reliability in
    the source language of reports that have one and the same.
    """
    names = {name: heading for name, heading in _WRITTEN.items() if any(getattr(report, name) for report in reports)}
    if names.keys() <= {"clg"}:
        names = {}  # a classifier: Table 1 has all of it
    sources = {lang for report in reports for lang in report.sources}
    own = sources if len(sources) == 1 else set()
    found = (lang for report in reports for name in names for lang in getattr(report, name))
    rows, show = aggregate(with_original(reports) if original else reports), _fixed(decimals)
    body, breaks = [], set()
    for lang in _distinct((*own, *found)) if names else ():
        keys = [_SOURCE[name] if lang in own and name in _SOURCE else f"{name}.{lang}" for name in names]
        body += [(lang, row.title, *(_cell(row, key, show) for key in keys)) for row in rows]
        breaks.add(len(body) - 1)
    columns = (Column("", "Language"), Column("", "Recipe"), *(Column("", heading) for heading in names.values()))
    return Grid(columns, tuple(body), stubs=2, breaks=frozenset(breaks))


def agreement_grid(reports: Sequence[ReportData], *, decimals: int = 1) -> Grid:
    """Agreement with the unedited model: a row per set and recipe, a column per language."""
    rows = aggregate(reports)
    sets = _distinct(name for report in reports for name in report.locality)
    languages = _distinct(name.partition(".")[2] for name in sets)
    body = []
    for base in _distinct(name.partition(".")[0] for name in sets):
        for row in rows:
            names = [f"{base}.{lang}" if lang else base for lang in languages]
            found = [row.stats.get(f"locality.{name}.agreement") for name in names]
            means = (BLANK if stat is None else f"{stat.mean:.{decimals}f}" for stat in found)
            body.append((f"{base}, {row.recipe}", *means))
    columns = (Column("", "Answers as before, %"), *(Column("", lang or "source") for lang in languages))
    return Grid(columns, tuple(body))


def compared_grid(
    reports: Sequence[ReportData], published: Mapping[str, Mapping[str, float]], marks: Collection[tuple[str, str]] = ()
) -> Grid:
    """`results_grid` with a printed table's rows, as printed, each above ours; columns that either has.

    Args:
        reports: ours; a title such as ``mpn-all, memory in 6`` belongs to the printed row ``mpn-all``.
        published: recipe -> metric -> printed number.
        marks: (recipe, metric) of printed cells that get a ``†``.
    """
    rows = aggregate(with_original(reports))
    ours = [metric for metric in _layout(reports, 1) if any(metric[1] in row.stats for row in rows)]
    columns = (Column("", "Recipe"), *(column for column, _, _ in ours))
    body, breaks = [], set()
    for recipe in _distinct(row.recipe.partition(",")[0] for row in rows):
        if recipe in published:
            printed = (_printed(published[recipe], name, (recipe, name) in marks) for _, name, _ in ours)
            body.append((f"{recipe}, the paper's", *printed))
        for row in rows:
            if row.recipe.partition(",")[0] == recipe:
                body.append((row.title, *(_cell(row, name, show) for _, name, show in ours)))
        breaks.add(len(body) - 1)
    return Grid(columns, tuple(body), breaks=frozenset(breaks))


def _printed(row: Mapping[str, float], name: str, marked: bool) -> str:
    value = row.get(name)
    if value is None:
        return BLANK
    shown = _count(value) if name == "patches" else f"{value:.2f}"
    return f"{shown}†" if marked else shown


def markdown_table(reports: Sequence[ReportData], *, decimals: int = 1, original: bool = True) -> str:
    """`results_grid` as a Markdown table."""
    return results_grid(reports, decimals=decimals, original=original).to_markdown()


def latex_table(reports: Sequence[ReportData], *, decimals: int = 1, original: bool = True) -> str:
    """`results_grid` as a LaTeX tabular (package booktabs)."""
    return results_grid(reports, decimals=decimals, original=original).to_latex()


def console_table(reports: Sequence[ReportData], *, decimals: int = 1, original: bool = True) -> OnTerminal:
    """`results_grid` for the terminal, of any width."""
    return results_grid(reports, decimals=decimals, original=original).to_console()


def locality_table(reports: Sequence[ReportData], *, decimals: int = 1, original: bool = True) -> OnTerminal:
    """`locality_grid` for the terminal."""
    return locality_grid(reports, decimals=decimals, original=original).to_console()


def html_tables(reports: Sequence[ReportData]) -> str:
    """The same for a notebook."""
    return "".join(grid.to_html() for grid in _grids(reports))


def all_tables(reports: Sequence[ReportData], how: TableFormat) -> list[str]:
    """Table 1, a writing model's answers by language, and the localities, where there are any."""
    return [grid.render(how) for grid in _grids(reports)]


def _grids(reports: Sequence[ReportData]) -> list[Grid]:
    return [grid for grid in (results_grid(reports), answers_grid(reports), locality_grid(reports)) if grid.rows]


_DEFINITIONS = {"accuracy": "Accuracy", "retention": "Retention", "agreement": "Agreement"}

_WRITTEN = {
    "clg": "EM",
    "f1_clg": "F1",
    "teacher_forced": "Teacher-forced",
    "confusion": "Confusion",
    "perplexity": "Perplexity",
}
_SOURCE = {"clg": "reliability", "f1_clg": "f1"}


def _layout(reports: Sequence[ReportData], decimals: int) -> list[tuple[Column, str, Show]]:
    """(header, metric, how its number is shown) of every column that Table 1 could have."""
    percent = _fixed(decimals)
    languages = _distinct(lang for report in reports for lang in report.clg)
    sets = _distinct(name for report in reports for name in report.locality if "." not in name)
    splits = ("seen", "unseen", "never", "rephrase")
    return [
        (Column("", "Patches"), "patches", _count),
        (Column("", "Reliability"), "reliability", percent),
        (Column("", "MLG"), "mlg", percent),
        *((Column("CLG", lang), f"clg.{lang}", percent) for lang in languages),
        (Column("CLG", "Avg"), "clg_avg", percent),
        *((Column("CLG", split), f"clg_{split}", percent) for split in splits),
        (Column("F1", "source"), "f1", percent),
        (Column("F1", "CLG"), "f1_clg_avg", percent),
        (Column("Teacher-forced", "source"), "teacher_forced_source", percent),
        (Column("Teacher-forced", "CLG"), "teacher_forced_clg", percent),
        (Column("", "Confusion"), "confusion_avg", percent),
        (Column("", "Repetition"), "repetition", percent),
        (Column("", "Confidence"), "confidence", percent),
        *((Column("Locality", name), f"locality.{name}.accuracy", percent) for name in sets),
        (Column("", "s/edit"), "seconds_per_edit", _seconds),
    ]


def _cell(row: Aggregate, name: str, show: Show) -> str:
    stat = row.stats.get(name)
    if stat is None:
        return BLANK
    short = f" (n = {stat.n})" if stat.n != row.n else ""
    return _spread(stat, show) + short


def _spread(stat: Stat, show: Show) -> str:
    return show(stat.mean) if stat.sd is None else f"{show(stat.mean)} ± {show(stat.sd)}"


def _fixed(decimals: int) -> Show:
    return lambda value: f"{value:.{decimals}f}"


def _count(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _seconds(value: float) -> str:
    """Three digits or so, whatever the size: 0.0042, 0.42, 3.14, 120."""
    if value >= 10:
        return f"{value:.1f}" if value < 100 else f"{value:.0f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
