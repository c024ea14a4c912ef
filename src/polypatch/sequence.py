"""The one loop: a stream of edits goes in, outcomes come out, one by one, and the model is edited as they do."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch.attempt import Attempt
from polypatch.edited_model import EditedModel
from polypatch.editors import Memory, MemoryRows
from polypatch.edits import Edit, Labelled, Lang, Text
from polypatch.errors import EditError, InputError
from polypatch.outcomes import EditOutcome, TrajectoryPoint
from polypatch.recipes import Recipe, recipe_named
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward

STOPPING_SHARE = 5
"""Every so many-th memory text watches the stopping rule where no validation memory is given."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What to measure along the way: every `every` edits, reliability on past edits and accuracy on these sets."""

    every: int
    locality: Mapping[str, Sequence[Labelled]] = field(default_factory=dict)


def attach(
    model: nn.Module,
    *,
    tokenizer: PreTrainedTokenizerBase,
    recipe: str | Recipe = "mpn-all",
    memory: Sequence[Text] = (),
    validation_memory: Sequence[Text] | None = None,
    seed: int = 0,
    exact: bool = False,
    tail: FrozenTail | FullForward | None = None,
    max_length: int | None = None,
    cache_dir: Path | None = None,
    name: str = "",
) -> EditedModel:
    """A model ready to be edited, no edit in it yet. Arguments as for `edit`; `name` is the recipe's in reports."""
    row = recipe_named(recipe) if isinstance(recipe, str) else recipe
    tail = _fitting_tail(tail, model, tokenizer, exact or row.editor.exact, max_length, cache_dir)
    if validation_memory is None:
        validation_memory = memory[::STOPPING_SHARE]
        memory = [text for i, text in enumerate(memory) if i % STOPPING_SHARE]
    return EditedModel(
        model=model,
        tokenizer=tokenizer,
        tail=tail,
        delta=row.editor.start(tail.site),
        recipe_name=name or (recipe if isinstance(recipe, str) else "custom"),
        seed=seed,
        config={"recipe": _plain(row), "exact": isinstance(tail, FullForward)},
        memory=Memory(*(MemoryRows(texts, tail.queries(texts)) for texts in (memory, validation_memory))),
    )


def edit_stream(
    edited: EditedModel,
    edits: Sequence[Edit],
    *,
    recipe: str | Recipe = "mpn-all",
    languages: Sequence[Lang] | None = None,
    retries: int = 0,
    keep_failed: bool = True,
    watch: Watch | None = None,
) -> Iterator[EditOutcome]:
    """Apply edits one after another; yields what became of each, as it happens.

    Stopping the iteration at any point leaves a model with exactly the edits yielded so far.

    Args:
        edited: the model, from `attach` or from an earlier stream.
        edits: the stream, in order.
        recipe: row of the table, or a `Recipe`.
        languages: what samplers and triggers may use beside the source; None: every language an edit has.
        retries: further attempts, with fresh random numbers, at an edit that did not take.
        keep_failed: keep what a failed edit left in the model (the released code does); False takes it back.
        watch: measure a trajectory.

    Raises:
        EditError: two edits share an id, or one was applied already; raised before anything is changed.
        UnknownLabelError: a target the model has no class for; likewise.
    """
    row = recipe_named(recipe) if isinstance(recipe, str) else recipe
    if edited.memory is None:
        raise InputError("this model was loaded without its memory; edit a model from attach() instead")
    usable = [edit.only(languages) if languages is not None else edit for edit in edits]
    _check_stream(edited, usable)
    drawable = dict.fromkeys(lang for edit in usable for lang in edit.languages)
    edited.sampled_languages = tuple(dict.fromkeys((*edited.sampled_languages, *drawable)))
    # One batched pass over everything the stream can touch, instead of a small one per edit.
    edited.tail.queries([text for edit in usable for text in edit.prompt.values()])
    for done, edit in enumerate(usable, start=1):
        outcome = Attempt(edited, row, edit).run(retries, keep_failed)
        edited.outcomes[edit.id] = outcome
        if watch is not None and (done % watch.every == 0 or done == len(usable)):
            edited.trajectory.append(_measure(edited, usable[:done], watch))
        yield outcome


def edit(
    model: nn.Module,
    edits: Sequence[Edit],
    *,
    tokenizer: PreTrainedTokenizerBase,
    recipe: str | Recipe = "mpn-all",
    memory: Sequence[Text] = (),
    validation_memory: Sequence[Text] | None = None,
    languages: Sequence[Lang] | None = None,
    seed: int = 0,
    retries: int = 0,
    keep_failed: bool = True,
    watch: Watch | None = None,
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
        memory: unlabelled texts that edits must leave alone, best in every language that is served.
        validation_memory: the same, for the stopping rule; a fifth of `memory` where it is not given.
        languages: what samplers and triggers may use beside the source; None: every language an edit has.
        retries: further attempts, with fresh random numbers, at an edit that did not take.
        keep_failed: keep what a failed edit left in the model (the released code does); False takes it back.
        watch: measure a trajectory.
        seed: of everything random.
        exact: full forward passes instead of the frozen tail (slow).
        tail: a tail of the same model to share its query cache with.
        max_length: longest input in tokens.
        cache_dir: keep queries on disk.

    Raises:
        PolypatchError: see `FeedForwardSite`, `FrozenTail` and `edit_stream`.
    """
    edited = attach(
        model,
        tokenizer=tokenizer,
        recipe=recipe,
        memory=memory,
        validation_memory=validation_memory,
        seed=seed,
        exact=exact,
        tail=tail,
        max_length=max_length,
        cache_dir=cache_dir,
    )
    try:
        for _ in edit_stream(
            edited, edits, recipe=recipe, languages=languages, retries=retries, keep_failed=keep_failed, watch=watch
        ):
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


def _check_stream(edited: EditedModel, edits: Sequence[Edit]) -> None:
    seen = set(edited.outcomes)
    for edit in edits:
        if edit.id in seen:
            raise EditError(f"edit id {edit.id!r} occurs twice in the stream; ids must be unique")
        seen.add(edit.id)
        for lang in edit.languages:
            edited.class_of(edit.target_in(lang))


def _measure(edited: EditedModel, past: Sequence[Edit], watch: Watch) -> TrajectoryPoint:
    def accuracy(rows: Sequence[Labelled]) -> float:
        logits = edited.tail.logits([row.text for row in rows], edited.delta)
        wanted = torch.tensor([edited.class_of(row.label) for row in rows], device=logits.device)
        return 100.0 * float((logits.argmax(-1) == wanted).float().mean())

    sources = [Labelled(edit.prompt[edit.source], edit.target_in(edit.source)) for edit in past]
    return TrajectoryPoint(
        edits_done=len(past),
        patches=edited.patches,
        reliability_so_far=accuracy(sources),
        locality={name: accuracy(rows) for name, rows in watch.locality.items() if rows},
    )


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


def _plain(recipe: Recipe) -> dict[str, object]:
    """The recipe as plain data for files: names and hyper-parameters."""

    def described(part: object) -> dict[str, object]:
        assert dataclasses.is_dataclass(part)
        assert not isinstance(part, type)
        return {"name": type(part).__name__, **dataclasses.asdict(part)}

    return {
        "editor": described(recipe.editor),
        "sampler": described(recipe.sampler),
        "trigger": recipe.trigger.value,
        "paper": recipe.paper,
    }
