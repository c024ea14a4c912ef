"""Subsets of a stream chosen by what the unedited model says: Table 3, and how much there is to repair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from polypatch.edits import Edit, Lang, Text
from polypatch.errors import InputError


def prompts(edits: Iterable[Edit], languages: Sequence[Lang] | None = None) -> list[Text]:
    """The distinct prompts of `edits` in `languages` (None: in all), to be predicted in one call."""
    chosen = (edit.prompt[lang] for edit in edits for lang in edit.languages if languages is None or lang in languages)
    return list(dict.fromkeys(chosen))


def wrong_everywhere(
    edits: Iterable[Edit], base_predictions: Mapping[Text, str], languages: Sequence[Lang] | None = None
) -> tuple[Edit, ...]:
    """The edits that the unedited model gets wrong in all of `languages` (Table 3's 722 of XFEVER).

    An edit that lacks one of `languages` is left out: it cannot be wrong there. None stands for the edit's own.

    Args:
        edits: the stream; its order is kept.
        base_predictions: prompt -> label of the unedited model, as in ``dict(zip(prompts(edits), labels))``.
        languages: where an edit must be wrong.

    Raises:
        InputError: a prompt without a prediction.
    """
    return tuple(edit for edit in edits if _wrong_in_all(edit, base_predictions, languages or edit.languages))


def source_errors(edits: Iterable[Edit], base_predictions: Mapping[Text, str]) -> int:
    """How many edits the unedited model gets wrong in their source language."""
    return sum(_wrong(edit, edit.source, base_predictions) for edit in edits)


def _wrong_in_all(edit: Edit, predicted: Mapping[Text, str], languages: Sequence[Lang]) -> bool:
    return all(lang in edit.prompt and _wrong(edit, lang, predicted) for lang in languages)


def _wrong(edit: Edit, lang: Lang, predicted: Mapping[Text, str]) -> bool:
    text = edit.prompt[lang]
    if text not in predicted:
        raise InputError(f"edit {edit.id!r}: no base prediction for its prompt in {lang!r}; predict prompts(edits)")
    return predicted[text] != edit.target_in(lang)
