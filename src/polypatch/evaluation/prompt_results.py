"""What was asked of every edit in every language, and answered before and after: the cells, with their texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from polypatch.edits import Edit, Lang, Text
from polypatch.evaluation.cells import Cells
from polypatch.evaluation.metrics import Ints
from polypatch.evaluation.questions import Answers
from polypatch.evaluation.strict_json import to_json
from polypatch.files import write_atomic


class PromptResult(NamedTuple):
    """One prompt of one edit, and its answers.

    Attributes:
        edit: the edit's id.
        lang: the language asked in.
        prompt: the text, or the pair.
        wanted: the target in that language; of a model that writes an alias counts as right, too.
        before: the unedited model's answer.
        after: the edited model's answer.
        right_before: whether the first is right.
        right_after: whether the second is.
        source: whether the edit was made in this language.
        trained: whether the editor was trained on this prompt.
    """

    edit: str
    lang: Lang
    prompt: Text
    wanted: str
    before: str
    after: str
    right_before: bool
    right_after: bool
    source: bool
    trained: bool


def prompt_results(edits: Sequence[Edit], cells: Cells, rows: Ints, answers: Answers) -> tuple[PromptResult, ...]:
    """The prompts that were asked, edit by edit, in the order of the cells' languages.

    Args:
        edits: E edits.
        cells: of these edits, in L languages.
        rows: (E, L) question numbers, `MISSING` where there is none.
        answers: everything that was asked.
    """
    found = []
    for row, column in np.argwhere(cells.before >= 0).tolist():
        edit, lang, number = edits[row], cells.languages[column], rows[row, column]
        found.append(
            PromptResult(
                edit=edit.id,
                lang=lang,
                prompt=edit.prompt[lang],
                wanted=edit.target_in(lang),
                before=answers.texts[answers.before[number]],
                after=answers.texts[answers.after[number]],
                right_before=bool(cells.before[row, column]),
                right_after=bool(cells.after[row, column]),
                source=bool(cells.source[row, column]),
                trained=bool(cells.trained[row, column]),
            )
        )
    return tuple(found)


def save_prompt_results(results: Iterable[PromptResult], path: str | Path) -> Path:
    """Write them as JSON, one a line, atomically."""
    return write_atomic(path, "".join(f"{to_json(one._asdict(), indent=None)}\n" for one in results).encode())
