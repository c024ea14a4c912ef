"""ReportData: what a report holds, as data; `polypatch.evaluation.report` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias

from polypatch.edits import Lang
from polypatch.errors import DataError
from polypatch.evaluation.cells import Cells
from polypatch.evaluation.metrics import Locality, Percent
from polypatch.evaluation.prompt_results import PromptResult
from polypatch.evaluation.strict_json import plain, to_json
from polypatch.model.cost import Cost, cost_from_plain
from polypatch.outcomes import TrajectoryPoint

When: TypeAlias = Literal["final", "immediate"]

Twice: TypeAlias = tuple[float | None, float | None]
"""A number of the unedited and of the edited model."""


@dataclass(frozen=True, repr=False)
class ReportData:
    """The metrics of one recipe on one stream of edits. Percentages are 0..100, None where not defined.

    Attributes:
        recipe: name of the recipe; ``original`` for the unedited model.
        seed: the seed of the run.
        patches: neurons in the model.
        reliability: eq. 10, source-language prompts.
        mlg: eq. 11, source-language rephrases, micro average over rephrases.
        clg: eq. 12 per parallel language.
        clg_avg: unweighted mean of `clg`.
        clg_seen: eq. 12 over the cells of triggered edits whose parallel prompt the editor was trained on (micro).
        clg_unseen: the same, over sampled languages this edit was not trained on.
        clg_never: unweighted mean of `clg` over the languages that no sampler may draw.
        clg_rephrase: rephrases in the other languages: per language, then the unweighted mean.
        confidence: mean probability, in per cent, of the answers that were wrong before and are right now, on source
            and parallel prompts: what a threshold in production looks at.
        below_half: share of those answers whose probability is below 50 %.
        below_half_kept: the same share of the answers that were right before and are still, to compare.
        locality: per set, the three definitions.
        cost: answers that changed elsewhere, by language: on the locality sets, else on held-out texts of the memory;
            None where the model was not edited.
        seconds_per_edit: mean wall-clock seconds over the *triggered* edits of the stream; None if there were none.
        kilobytes_per_edit: of what is in the model, by triggered edit; None if there were none, and in older files.
        seconds_total: wall-clock seconds over all edits of the stream.
        edits: how many edits the metrics are over.
        triggered: edits of the stream that were made.
        success_rate: share of triggered edits that succeeded, right after each.
        retries: training runs beyond the first, over the stream.
        source_errors: source-language prompts the unedited model gets wrong.
        f1: of a model that writes freely: mean token F1 over the source-language prompts, where `reliability` is exact
            match. This and all down to `sources` are empty for a classifier.
        f1_clg: the same over the parallel prompts, by language, as `clg`.
        confusion: share of the answers to parallel prompts that are in another language than the prompt, by language.
        repetition: share of the answers to prompts that end in a loop.
        perplexity: of plain text, by language, of the unedited and of the edited model; from whoever measured it.
        teacher_forced: token accuracy of the targets given the right tokens before them (EasyEdit's protocol), by
            language, of the unedited and of the edited model; from whoever measured it.
        left_out: how many questions were not asked: ``rephrase_is_prompt``, ``no_target_in_language``.
        sources: the languages that the edits were made in.
        when: ``final`` model or ``immediate``, right after each edit.
        trajectory: the model's state along the stream.
        config: whatever describes the run.
        cells: right or wrong per (edit, language); kept in memory, see `save_cells`.
        prompts: what was asked of every edit in every language, and answered; kept in memory, see
            `save_prompt_results`.
        original: the same metrics of the unedited model on the same texts and the same cells.
    """

    recipe: str
    seed: int = 0
    patches: int = 0
    reliability: Percent = None
    mlg: Percent = None
    clg: Mapping[Lang, Percent] = field(default_factory=dict)
    clg_avg: Percent = None
    clg_seen: Percent = None
    clg_unseen: Percent = None
    clg_never: Percent = None
    clg_rephrase: Percent = None
    confidence: Percent = None
    below_half: Percent = None
    below_half_kept: Percent = None
    locality: Mapping[str, Locality] = field(default_factory=dict)
    cost: Cost | None = None
    seconds_per_edit: float | None = None
    kilobytes_per_edit: float | None = None
    seconds_total: float = 0.0
    edits: int = 0
    triggered: int = 0
    success_rate: Percent = None
    retries: int = 0
    source_errors: int | None = None
    f1: Percent = None
    f1_clg: Mapping[Lang, Percent] = field(default_factory=dict)
    confusion: Mapping[Lang, Percent] = field(default_factory=dict)
    repetition: Percent = None
    perplexity: Mapping[Lang, Twice] = field(default_factory=dict)
    teacher_forced: Mapping[Lang, Twice] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[Lang, ...] = ()
    when: When = "final"
    trajectory: tuple[TrajectoryPoint, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    cells: Cells | None = field(default=None, compare=False, repr=False)
    prompts: tuple[PromptResult, ...] = field(default=(), compare=False, repr=False)
    original: Self | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """One line; `to_markdown` has all, `to_row` the plain data."""
        figures = {"reliability": self.reliability, "mlg": self.mlg, "clg_avg": self.clg_avg}
        said = ", ".join(f"{name} {value:.1f}" for name, value in figures.items() if value is not None)
        return f"<Report of {self.recipe!r}, seed {self.seed}: {said or 'nothing measured'}; {self.edits} edits>"

    def to_row(self) -> dict[str, Any]:
        """The report as plain JSON data, without `cells` and `prompts`; `from_row` reads it back."""
        row: dict[str, Any] = {name: plain(getattr(self, name)) for name in _NUMBERS}
        row["locality"] = {name: plain(measured._asdict()) for name, measured in self.locality.items()}
        row["seconds_per_edit"] = plain(self.seconds_per_edit)
        row |= {name: plain(getattr(self, name)) for name in _EXTRAS}
        row["trajectory"] = [plain(_point_row(point)) for point in self.trajectory]
        row["cost"] = None if self.cost is None else self.cost.to_plain()
        row |= {name: plain(value) for name in _GENERATED if (value := getattr(self, name)) not in (None, {}, ())}
        row["config"] = plain(self.config)
        row["original"] = None if self.original is None else self.original.to_row()
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The report that `to_row` wrote; fields it does not know are ignored, `cells` and `prompts` are gone.

        Raises:
            DataError: the row is not one of a report.
        """
        try:
            return cls(
                **{name: row[name] for name in (*_NUMBERS, "seconds_per_edit")},
                **{name: row[name] for name in (*_EXTRAS, *_PLAIN_GENERATED) if name in row},
                perplexity=_twice(row.get("perplexity", {})),
                teacher_forced=_twice(row.get("teacher_forced", {})),
                sources=tuple(row.get("sources", ())),
                locality={name: Locality(**measured) for name, measured in row["locality"].items()},
                trajectory=tuple(TrajectoryPoint(**point) for point in row.get("trajectory", ())),
                cost=None if row.get("cost") is None else cost_from_plain(row["cost"]),
                config=dict(row.get("config", {})),
                original=None if row.get("original") is None else cls.from_row(row["original"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"not a row written by Report.to_row: {error!r}") from error

    def to_json(self) -> str:
        """`to_row` as strict JSON text."""
        return to_json(self.to_row())

    def without_splits(self) -> Self:
        """The report without what depends on a sampler: seen, unseen, never."""
        return replace(self, clg_seen=None, clg_unseen=None, clg_never=None)


_NUMBERS = (
    *("recipe", "seed", "patches", "reliability", "mlg", "clg", "clg_avg"),
    *("clg_seen", "clg_unseen", "clg_never", "clg_rephrase"),
)
_EXTRAS = (
    *("confidence", "below_half", "below_half_kept"),
    *("edits", "triggered", "success_rate", "retries", "seconds_total", "source_errors", "when"),
    "kilobytes_per_edit",
)
_PLAIN_GENERATED = ("f1", "f1_clg", "confusion", "repetition", "left_out")
_GENERATED = (*_PLAIN_GENERATED, "perplexity", "teacher_forced", "sources")


def _twice(by_language: Mapping[Lang, Sequence[float | None]]) -> dict[Lang, Twice]:
    return {lang: (before, after) for lang, (before, after) in by_language.items()}


def _point_row(point: TrajectoryPoint) -> dict[str, object]:
    return {name: getattr(point, name) for name in ("edits_done", "patches", "reliability_so_far", "locality")}
