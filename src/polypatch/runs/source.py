"""Edits made in other languages than their own: what a source × target matrix has its rows from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from polypatch.edits import Edit, Lang


def made_in(edits: Iterable[Edit], sources: Sequence[Lang]) -> list[Edit]:
    """Edit i made in `sources[i % n]`, or, where it has no prompt in that one, in the next that it has one in.

    Without any, or where it has none of them, an edit stays in its own. Of a target that is written in the source alone
    the same is wanted in every language, as of a class label; whoever wants a word of each language's gives it.
    """
    if not sources:
        return list(edits)
    turns = [(*sources[i:], *sources[:i]) for i in range(len(sources))]
    return [_made(edit, turns[i % len(turns)]) for i, edit in enumerate(edits)]


def _made(edit: Edit, turn: Sequence[Lang]) -> Edit:
    lang = next((lang for lang in turn if lang in edit.prompt), edit.source)
    return replace(edit, source=lang, target={lang: edit.target_in(lang), **edit.target})
