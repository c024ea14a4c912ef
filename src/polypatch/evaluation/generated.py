"""What is measured of a model that writes freely, beside right and wrong: F1, language confusion, repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from polypatch.edits import Edit, Lang, Text
from polypatch.evaluation.confusion import in_wrong_language, runs_in_circles
from polypatch.evaluation.metrics import MISSING, Floats, Ints, Mask, Percent, mean, share
from polypatch.evaluation.normal import normal
from polypatch.evaluation.questions import Generated
from polypatch.evaluation.spelling import Spelling

SAME_REPHRASE, NO_TARGET = "rephrase_is_prompt", "no_target_in_language"
"""Why a question does not count."""


Names: TypeAlias = Mapping[Lang, tuple[str, ...]]
"""By language, all answers to an edit's prompts that are right, the target first."""


def names_of(edit: Edit, spelling: Spelling) -> Names:
    """Targets and aliases, and how the model spells them, in the languages where the edit has a target of its own."""
    return {lang: spelling((target, *edit.aliases.get(lang, ()))) for lang, target in edit.target.items()}


def same_question(text: Text, prompt: Text | None, lang: Lang) -> bool:
    """Whether a rephrase asks in the prompt's own words: the two have one normal form."""
    if isinstance(text, str) and isinstance(prompt, str):
        return normal(text, lang) == normal(prompt, lang)
    return text == prompt


def measured(
    names: Sequence[Names], languages: Sequence[Lang], rows: Ints, source: Mask, answers: Generated, said: Ints
) -> dict[str, Any]:
    """The fields of a report that only generated answers have, of whichever model said `said`.

    F1 is over the cells of eq. 10 and 12, as exact match is; confusion over the parallel prompts of each language;
    repetition over all prompts.

    Args:
        names: of E edits.
        languages: L columns.
        rows: (E, L) question numbers, `MISSING` where there is none.
        source: (E, L) True in each edit's source cell.
        answers: everything that was asked.
        said: (questions,) the answers of one model.
    """
    texts, f1 = answers.written(said), answers.f1(said)
    there = rows != MISSING
    confused = np.full(rows.shape, MISSING, dtype=np.int8)
    for row, column in np.argwhere(there & ~source).tolist():
        confused[row, column] = in_wrong_language(texts[rows[row, column]], languages[column], names[row])
    loops = [runs_in_circles(texts[rows[row, i]], languages[i]) for row, i in np.argwhere(there).tolist()]
    by_language = {lang: f1[rows[:, i][(there & ~source)[:, i]]] for i, lang in enumerate(languages)}
    confusion = {lang: share(confused[:, i]) for i, lang in enumerate(languages)}
    return {
        "f1": _percent(f1[rows[there & source]]),
        "f1_clg": {lang: _percent(values) for lang, values in by_language.items() if values.size},
        "confusion": {lang: value for lang, value in confusion.items() if value is not None},
        "repetition": share(np.array(loops, dtype=np.int8)),
    }


def left_out(found: Sequence[str]) -> Mapping[str, int]:
    """How many questions were not counted, by the reason why."""
    return {reason: found.count(reason) for reason in (SAME_REPHRASE, NO_TARGET) if reason in found}


def _percent(values: Floats) -> Percent:
    return mean((100.0 * values).tolist())
