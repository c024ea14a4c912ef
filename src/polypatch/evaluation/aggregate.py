"""aggregate(): several runs of one recipe (seeds, folds, orders) as mean ± standard deviation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from polypatch.evaluation.metrics import Percent, mean
from polypatch.evaluation.report_data import ReportData

R = TypeVar("R", bound=ReportData)


@dataclass(frozen=True, slots=True)
class Stat:
    """Mean over `n` runs that define the metric, and their sample standard deviation (None for n = 1)."""

    mean: float
    sd: float | None = None
    n: int = 1


@dataclass(frozen=True)
class Aggregate:
    """One row of a table: `n` reports of one recipe.

    Attributes:
        recipe: the name shown, with the moment where it is not the final one.
        n: how many reports.
        stats: metric -> Stat; ``clg.de`` and ``locality.test.accuracy`` address one language and one set. A metric that
            no report defines is absent.
    """

    recipe: str
    n: int
    stats: Mapping[str, Stat]

    @property
    def title(self) -> str:
        """The recipe, and how many runs stand behind the row when it is more than one."""
        return self.recipe if self.n == 1 else f"{self.recipe} (n = {self.n})"


def aggregate(reports: Sequence[ReportData]) -> tuple[Aggregate, ...]:
    """Group `reports` by recipe (and moment), in order of first appearance, and average each metric.

    sd = sqrt(Σ (xᵢ - mean)² / (n - 1)), the sample standard deviation.
    """
    groups: dict[str, list[ReportData]] = {}
    for report in reports:
        name = report.recipe if report.when == "final" else f"{report.recipe} ({report.when})"
        groups.setdefault(name, []).append(report)
    return tuple(Aggregate(name, len(group), _stats(group)) for name, group in groups.items())


def with_original(reports: Sequence[R]) -> list[R]:
    """`reports` with the unedited model's rows in front, unless it is among them already.

    Runs on the same edits share one unedited model: it stands there once. Its seen, unseen and never are the accuracy
    on *one* run's cells; where the runs disagree on them, they say nothing of the unedited model and are left out.
    """
    if any(report.recipe == "original" for report in reports):
        return list(reports)
    alike: dict[tuple[object, ...], list[R]] = {}
    for report in (report for report in reports if report.original is not None):
        original = _original(report)
        core = replace(original.without_splits(), seed=0, cells=None, original=None)
        alike.setdefault((*_cut(report), repr(core)), []).append(original)
    return [*(_merged(group) for group in alike.values()), *reports]


def _cut(report: ReportData) -> tuple[object, ...]:
    """What says which edits of a stream a run took, where it did not take all: of few, others may look the same."""
    run = report.config.get("run", {})
    return () if run.get("limit") is None else (report.seed, run.get("order"))


def values(report: ReportData) -> dict[str, Percent]:
    """Every number of a report under a flat name."""
    flat: dict[str, Percent] = {name: getattr(report, name) for name in _PLAIN}
    flat |= {f"{name}_avg": mean(getattr(report, name).values()) for name in ("f1_clg", "confusion")}
    for name in ("clg", "f1_clg", "confusion"):
        flat |= {f"{name}.{lang}": value for lang, value in getattr(report, name).items()}
    for name in _TWICE:
        flat |= {f"{name}.{lang}": after for lang, (_, after) in getattr(report, name).items()}
    flat |= {f"teacher_forced_{part}": value for part, value in _forced(report).items()}
    for name, measured in report.locality.items():
        flat |= {f"locality.{name}.{definition}": value for definition, value in measured._asdict().items()}
    return flat


def _forced(report: ReportData) -> dict[str, Percent]:
    """Teacher-forced accuracy where `reliability` and `clg_avg` are exact match: in the source, and the others' mean.

    Nothing where the edits have several sources.
    """
    if len(report.sources) != 1:
        return {}
    (source,) = report.sources
    others = (after for lang, (_, after) in report.teacher_forced.items() if lang != source)
    return {"source": report.teacher_forced.get(source, (None, None))[1], "clg": mean(others)}


_PLAIN = (
    *("patches", "reliability", "mlg", "clg_avg", "clg_seen", "clg_unseen", "clg_never", "clg_rephrase"),
    *("confidence", "below_half", "below_half_kept", "f1", "repetition"),
    *(
        "seconds_per_edit",
        "kilobytes_per_edit",
        "seconds_total",
        "edits",
        "triggered",
        "success_rate",
        "retries",
        "source_errors",
    ),
)


def _original(report: R) -> R:
    """The unedited model's report, with what was measured of both models in one go."""
    was = {name: {lang: (one, one) for lang, (one, _) in getattr(report, name).items()} for name in _TWICE}
    found: R = report.original  # type: ignore[assignment]  # mypy: its own kind is not R
    return replace(found, **was) if any(was.values()) else found  # type: ignore[arg-type]  # names that run time knows


_TWICE = ("perplexity", "teacher_forced")


def _merged(originals: Sequence[R]) -> R:
    first = originals[0]
    splits = {(one.clg_seen, one.clg_unseen, one.clg_never) for one in originals}
    return first if len(splits) == 1 else first.without_splits()


def _stats(reports: Sequence[ReportData]) -> dict[str, Stat]:
    collected: dict[str, list[float]] = {}
    for report in reports:
        for name, value in values(report).items():
            if value is not None:
                collected.setdefault(name, []).append(value)
    return {name: _stat(numbers) for name, numbers in collected.items()}


def _stat(numbers: Sequence[float]) -> Stat:
    if len(numbers) == 1:
        return Stat(numbers[0])
    return Stat(statistics.fmean(numbers), statistics.stdev(numbers), len(numbers))
