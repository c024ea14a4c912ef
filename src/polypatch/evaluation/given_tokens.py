"""What is read off tokens that are given to an edited language model: perplexity, and teacher-forced accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Example, Lang
from polypatch.errors import InputError
from polypatch.evaluation.metrics import Floats
from polypatch.evaluation.perplexity import LogProbs, PlainTexts, perplexities
from polypatch.evaluation.report_data import Twice
from polypatch.evaluation.teacher_forced import Flags, token_accuracies
from polypatch.sites import UNCHANGED, Change
from polypatch.sites.readouts.decoded_tokens import DECODED_TOKENS
from polypatch.sites.readouts.next_tokens import NEXT_TOKENS
from polypatch.sites.rows import Row, flat

T = TypeVar("T", bound=np.generic)


def plain_text_perplexity(edited: EditedModel, texts: PlainTexts) -> dict[Lang, Twice]:
    """Perplexity of plain text without and with the edits, as `Report.perplexity` takes it.

    Args:
        edited: the model.
        texts: by language; of one longer than the model's input, its beginning.

    Raises:
        InputError: a model that does not go on with a text from left to right.
    """
    _require(edited, NEXT_TOKENS)
    with edited.site.reading():
        edited.site.require_same()
        return {**perplexities(texts, _logprobs(edited, UNCHANGED), _logprobs(edited, edited.delta))}


def target_accuracy(edited: EditedModel, edits: Sequence[Edit]) -> dict[Lang, Twice]:
    """Teacher-forced accuracy of the targets without and with the edits, as `Report.teacher_forced` takes it.

    In every language where an edit has a prompt and a target of its own, the source included; the target's end is left
    out, as in EasyEdit.

    Raises:
        InputError: a model that does not write from left to right; a target longer than an answer may be.
    """
    _require(edited, NEXT_TOKENS, DECODED_TOKENS)
    examples = [edit.example(lang) for edit in edits for lang in edit.languages if lang in edit.target]
    with edited.site.reading():
        edited.site.require_same()
        before, after = (_flags(edited, examples, change) for change in (UNCHANGED, edited.delta))
    return dict(token_accuracies(before, after))


def _require(edited: EditedModel, *kinds: str) -> None:
    if edited.readout.kind not in kinds:
        how = "write" if DECODED_TOKENS in kinds else "go on with a text"
        raise InputError(f"{type(edited.model).__name__} does not {how} from left to right: nothing to measure here")


def _logprobs(edited: EditedModel, change: Change) -> LogProbs:
    def logprobs(texts: Sequence[str]) -> list[Floats]:
        tokens = [rows[0].tokens for rows in edited.readout.keep(texts)]
        rows = [Row(own, place) for own in tokens for place in range(len(own) - 1)]
        said = edited.tail.asked.said(rows, change, [row.tokens[row.place + 1] for row in rows])
        with np.errstate(divide="ignore"):
            return _parted(np.log(said.probability.numpy()), [len(own) - 1 for own in tokens])

    return logprobs


def _flags(edited: EditedModel, examples: Sequence[Example], change: Change) -> dict[Lang, list[Flags]]:
    questions = edited.ask(examples)
    rows, wanted = flat(questions)
    right = edited.tail.asked.said(rows, change).ids.numpy() == np.array(wanted, dtype=np.int64)
    found: dict[Lang, list[Flags]] = {}
    for example, own in zip(examples, _parted(right, [len(question.wanted) for question in questions]), strict=True):
        found.setdefault(example.lang, []).append(own[:-1].tolist())
    return found


def _parted(values: NDArray[T], lengths: Sequence[int]) -> list[NDArray[T]]:
    return [values[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]
