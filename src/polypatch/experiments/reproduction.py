"""Reproduction: what an experiment found, as tables beside the paper's, differences with intervals, and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from polypatch.evaluation import Gain, Matrix, Report, aggregate, gain, matrix
from polypatch.evaluation.aggregate import Aggregate, with_original
from polypatch.evaluation.tables import BLANK, agreement_grid, compared_grid
from polypatch.experiments.experiment import Contrast, Experiment, Headline, Table
from polypatch.rendering.grid import Column, Grid
from polypatch.runs import Job

BASELINE = "t-patcher"


@dataclass(frozen=True)
class Reproduction:
    """An experiment's reports.

    Attributes:
        experiment: what was run.
        reports: job key -> its reports.
    """

    experiment: Experiment
    reports: Mapping[str, Sequence[Report]]
    _gains: dict[str, list[Gain]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def rows(self, table: Table) -> list[Report]:
        """All reports of a table, row by row, over seeds, orders and folds."""
        return [report for row in table.rows for report in self._of(self.experiment.jobs_of(row))]

    def compared(self, table: Table) -> Grid:
        """Mean ± standard deviation over seeds and orders, each under the paper's row."""
        published = table.published
        rows, slips = (published.rows, published.slips) if published else ({}, ())
        return compared_grid(self.rows(table), rows, slips)

    def pattern(self, table: Table) -> Grid:
        """What a recipe adds to Transformer-Patcher, in numbers that do not depend on how good a model was before."""
        ours = {row.recipe: row for row in aggregate(self.rows(table))}
        languages = list(dict.fromkeys(lang for report in self.rows(table) for lang in report.clg))
        metrics = ["clg_avg", *(f"clg.{lang}" for lang in languages)]
        head = ("Patches ÷ t-patcher's", "CLG errors mended, %", *languages)
        body = []
        for name in ours:
            if not name.startswith(("mpn", "polypatch")) or BASELINE not in ours:
                continue
            printed = table.published.rows if table.published else {}
            recipe = name.partition(",")[0]
            if recipe == name and recipe in printed:
                cells = _pattern(printed[recipe].get, printed[BASELINE].get, metrics)
                body.append((f"{recipe}, the paper's", *cells))
            cells = _pattern(_means(ours[name]).get, _means(ours[BASELINE]).get, metrics)
            body.append((name, *cells))
        return Grid((Column("", "Recipe"), *(Column("", title) for title in head)), tuple(body))

    def gains(self, table: Table) -> list[Gain]:
        """The table's contrasts, pooled over seeds and orders; worked out once, as every file has them."""
        if table.title not in self._gains:
            by_name = {row.name: row for row in table.rows}
            here = [contrast for contrast in table.contrasts if {*contrast} <= by_name.keys()]
            self._gains[table.title] = [self._gain(contrast, by_name) for contrast in here]
        return self._gains[table.title]

    def agreement(self, table: Table) -> Grid:
        """How many answers stayed that should stay, in every language."""
        return agreement_grid(self.rows(table))

    def matrices(self, table: Table) -> dict[str, Matrix]:
        """Source × target, of the rows that were corrected in several languages: over them all, by the row's name."""
        found: dict[str, list[Report]] = {}
        for report in self.rows(table):
            if report.cells is not None:
                found.setdefault(report.recipe, []).append(report)
        return {name: made for name, reports in found.items() if len((made := matrix(reports)).sources) > 1}

    def plain(self) -> dict[str, Any]:
        """Everything that is printed, as JSON data, and nothing that depends on when it was run but the seconds."""
        return {
            "experiment": self.experiment.name,
            "notes": list(self.experiment.notes),
            "seeds": list(self.experiment.seeds),
            "orders": list(self.experiment.orders),
            "tables": [self._plain_table(table) for table in self.experiment.tables],
            **({} if self.experiment.headline is None else {"headline": self.headline(self.experiment.headline)}),
        }

    def headline(self, about: Headline) -> dict[str, float]:
        """What one row gains in CLG, in all languages and where nobody edits, and how many answers stay, in per cent.

        In English that is the lesser of two sets', in the worst language the least of all sets'; means over runs.
        """
        reports = self._of(self.experiment.jobs_of(about.row))
        gains = [_gained(report.clg, report.original.clg) for report in reports if report.original is not None]
        kept = [
            {name: found.agreement for name, found in report.locality.items() if found.agreement is not None}
            for report in reports
        ]
        return {
            "clg_gain": fmean(fmean(gain.values()) for gain in gains),
            "never_gain": fmean(fmean(gain[lang] for lang in about.never if lang in gain) for gain in gains),
            "agreement_en": fmean(min(one for name, one in sets.items() if "." not in name) for sets in kept),
            "agreement_worst": fmean(min(sets.values()) for sets in kept),
        }

    def _plain_table(self, table: Table) -> dict[str, Any]:
        rows = aggregate(with_original(self.rows(table)))
        published = table.published
        return {
            "title": table.title,
            "rows": [
                {"recipe": row.recipe, "runs": row.n, **{k: asdict(v) for k, v in row.stats.items()}} for row in rows
            ],
            "published": {recipe: dict(row) for recipe, row in published.rows.items()} if published else {},
            "slips": [[*cell, what] for cell, what in published.slips.items()] if published else [],
            "gains": [
                {"better": won.recipe_a, "baseline": won.recipe_b, "splits": _splits(won)} for won in self.gains(table)
            ],
            "matrices": {name: found.plain() for name, found in self.matrices(table).items()},
        }

    def _of(self, jobs: Sequence[Job]) -> list[Report]:
        return [report for job in jobs for report in self.reports[job.key]]

    def _gain(self, contrast: Contrast, rows: Mapping[str, Any]) -> Gain:
        better, baseline = (self.experiment.jobs_of(rows[name]) for name in contrast)
        streams = [self.experiment.stream_of(job) for job in better for _ in self.reports[job.key]]
        return gain(self._of(better), self._of(baseline), streams)


def _gained(now: Mapping[str, float | None], was: Mapping[str, float | None]) -> dict[str, float]:
    both = {lang: (after, was.get(lang)) for lang, after in now.items()}
    return {lang: after - before for lang, (after, before) in both.items() if after is not None and before is not None}


def _means(row: Aggregate) -> Mapping[str, float]:
    return {name: stat.mean for name, stat in row.stats.items()}


def _pattern(of: Any, baseline: Any, metrics: Sequence[str]) -> list[str]:
    """The ratio of patches, then 100 · (CLG - CLG of the baseline) ÷ (100 - CLG of the baseline) per metric."""
    patches = (of("patches"), baseline("patches"))
    shown = [f"{patches[0] / patches[1]:.2f}" if all(patches) else BLANK]
    for metric in metrics:
        ours, theirs = of(metric), baseline(metric)
        left = None if theirs is None else 100.0 - theirs
        shown.append(BLANK if ours is None or not left else f"{100.0 * (ours - theirs) / left:.0f}")
    return shown


def _splits(won: Gain) -> dict[str, Any]:
    return {name: {**asdict(split), "gain": split.gain} for name, split in won.splits.items() if split.cells}
