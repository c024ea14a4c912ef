"""Subsets of a stream chosen by what the unedited model says: Table 3, and how much there is to repair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from polypatch.edits import Edit, Lang, Text
from polypatch.errors import InputError
from polypatch.evaluation.generated import names_of
from polypatch.evaluation.match import exact
from polypatch.evaluation.spelling import Spelling
from polypatch.sites.readouts.readout import Readout


def prompts(edits: Iterable[Edit], languages: Sequence[Lang] | None = None) -> list[Text]:
    """The distinct prompts of `edits` in `languages` (None: in all), to be predicted in one call."""
    chosen = (edit.prompt[lang] for edit in edits for lang in edit.languages if languages is None or lang in languages)
    return list(dict.fromkeys(chosen))


def wrong_everywhere(
    edits: Iterable[Edit],
    base_predictions: Mapping[Text, str],
    languages: Sequence[Lang] | None = None,
    *,
    readout: Readout | None = None,
) -> tuple[Edit, ...]:
    """The edits that the unedited model gets wrong in all of `languages` (Table 3's 722 of XFEVER).

    An edit that lacks one of `languages` is left out: it cannot be wrong there. None stands for the edit's own.

    Args:
        edits: the stream; its order is kept.
        base_predictions: prompt -> label of the unedited model, as in ``dict(zip(prompts(edits), labels))``.
        languages: where an edit must be wrong.
        readout: of a model that writes freely: right is an exact match of normal forms, as in `evaluate`.

    Raises:
        InputError: a prompt without a prediction.
    """
    wrong = _judge(base_predictions, readout)
    return tuple(
        edit for edit in edits if all(lang in edit.prompt and wrong(edit, lang) for lang in languages or edit.languages)
    )


def source_errors(
    edits: Iterable[Edit], base_predictions: Mapping[Text, str], *, readout: Readout | None = None
) -> int:
    """How many edits the unedited model gets wrong in their source language; `readout` as above."""
    wrong = _judge(base_predictions, readout)
    return sum(wrong(edit, edit.source) for edit in edits)


def _judge(predicted: Mapping[Text, str], readout: Readout | None) -> Callable[[Edit, Lang], bool]:
    """Whether the prediction for an edit's prompt in a language is wrong."""
    if readout is None:
        return lambda edit, lang: _predicted(edit, lang, predicted) != edit.target_in(lang)
    spelling = Spelling(readout)
    return lambda edit, lang: not exact(_predicted(edit, lang, predicted), names_of(edit, spelling).get(lang, ()), lang)


def _predicted(edit: Edit, lang: Lang, predicted: Mapping[Text, str]) -> str:
    text = edit.prompt[lang]
    if text not in predicted:
        raise InputError(f"edit {edit.id!r}: no base prediction for its prompt in {lang!r}; predict prompts(edits)")
    return predicted[text]
