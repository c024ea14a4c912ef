"""Before and after, sentence by sentence: all edits where there is room, else first those that are worth a look."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from markupsafe import escape

from polypatch.evaluation.page.document import AnswerShown, EditShown, PromptShown, PromptsShown, TableShown, cut
from polypatch.evaluation.prompt_results import PromptResult
from polypatch.outcomes import EditOutcome
from polypatch.rendering.grid import Column, Grid

ROOM = 1_500_000
"""Bytes of a page for its prompts: with all the rest, 2 MB hold it."""

# The mark-up of a row and of an edit, and more.
_ROW, _EDIT = 330, 220


def prompts_block(
    results: Sequence[PromptResult], outcomes: Sequence[EditOutcome], file: str, written: bool
) -> PromptsShown:
    """The edits that fit into `ROOM`: first those right in the source and wrong elsewhere, then the others that did not
    take, then the rest.

    Args:
        results: edit by edit.
        outcomes: what became of the edits.
        file: where all results are.
        written: the answers are texts, and no labels.
    """
    status = {one.edit_id: one.status.value for one in outcomes}
    failed = {one.edit_id for one in outcomes if not one.success}
    named = [(name, list(asked)) for name, asked in groupby(results, key=lambda one: one.edit)]
    edits = [EditShown(cut(name), status.get(name, ""), [_asked(one) for one in asked]) for name, asked in named]
    sizes = [_size(edit) for edit in edits]
    kinds = [0 if _stayed_at_home(asked) else 1 if name in failed else 2 for name, asked in named]
    shown, room = list[Sequence[int]](), ROOM
    for kind in range(3):
        shown.append(spread([i for i, one in enumerate(kinds) if one == kind], sizes, room))
        room -= sum(sizes[i] for i in shown[kind])
    caption = _caption([(len(numbers), kinds.count(kind)) for kind, numbers in enumerate(shown)], file)
    return PromptsShown(caption, [edits[i] for numbers in shown for i in numbers], written)


def _stayed_at_home(asked: Sequence[PromptResult]) -> bool:
    """Right in the source, and wrong in another language."""
    sources = [one.right_after for one in asked if one.source]
    return bool(sources) and all(sources) and not all(one.right_after for one in asked)


def spread(numbers: Sequence[int], sizes: Sequence[int], room: int) -> list[int]:
    """As many of `numbers` as have room, evenly spread over all of them."""
    count = len(numbers)
    while count:
        chosen = [numbers[i * len(numbers) // count] for i in range(count)]
        whole = sum(sizes[number] for number in chosen)
        if whole <= room:
            return chosen
        count = min(count - 1, max(1, count * room // whole)) if room > 0 else 0
    return []


def languages_table(results: Sequence[PromptResult], file: str) -> TableShown:
    """How many prompts were right before and are now, by language; all are in `file`."""
    body = []
    for lang in dict.fromkeys(one.lang for one in results):
        pairs = [(one.right_before, one.right_after) for one in results if one.lang == lang]
        counts = (sum(was for was, _ in pairs), sum(now for _, now in pairs))
        changes = (pairs.count(pair) for pair in ((False, True), (False, False), (True, False)))
        body.append((lang, *map(str, (len(pairs), *counts, *changes))))
    names = ("Language", "Sentences", "Right before", "Right after", "Mended", "Still wrong", "Right before, wrong now")
    grid = Grid(tuple(Column("", name) for name in names), tuple(body))
    return TableShown("Corrected sentences and their translations", grid, all_in=file)


def _asked(one: PromptResult) -> PromptShown:
    before, after = AnswerShown(cut(one.before), one.right_before), AnswerShown(cut(one.after), one.right_after)
    how = "source" if one.source else "trained" if one.trained else ""
    return PromptShown(one.lang, cut(one.prompt), cut(one.wanted), before, after, how)


def _size(edit: EditShown) -> int:
    """At least the bytes that it takes in the page."""
    texts = [
        edit.name,
        *(text for one in edit.asked for text in (one.prompt, one.wanted, one.before.text, one.after.text)),
    ]
    return _EDIT + _ROW * len(edit.asked) + sum(len(escape(text).encode()) for text in texts)


def _caption(kinds: Sequence[tuple[int, int]], file: str) -> str:
    """Of each kind how many are shown, of how many."""
    shown, total = (sum(pair[i] for pair in kinds) for i in range(2))
    home, failed, rest = (f"{one:,}" if one == all_ else f"{one:,} of {all_:,}" for one, all_ in kinds)
    if shown == total:
        first = f", {home} that are right in the source and wrong elsewhere first" if kinds[0][0] else ""
        return f"All {total:,} edits, before and after{first}" if total > 1 else "The edit, before and after"
    return (
        f"{shown:,} of {total:,} edits, before and after: first {home} that are right in the source and wrong "
        f"elsewhere, then {failed} others that did not take, and {rest} spread evenly over the rest. All are in {file}"
    )
