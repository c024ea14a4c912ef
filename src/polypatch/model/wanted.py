"""The answers that edits want of a language model: one in the words of each language, of tokens that it can write.

A class has one name in every language. An answer has not: to take the source's for another language would teach the
model to answer in the wrong one. So there is no falling back, and what is missing is said before anything is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polypatch.arguments import shortened
from polypatch.edits import Edit, Lang
from polypatch.errors import EditError, InputError
from polypatch.recipes import Recipe
from polypatch.samplers import SourcePlusMapped
from polypatch.sites import Readout


def require_answers(readout: Readout, edits: Iterable[Edit], recipe: Recipe | None = None) -> None:
    """Refuse edits that want an answer of a language model and do not say it, or one that it cannot write.

    Of a classifier there is nothing to refuse.

    Args:
        readout: what the model is asked.
        edits: the edits.
        recipe: the method that is to make them; one that maps queries maps to those languages that an edit names
            an answer for, and there must be one.

    Raises:
        EditError: naming the edit and the language.
    """
    if readout.answers is not None:
        return
    mapped = recipe.sampler.languages if recipe is not None and isinstance(recipe.sampler, SourcePlusMapped) else ()
    for edit in edits:
        named = [lang for lang in mapped if lang in edit.target and lang != edit.source]
        _require_targets(edit, (*edit.languages, *(() if named else mapped)))
        for example in edit.examples:
            try:
                readout.ask([example.text], [example.target])
            except InputError as error:
                raise EditError(f"edit {shortened(edit.id)} in {shortened(example.lang)}: {error}") from error


def _require_targets(edit: Edit, languages: Sequence[Lang]) -> None:
    for lang in languages:
        if lang not in edit.target:
            raise EditError(
                f"edit {shortened(edit.id)} has no target in {shortened(lang)}: a language model answers in the words "
                f"of each language; give its own, as in {{{edit.source!r}: {shortened(edit.target[edit.source])}, "
                f"{lang!r}: …}}, or leave the language out"
            )
