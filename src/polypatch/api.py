"""The one loop: a stream of edits goes in, outcomes come out, one by one, and the model is edited as they do."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch.cautions import caution
from polypatch.data.given import edits_in
from polypatch.data.memory import Given, Kept, parted
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Lang, Text
from polypatch.errors import InputError
from polypatch.model.guard import Guard
from polypatch.model.one_language import cautioned
from polypatch.model.rules import Rules
from polypatch.model.stream import Watch as Watch
from polypatch.model.stream import build_memory
from polypatch.outcomes import EditOutcome
from polypatch.recipes import DEFAULT, Recipe, recipe_named, recipe_to_plain, with_mapped
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward
from polypatch.store.load import learn_maps

NOT_SAID: Any = object()
"""So that going without a memory is a decision: it has to be written out."""


def attach(
    model: nn.Module,
    *,
    tokenizer: PreTrainedTokenizerBase,
    memory: Given | None = NOT_SAID,
    recipe: str | Recipe = DEFAULT,
    validation_memory: Given | None = None,
    parallel: Mapping[Lang, Sequence[Text]] | None = None,
    seed: int = 0,
    exact: bool = False,
    tail: FrozenTail | FullForward | None = None,
    max_length: int | None = None,
    cache_dir: Path | None = None,
    name: str = "",
) -> EditedModel:
    """A model ready to be edited, no edit in it yet. Arguments as for `edit`; `name` is the recipe's in reports."""
    kept = _kept(memory, validation_memory)
    row = with_mapped(recipe_named(recipe) if isinstance(recipe, str) else recipe, parallel)
    tail = _fitting_tail(tail, model, tokenizer, exact or row.editor.exact, max_length, cache_dir)
    if parallel is not None:
        learn_maps(tail, parallel)
    row = row.at(tail.site.hidden_size)
    return EditedModel(
        model=model,
        tokenizer=tokenizer,
        tail=tail,
        delta=row.editor.start(tail.site),
        recipe=row,
        recipe_name=name or (recipe if isinstance(recipe, str) else "custom"),
        seed=seed,
        config={"recipe": recipe_to_plain(row), "exact": isinstance(tail, FullForward)},
        memory=build_memory(tail, kept),
        held_out=kept.held_out,
    )


def edit_stream(
    edited: EditedModel,
    edits: Sequence[Edit],
    *,
    recipe: str | Recipe | None = None,
    languages: Sequence[Lang] | None = None,
    retries: int = 0,
    keep_failed: bool = False,
    guard: Guard | None = None,
    watch: Watch | None = None,
    allow_contradictions: bool = False,
) -> Iterator[EditOutcome]:
    """Apply edits one after another; yields what became of each, as it happens.

    Stopping the iteration at any point leaves a model with exactly the edits yielded so far.

    Args:
        edited: the model, from `attach`, from an earlier stream, or from `EditedModel.from_pretrained` with a memory.
        edits: the stream, in order.
        recipe: row of the table, or a `Recipe`; None for the one the model was attached with.
        languages: what samplers and triggers may use beside the source; None: every language an edit has.
        retries: further attempts, with fresh random numbers, at an edit that did not take.
        keep_failed: keep what a failed edit left in the model (the released code does); False takes it back.
        guard: take back, whatever else holds, an edit that costs more on held-out texts than its budget.
        watch: measure a trajectory.
        allow_contradictions: accept edits that want different answers to the very same input.

    Raises:
        EditError: two edits share an id, or one was applied already; raised before anything is changed.
        ContradictionError: two edits want different answers to one input; likewise.
        UnknownLabelError: a target the model has no class for; likewise.
        InputError: the model was loaded without its memory, or has edits of another recipe in it.
    """
    row = recipe_named(recipe) if isinstance(recipe, str) else recipe
    rules = Rules(retries=retries, keep_failed=keep_failed)
    edits = edits_in(edits)
    outcomes = edited.stream(
        edits,
        recipe=row,
        languages=languages,
        rules=rules,
        guard=guard,
        watch=watch,
        allow_contradictions=allow_contradictions,
    )
    return cautioned(edited, row, edits, outcomes)


def edit(
    model: nn.Module,
    edits: Sequence[Edit],
    *,
    tokenizer: PreTrainedTokenizerBase,
    memory: Given | None = NOT_SAID,
    recipe: str | Recipe = DEFAULT,
    validation_memory: Given | None = None,
    parallel: Mapping[Lang, Sequence[Text]] | None = None,
    languages: Sequence[Lang] | None = None,
    seed: int = 0,
    retries: int = 0,
    keep_failed: bool = False,
    guard: Guard | None = None,
    watch: Watch | None = None,
    allow_contradictions: bool = False,
    exact: bool = False,
    tail: FrozenTail | FullForward | None = None,
    max_length: int | None = None,
    cache_dir: Path | None = None,
) -> EditedModel:
    """Edit a classifier: one call for the whole stream.

    Args:
        model: a Hugging Face sequence classifier; its weights are never written.
        edits: the corrections, in order.
        tokenizer: the model's tokenizer.
        recipe: row of the table, or a `Recipe`.
        memory: unlabelled texts that edits must leave alone, best in every language that is served: a list of texts,
            ``{lang: texts}``, or the path of a file (a text a line, or ``{"lang", "text"}`` a line in .jsonl). Every
            tenth text of a language is held out, for `EditedModel.cost`. None goes without, and warns.
        validation_memory: the same, for the stopping rule; a fifth of `memory` where it is not given.
        parallel: unlabelled texts that say the same in every language, the source's first, for `SourcePlusMapped`.
        languages: what samplers and triggers may use beside the source; None: every language an edit has.
        retries: further attempts, with fresh random numbers, at an edit that did not take.
        keep_failed: keep what a failed edit left in the model.
        guard: take back an edit that costs more on held-out texts than its budget.
        watch: measure a trajectory.
        allow_contradictions: accept edits that want different answers to the very same input.
        seed: of everything random.
        exact: full forward passes instead of the frozen tail (slow).
        tail: a tail of the same model to share its query cache with.
        max_length: longest input in tokens.
        cache_dir: keep queries on disk.

    Raises:
        InputError: nothing is said about the memory.
        PolypatchError: see `FeedForwardSite`, `FrozenTail` and `edit_stream`.
    """
    edited = attach(
        model,
        tokenizer=tokenizer,
        recipe=recipe,
        memory=memory,
        validation_memory=validation_memory,
        parallel=parallel,
        seed=seed,
        exact=exact,
        tail=tail,
        max_length=max_length,
        cache_dir=cache_dir,
    )
    try:
        stream = edit_stream(
            edited,
            edits,
            languages=languages,
            retries=retries,
            keep_failed=keep_failed,
            guard=guard,
            watch=watch,
            allow_contradictions=allow_contradictions,
        )
        for _ in stream:
            pass
    except BaseException:  # Ctrl-C as well: nobody else holds what could take the edits off again
        edited.unload()
        raise
    return edited


def folds(edits: Sequence[Edit], n: int, seed: int = 0) -> list[list[Edit]]:
    """Split a stream at random into n folders that are edited independently (Transformer-Patcher uses 20, MPN one)."""
    if not 1 <= n <= max(1, len(edits)):
        raise InputError(f"{len(edits)} edits cannot be split into {n} folds")
    order = shuffled(edits, seed)
    return [order[i::n] for i in range(n)]


def shuffled(edits: Sequence[Edit], seed: int) -> list[Edit]:
    """The stream in another order."""
    order = list(edits)
    random.Random(f"order:{seed}").shuffle(order)
    return order


def _kept(memory: Given | None, validation: Given | None) -> Kept:
    """The memory, parted; a warning where there is none."""
    if memory is NOT_SAID:
        raise InputError(
            "memory is missing: which texts must stay as they are? A list of them, memory=[…]; by language, "
            'memory={"en": […], "de": […]}; or a file, memory="texts.txt". memory=None goes without'
        )
    kept = Kept() if memory is None else parted(memory, validation)
    if not isinstance(memory, Kept) and not kept.train:
        caution("no memory: nothing keeps other answers as they are, and what edits change elsewhere is not known")
    return kept


def _fitting_tail(
    tail: FrozenTail | FullForward | None,
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    exact: bool,
    max_length: int | None,
    cache_dir: Path | None,
) -> FrozenTail | FullForward:
    if tail is None:
        site = FeedForwardSite(model)
        if exact:
            return FullForward(site, tokenizer, max_length=max_length)
        return FrozenTail(site, tokenizer, max_length=max_length, cache_dir=cache_dir)
    if tail.site.model is not model:
        raise InputError("the tail passed in belongs to another model object")
    if exact and not isinstance(tail, FullForward):
        return FullForward(tail.site, tokenizer, max_length=tail.encoder.tokens.max_length)
    return tail
