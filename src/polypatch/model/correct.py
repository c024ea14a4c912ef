"""One sentence put right: made and kept, or only tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from polypatch.edits import Edit, Example, Lang
from polypatch.errors import ContradictionError
from polypatch.model.contradictions import require_no_contradictions
from polypatch.model.cost import counted, held_out_of
from polypatch.model.explain import Answer, Firing, firing
from polypatch.model.fix import Fix, FixedText, Moved, quoted
from polypatch.model.one_language import known_in_one
from polypatch.model.overlooked import overlooked
from polypatch.model.rules import Rules
from polypatch.model.state import State, transaction
from polypatch.model.stream import apply, edits_inside, recipe_for
from polypatch.outcomes import EditOutcome
from polypatch.recipes import Recipe

Editing = Callable[[Sequence[Edit], Rules], Iterable[EditOutcome]]
"""What makes edits by rules, in a model that is known."""


def made_fix(state: State, edit: Edit, editing: Editing | None = None) -> Fix:
    """Make one edit and look at what it did.

    Args:
        state: the model.
        edit: the correction; its id gets a number behind it where an edit of that name is in the model.
        editing: what makes it; None for `polypatch.model.stream.apply`.

    Raises:
        ContradictionError: an earlier edit wants another answer to the same text; the message says how to revert it.
        PolypatchError: as for `polypatch.edit_stream`.
    """
    recipe = recipe_for(state, None)
    edit = _named_apart(edit, state)
    _require_no_contradiction(state, edit)
    held = held_out_of(state, set(edit.texts))
    others = [text for _, text in held]
    before, said = _answers(state, edit), state.tail.predict(others, state.delta).answers
    rules = _rules(state, edit)
    (outcome,) = apply(state, [edit], recipe, rules) if editing is None else editing([edit], rules)
    after = _answers(state, edit)
    texts = tuple(_fixed(state, one, before[one.lang], after[one.lang]) for one in edit.examples)
    now = state.tail.predict(others, state.delta).answers
    asked = [Moved(lang, text, one, other) for (lang, text), one, other in zip(held, said, now, strict=True)]
    elsewhere = counted((one.lang, one.before != one.after) for one in asked)
    moved = tuple(one for one in asked if one.before != one.after)
    return Fix(edit, outcome, texts, elsewhere, _note(state, recipe, edit, outcome), moved)


def _named_apart(edit: Edit, state: State) -> Edit:
    name, number = edit.id, 1
    while name in state.records and not state.records[name].reverted:
        number += 1
        name = f"{edit.id}-{number}"
    return edit if name == edit.id else replace(edit, id=name)


def _rules(state: State, edit: Edit) -> Rules:
    """Those of the model; where they name languages, these and the fix's own."""
    languages = state.rules.languages
    if languages is None:
        return state.rules
    return replace(state.rules, languages=tuple(dict.fromkeys((*languages, *edit.languages))))


def _require_no_contradiction(state: State, edit: Edit) -> None:
    earlier = edits_inside(state)
    try:
        require_no_contradictions(state.tail, [*earlier, edit])
    except ContradictionError as error:
        other = next((one for one in earlier if (one.id, edit.id) == error.edit_ids), None)
        if other is None:
            raise
        raise ContradictionError(
            f"{quoted(edit.prompt[edit.source])} was corrected to {other.target_in(other.source)!r} before, by the "
            f"edit {other.id!r}; take it back first: edited.revert({other.id!r})",
            (other.id, edit.id),
        ) from error


def _answers(state: State, edit: Edit) -> dict[Lang, Answer]:
    spoken = state.tail.predict(list(edit.texts), state.delta)
    answers = map(Answer, spoken.answers, spoken.probability.tolist())
    return {example.lang: answer for example, answer in zip(edit.examples, answers, strict=True)}


def _fixed(state: State, example: Example, before: Answer, after: Answer) -> FixedText:
    (question,) = state.ask([example])
    fired = firing(example.text, state.tail, state.delta)
    named = tuple(Firing(state.delta.owners[i], loud) for i, loud in fired)
    return FixedText(example.lang, example.text, before, after, named, state.readout.answer(question.wanted))


def _note(state: State, recipe: Recipe, edit: Edit, outcome: EditOutcome) -> str:
    """What a careful user would want to know of it."""
    alone = known_in_one(recipe, [edit]) if outcome.triggered else ""
    return "; ".join([*([alone] if alone else []), *overlooked(state, [edit])])


class _SeenError(Exception):
    """What was to be seen was seen: everything goes back as it was."""


def trial(state: State, edit: Edit) -> Fix:
    """Make an edit, look at what it did, and put everything back as it was, bit for bit. Nobody reads meanwhile.

    Raises:
        ContradictionError, PolypatchError: as `made_fix`.
    """
    try:
        with transaction(state):
            fix = made_fix(state, edit)
            raise _SeenError
    except _SeenError:
        return replace(fix, kept=False)
