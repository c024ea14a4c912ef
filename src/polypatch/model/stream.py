"""The loop over a stream of edits, on any model that can be edited: outcomes come out one by one.

The public verbs are in `polypatch.api`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from polypatch.arguments import of_type
from polypatch.data.given import edits_in
from polypatch.data.memory import Kept
from polypatch.editors import Memory, MemoryRows
from polypatch.edits import Edit, Example, Labelled, Lang, Text
from polypatch.errors import EditError, InputError
from polypatch.model.contradictions import require_no_contradictions
from polypatch.model.guard import Watchman
from polypatch.model.overlooked import require_source_of_maps
from polypatch.model.rules import Rules, Watch
from polypatch.model.state import State, transaction
from polypatch.model.step import Attempt, remember, right_already, rng_of
from polypatch.model.wanted import require_answers
from polypatch.outcomes import EditOutcome, EditRecord, Status, TrajectoryPoint
from polypatch.plain_recipes import recipe_to_plain
from polypatch.recipes import Recipe
from polypatch.sites import UNCHANGED, FrozenTail, FullForward, Maps, Question, Row, Tail
from polypatch.sites.rows import flat


def apply(edited: State, edits: Sequence[Edit], recipe: Recipe, rules: Rules) -> Iterator[EditOutcome]:
    """Apply edits one after another; arguments and errors as for `polypatch.edit_stream`."""
    memory_of(edited)  # there must be one
    with edited.tail.site.reading():
        edited.tail.site.require_same()
    edits = edits_in(edits)
    usable = [edit.only(rules.languages) if rules.languages is not None else edit for edit in edits]
    require_source_of_maps(edited, recipe, usable)
    require_answers(edited.readout, usable, recipe)
    asked = _checked(edited, usable, rules.allow_contradictions)
    # One batched pass over everything the stream can touch, instead of a small one per edit.
    edited.tail.encode(flat(asked).rows)
    watchman = Watchman(rules.guard, edited.tail, edited.delta) if rules.guard is not None else None
    if not usable:
        with transaction(edited):
            _settle(edited, recipe, rules, ())
    for edit in usable:
        with transaction(edited, watchman):
            _require_new(edited, edit)
            _settle(edited, recipe, rules, edit.languages)
            outcome = Attempt(edited, memory_of(edited), recipe, edit, watchman).run(rules)
            edited.records.pop(edit.id, None)  # reverted before: it stands at its new place in the history
            edited.records[edit.id] = EditRecord(edit, outcome)
            past, watch = edits_inside(edited), rules.watch
            if watch is not None and (len(past) % watch.every == 0 or edit is usable[-1]):
                edited.trajectory.append(_measure(edited, past, watch))
        yield outcome


def _settle(edited: State, recipe: Recipe, rules: Rules, languages: Sequence[Lang]) -> None:
    """How the edit that is being made was asked for."""
    edited.recipe, edited.rules, edited.report = recipe, rules, None
    edited.sampled_languages = tuple(dict.fromkeys((*edited.sampled_languages, *languages)))
    edited.config["recipe"] = recipe_to_plain(recipe)
    edited.config["rules"] = rules.plain()
    if (guard := rules.guard) is not None:
        edited.config["guard"] = {"max_locality_drop": guard.max_locality_drop, "probe_texts": len(guard.probe)}


def adopt(
    edited: State, record: EditRecord, tensors: Mapping[str, Tensor] | None, point: TrajectoryPoint | None
) -> None:
    """Take over one edit that was made before; see `EditedModel.adopt`."""
    assert record.edit is not None  # a journal knows its edits
    with transaction(edited):
        if tensors is not None:
            edited.delta.adopt(record.edit.id, tensors)
        edited.records.pop(record.edit.id, None)  # as where it was made
        edited.records[record.edit.id] = record
        edited.sampled_languages = tuple(dict.fromkeys((*edited.sampled_languages, *record.edit.languages)))
        if point is not None:
            edited.trajectory.append(point)
        if edited.memory is not None and edited.recipe is not None:
            remember_one(edited, edited.recipe, record)


def remember_again(edited: State, recipe: Recipe) -> None:
    """Fill the memory with the edits that are in the model, as if they had just been made."""
    memory = memory_of(edited)
    memory.restore(memory.base)
    for record in edited.records.values():
        remember_one(edited, recipe, record)


def remember_one(edited: State, recipe: Recipe, record: EditRecord) -> None:
    """Put one edit into the memory, if it is in the model."""
    protected = record.status.changed or (record.status is Status.NOT_NEEDED and recipe.editor.protects_right)
    if recipe.editor.memory_copies and protected:
        remember(edited, memory_of(edited), recipe, handled(edited, recipe, record))


def handled(edited: State, recipe: Recipe, record: EditRecord) -> tuple[Example, ...]:
    """What an edit was trained on; or, where it needed no change, what was found right, if the editor protects that."""
    if record.edit is None:
        raise InputError("format version 1 did not keep the edits' texts, so further edits would break them")
    if record.outcome.triggered:
        return tuple(record.edit.example(lang) for lang in record.outcome.languages)
    sampled = recipe.sampler(record.edit, rng_of(edited.rules.seed, record.edit))
    return right_already(recipe, recipe.trigger.examples(record.edit, sampled))


def examples_of(edited: State, recipe: Recipe, record: EditRecord) -> tuple[Example, ...]:
    """Every example an edit stands for: its prompts, and what it was trained on or found right; none once reverted."""
    if record.reverted:
        return ()
    known = handled(edited, recipe, record)
    assert record.edit is not None  # else there was an error
    return tuple(dict.fromkeys((*record.edit.examples, *known)))


def build_memory(tail: Tail, kept: Kept) -> Memory:
    """The rows of a memory, in a group for each language; a copy, where the tail remembers those that it made."""
    if tail.memories is None:
        return _memory(tail, kept)
    texts = tuple(kept.train), tuple(kept.validation), tuple(kept.langs.items())
    if texts not in tail.memories:
        tail.memories[texts] = _memory(tail, kept)
    known: Memory = tail.memories[texts]
    return dataclasses.replace(known.first(), scatter=tail.scatter)


def _memory(tail: Tail, kept: Kept) -> Memory:
    groups = {lang: i for i, lang in enumerate(sorted(set(kept.langs.values())))}
    of = {text: groups[lang] for text, lang in kept.langs.items()}
    return Memory(_rows_of(tail, kept.train, of), _rows_of(tail, kept.validation, of), tail.scatter)


def _rows_of(tail: Tail, texts: Sequence[Text], groups: Mapping[Text, int]) -> MemoryRows:
    """What must not change in the texts. Rows that see the same are one, which counts so often.

    It stands where nothing follows, if it does so in any text.
    """
    counts, found, group = Counter[Row](), dict[Row, Row](), dict[Row, int]()
    kept, readout = tail.readout.keep(texts), tail.readout
    for row, text in ((row, text) for text, rows in zip(texts, kept, strict=True) for row in rows):
        seen = readout.seen(row)
        counts[seen] += 1
        group.setdefault(seen, groups.get(text, 0))
        if seen == row or seen not in found:
            found[seen] = row
    rows = list(found.values())
    q = tail.queries(rows).q
    # Of a text that is cut where an answer would follow, the last position.
    ask = {readout.seen(own if own in rows else rows[-1]) for own, rows in zip(readout.rows(texts), kept, strict=True)}
    numbers = [[counts[seen] for seen in found], [group[seen] for seen in found], [seen in ask for seen in found]]
    often, grouped, begins = torch.tensor(numbers, dtype=torch.long, device=q.device)
    return MemoryRows(rows, q, often, grouped, begins.bool())


def edits_inside(edited: State) -> list[Edit]:
    """The edits handled so far that were not reverted, in order."""
    return [record.edit for record in edited.records.values() if record.edit is not None and not record.reverted]


def memory_of(edited: State) -> Memory:
    """What edits of this model must leave alone; made of its texts the first time that it is needed.

    Raises:
        InputError: it was loaded without.
        DataError: its texts are in a file that is gone, or was changed.
    """
    if edited.memory is None:
        if edited.kept is None:
            raise InputError(
                "this model was loaded without its memory, which further edits need: pass memory= to "
                "from_pretrained, () for none"
            )
        kept = edited.kept.read()
        with edited.site.lock.exclusive():
            learn_maps(edited.tail, edited.kept.parallel)
            edited.memory = edited.memory or build_memory(edited.tail, kept)
            if edited.recipe is not None:
                remember_again(edited, edited.recipe)
    return edited.memory


def learn_maps(tail: FrozenTail | FullForward, parallel: Mapping[Lang, Sequence[Text]] | None) -> None:
    """Let a tail map queries to the other languages of parallel text, where there is any.

    Raises:
        InputError: the text cannot be used, or the tail runs the whole model, which needs more than queries.
    """
    if parallel is None:
        return
    if isinstance(tail, FullForward):
        raise InputError("mapped queries have no text to run the whole model on: edit without exact=True")
    if tail.maps is None or tail.maps.corpus is not parallel:  # many runs share a tail and its maps
        tail.maps = Maps(parallel, lambda texts: tail.site.packed(tail.queries(tail.readout.rows(texts))))


def recipe_for(edited: State, recipe: Recipe | None) -> Recipe:
    """How further edits are made: by `recipe`, or as before.

    Raises:
        InputError: neither is known, or they differ and there are edits already.
    """
    if recipe is None and edited.recipe is None:
        raise InputError("these edits name no recipe that this polypatch knows; pass recipe=")
    recipe = recipe and recipe.at(edited.tail.site.hidden_size)
    if (
        recipe is not None
        and any(not one.reverted for one in edited.records.values())
        and edited.recipe not in (None, recipe)
    ):
        has = f"the model has edits by {edited.recipe_name!r} in it, and one history has one recipe"
        raise InputError(f"{has}: leave recipe= out to go on with that, or attach the model anew")
    return recipe or edited.recipe  # type: ignore[return-value]


def rules_for(edited: State, rules: Rules | None) -> Rules:
    """How further edits are judged: by `rules`, or as before.

    Raises:
        InputError: they have another seed.
    """
    rules, seed = of_type(rules, Rules, "rules"), edited.rules.seed
    if rules is not None and rules.seed != seed:
        has = f"the model has seed {seed}, not {rules.seed}, and one history has one seed"
        raise InputError(f"{has}: give Rules(seed={seed}, …), or attach the model anew")
    return rules or edited.rules


def _require_new(edited: State, edit: Edit) -> None:
    record = edited.records.get(edit.id)
    if record is not None and not record.reverted:
        raise EditError(f"edit id {edit.id!r} occurs twice in the stream; ids must be unique")


def _checked(edited: State, edits: Sequence[Edit], allow_contradictions: bool) -> list[Question]:
    """What their prompts ask of the model, once they are looked at."""
    seen = {name for name, record in edited.records.items() if not record.reverted}
    for edit in edits:
        if edit.id in seen:
            raise EditError(f"edit id {edit.id!r} occurs twice in the stream; ids must be unique")
        seen.add(edit.id)
    asked = edited.ask([example for edit in edits for example in edit.examples])  # which the model must be able to say
    if not allow_contradictions:
        require_no_contradictions(edited.tail, [*edits_inside(edited), *edits])
    return asked


def _measure(edited: State, past: Sequence[Edit], watch: Watch) -> TrajectoryPoint:
    def accuracy(rows: Sequence[Labelled]) -> float:
        asked = edited.readout.ask([row.text for row in rows], [row.label for row in rows])
        right = edited.tail.right(asked, edited.delta)
        return 100.0 * sum(right) / len(right)

    def kept(rows: Sequence[Labelled]) -> float:
        if edited.readout.answers is not None:
            return accuracy(rows)
        texts = [row.text for row in rows]
        before, now = (edited.tail.predict(texts, change).answers for change in (UNCHANGED, edited.delta))
        return 100.0 * sum(a == b for a, b in zip(before, now, strict=True)) / len(texts)

    sources = [Labelled(edit.prompt[edit.source], edit.target_in(edit.source)) for edit in past]
    return TrajectoryPoint(
        edits_done=len(past),
        patches=edited.delta.patches,
        reliability_so_far=accuracy(sources),
        locality={name: kept(rows) for name, rows in watch.locality.items() if rows},
    )
