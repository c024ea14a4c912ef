"""A report in plain words: counted by hand, with one and with several of everything."""

from dataclasses import replace

import numpy as np
import pytest

from polypatch.evaluation import Report
from polypatch.evaluation.cells import Cells
from polypatch.evaluation.in_words import in_words, made_in_words
from polypatch.model.cost import Changed, Cost

from .fakes import outcome


def report(before, after):
    """Of edits in en, de and fr; -1 is a sentence that is not there."""
    n = len(before)
    cells = Cells(
        edits=tuple(map(str, range(n))),
        languages=("en", "de", "fr"),
        sampled=frozenset({"de"}),
        before=np.array(before, dtype=np.int8),
        after=np.array(after, dtype=np.int8),
        source=np.array([[True, False, False]] * n),
        trained=np.zeros((n, 3), dtype=bool),
        triggered=np.ones(n, dtype=bool),
    )
    return Report("polypatch", cells=cells)


SEVERAL = report([[0, 0, 0], [1, 0, -1], [0, 1, 0]], [[1, 1, 0], [1, 1, -1], [0, 0, 0]])


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        ([report([[0, 1, 1]], [[1, 1, 1]])], "1 wrong sentence is right now, in 1 language."),
        ([report([[1, 1, 1]], [[1, 1, 1]])], "0 wrong sentences are right now."),
        (
            [SEVERAL],
            "3 wrong sentences are right now, in 2 languages; 3 are still wrong; 1 that was right is wrong now.",
        ),
        (
            [SEVERAL, report([[0, 1, 0]], [[1, 0, 1]])],
            "5 wrong sentences are right now, in 3 languages; 3 are still wrong; 2 that were right are wrong now.",
        ),
        (
            [replace(SEVERAL, cells=None, cost=Cost({"en": Changed(900, 0), "de": Changed(300, 3)}))],
            "Elsewhere: 0.2 % of 1,200 other answers changed (de 1.0).",
        ),
        ([Report("original")], ""),
    ],
)
def test_sentences_are_counted_and_added_up(reports, said):
    assert in_words(reports) == said


def test_what_became_of_the_edits():
    taken, idle, failed = outcome("a"), outcome("b", triggered=False), outcome("c", success=False)
    assert made_in_words([taken, taken]) == "2 edits made, 2 took"
    assert made_in_words([taken, failed]) == "2 edits made, 1 took, 1 did not"
    assert made_in_words([taken, idle, failed]) == "3 edits: 2 needed a change, 1 took, 1 did not"
