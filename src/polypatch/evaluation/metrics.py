"""The metrics as pure functions on arrays. A percentage is 0..100; an empty selection is None, never 0.

`correct` arrays hold 1 (right), 0 (wrong) and -1 (there is no such text), so that an edit that lacks a language is
averaged over by nobody. Equation numbers are those of the MPN paper, section 4.1.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from polypatch.edits import Lang

Percent: TypeAlias = float | None
"""0..100, or None where nothing was there to measure. Only retention can exceed 100."""

Ints: TypeAlias = npt.NDArray[np.int64]
Correct: TypeAlias = npt.NDArray[np.int8]
Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

MISSING = -1


class Locality(NamedTuple):
    """The field's three definitions of locality on one set, in per cent.

    Attributes:
        accuracy: MPN, eq. 13: accuracy of the edited model.
        retention: Transformer-Patcher: 100 × accuracy after ÷ accuracy before; above 100 where edits helped.
        agreement: EasyEdit: share of texts on which the edited and the unedited model say the same.
    """

    accuracy: Percent
    retention: Percent
    agreement: Percent


def share(correct: Correct, where: Mask | None = None) -> Percent:
    """100 × the mean of the cells that exist, among those selected by `where` (same shape); a micro average."""
    there = correct != MISSING
    chosen = correct[there if where is None else there & where]
    return None if chosen.size == 0 else 100.0 * int(chosen.sum()) / chosen.size


def mean(values: Iterable[Percent]) -> Percent:
    """The unweighted (macro) mean of the values that are defined; None when none is."""
    defined = [value for value in values if value is not None]
    # rounding in the sum must not carry the mean of 100s past 100
    return None if not defined else min(max(sum(defined) / len(defined), min(defined)), max(defined))


def accuracy(predicted: Ints, gold: Ints) -> Percent:
    """100 × mean of I(predicted = gold), over arrays of class indices of one shape (n,)."""
    return share(_right(predicted, gold))


def reliability(correct: Correct, source: Mask) -> Percent:
    """Eq. 10: E over D_edit of I(f(x; θ') = y), x the source-language prompt.

    `correct` and `source` are (edits, languages); `source` is True in the one source cell of each edit.
    """
    return share(correct, source)


def mlg(correct: Correct) -> Percent:
    """Eq. 11: E over D_rephrase of I(f(x; θ') = y): `correct` is (rephrases,), all edits' source rephrases in one row.

    A micro average: an edit with three rephrases weighs three times one with a single rephrase.
    """
    return share(correct)


def clg(correct: Correct, source: Mask, languages: Sequence[Lang]) -> dict[Lang, float]:
    """Eq. 12 per language: E over D_parallel in `lang` of I(f(x; θ') = y), source cells left out.

    `correct` and `source` are (edits, languages). A language that some edits lack is averaged over those that have it;
    one that no edit has as a parallel language does not appear.
    """
    columns = ((lang, share(correct[:, i], ~source[:, i])) for i, lang in enumerate(languages))
    return {lang: value for lang, value in columns if value is not None}


def clg_avg(by_language: Mapping[Lang, float]) -> Percent:
    """The tables' ``Avg.`` column: the unweighted mean of eq. 12 over the languages."""
    return mean(by_language.values())


def confidence(probability: Floats, where: Mask) -> tuple[Percent, Percent]:
    """Mean of the answers' probabilities among the cells in `where`, in per cent, and the share of them below a half.

    A threshold in production drops an answer that is right but unsure.
    """
    chosen = probability[where]
    if not chosen.size:
        return None, None
    return 100.0 * float(chosen.mean()), 100.0 * int((chosen < 0.5).sum()) / chosen.size


def retention(before: Ints, after: Ints, gold: Ints) -> Percent:
    """100 × accuracy after ÷ accuracy before (Transformer-Patcher's TrainR and TestR); None where before is 0."""
    return _ratio(accuracy(before, gold), accuracy(after, gold))


def agreement(before: Ints, after: Ints) -> Percent:
    """100 × mean of I(f(x; θ') = f(x; θ)): gold labels play no part (EasyEdit's locality)."""
    return accuracy(after, before)


def locality(before: Ints, after: Ints, gold: Ints) -> Locality:
    """Eq. 13 and the two other definitions, on one set: classes by the unedited model, the edited one, and gold."""
    return locality_of(_right(before, gold), _right(after, gold), _right(after, before))


def locality_of(right_before: Correct, right_after: Correct, same: Correct) -> Locality:
    """The same from what is right before and after, and whether both said the same, however that was judged."""
    was, now = share(right_before), share(right_after)
    return Locality(now, _ratio(was, now), share(same))


def _ratio(was: Percent, now: Percent) -> Percent:
    return None if not was or now is None else 100.0 * now / was


def _right(predicted: Ints, gold: Ints) -> Correct:
    if predicted.shape != gold.shape:
        raise ValueError(f"predictions and gold labels differ in shape: {predicted.shape} and {gold.shape}")
    return np.asarray(predicted == gold, dtype=np.int8)
