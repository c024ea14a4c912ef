"""Run: one row of a table, as plain data: sent to other processes, written into reports, recognised on resuming."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from polypatch.edits import Lang
from polypatch.errors import InputError
from polypatch.recipes import Recipe, recipe_named
from polypatch.samplers import Sampler, SourceOnly, SourcePlusRandom
from polypatch.settings import Settings, at_least, between
from polypatch.sites.reads import reads_in
from polypatch.store.identity import Identity


@dataclass(frozen=True, kw_only=True)
class Run(Settings):
    """One row of a table.

    Attributes:
        recipe: row of the table of recipes.
        settings: hyper-parameters of its editor that differ from the row's.
        training: by which settings of `NetTraining`, where they are not the default, a net was trained for its editor
            (`KeptNets`); None where it has none but what `settings` name.
        layer: the number of the layer that is edited, from 0, or from the end; None for the row's.
        reads: what patches see of a text, as `Recipe` has it; None for the row's.
        k: how many languages beside the source are drawn, 0 for none, instead of the row's sampler's number.
        sources: the languages that the edits are made in, in turn, the data's own first; empty for that one alone.
        languages: what samplers and triggers may use, the source first; empty for every language of the edits.
        memory_languages: in which languages there is memory; empty for the source alone, as in the paper.
        parallel: rows of the data's parallel text that queries are mapped by; 0 for all there are.
        seed: of everything random in the edits.
        order: shuffles the stream with this seed; None keeps the order of the file.
        limit: so many edits of the (shuffled) stream; None for all.
        folds: split the stream into so many folders that are edited independently.
        fold: only this one of them, counted from 0; None for all.
        retries, keep_failed, allow_contradictions: see `edit_stream`.
        max_locality_drop: take back what costs more percentage points of agreement on the probe texts; None: whatever.
        trajectory_every: measure the trajectory every so many edits; 0 for never.
        prune: drop and merge patches after the last edit (`EditedModel.prune`).
        wrong_in_all: only the edits that the unedited model gets wrong in every one of `languages` (Table 3).
        title: the row's name in tables; the recipe's by default.
    """

    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] | None = None
    layer: int | None = None
    reads: str | tuple[int, ...] | None = None
    k: Annotated[int, at_least(0)] | None = None
    sources: tuple[Lang, ...] = ()
    languages: tuple[Lang, ...] = ()
    memory_languages: tuple[Lang, ...] = ()
    parallel: Annotated[int, at_least(0)] = 0
    seed: int = 0
    order: int | None = None
    limit: Annotated[int, at_least(1)] | None = None
    folds: Annotated[int, at_least(1)] = 1
    fold: Annotated[int, at_least(0)] | None = None
    retries: Annotated[int, at_least(0)] = 0
    keep_failed: bool = False
    allow_contradictions: bool = False
    max_locality_drop: Annotated[float, between(0, 100)] | None = None
    trajectory_every: Annotated[int, at_least(0)] = 0
    wrong_in_all: bool = False
    prune: bool = False
    title: str = ""

    @property
    def name(self) -> str:
        """The row's name."""
        return self.title or self.recipe

    @property
    def key(self) -> str:
        """A name for files: the same run has the same key, any other another."""
        return f"{self.recipe}-seed{self.seed}-{Identity.of_settings(self).key}"

    def built(self) -> Recipe:
        """The recipe with this run's settings.

        Raises:
            UnknownRecipeError: no such row.
            InputError: a setting that the row's editor or sampler does not have, or a fold that there is not.
        """
        row = recipe_named(self.recipe)
        known = {f.name for f in dataclasses.fields(row.editor)}  # type: ignore[arg-type]
        for name in self.settings:
            if name not in known:
                raise InputError(
                    f"{self.recipe}: its editor has no setting {name!r}; it has {', '.join(sorted(known))}"
                )
        if self.fold is not None and not 0 <= self.fold < self.folds:
            raise InputError(f"fold {self.fold} of {self.folds}: they are counted from 0 to {self.folds - 1}")
        editor = replace(row.editor, **self.settings)  # type: ignore[type-var]
        layer = row.layer if self.layer is None else self.layer
        reads = row.reads if self.reads is None else reads_in(self.reads)
        return replace(row, editor=editor, sampler=self._sampler(row.sampler), layer=layer, reads=reads)

    def _sampler(self, sampler: Sampler) -> Sampler:
        if self.k is None:
            return sampler
        if self.k == 0 and isinstance(sampler, SourcePlusRandom):
            return SourceOnly()
        try:
            return replace(sampler, k=self.k)  # type: ignore[type-var]
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.recipe}: {type(sampler).__name__} cannot be drawn so ({error})") from error
