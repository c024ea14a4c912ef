import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from polypatch.evaluation import metrics

CORRECT = np.array([[1, 0, 1, -1], [0, 1, -1, -1], [1, 1, 0, -1]], dtype=np.int8)
SOURCE = np.array([[True, False, False, False]] * 3)


def ints(*values):
    return np.array(values, dtype=np.int64)


def test_reliability_is_the_share_of_right_source_cells():
    assert metrics.reliability(CORRECT, SOURCE) == pytest.approx(200 / 3)


def test_clg_is_per_language_over_the_edits_that_have_it():
    assert metrics.clg(CORRECT, SOURCE, ["en", "de", "fr", "zh"]) == {"de": pytest.approx(200 / 3), "fr": 50.0}


def test_clg_of_a_language_that_is_source_of_some_edits_only():
    source = np.array([[True, False], [False, True]])
    correct = np.array([[1, 0], [0, 1]], dtype=np.int8)
    assert metrics.clg(correct, source, ["en", "de"]) == {"en": 0.0, "de": 0.0}
    assert metrics.reliability(correct, source) == 100.0


def test_clg_avg_is_unweighted():
    assert metrics.clg_avg({"de": 100.0, "fr": 50.0, "zh": 0.0}) == 50.0


def test_mlg_counts_rephrases():
    assert metrics.mlg(np.array([1, 1, 0, 1], dtype=np.int8)) == 75.0


def test_the_three_localities_differ():
    before, after, gold = ints(1, 1, 1, 0), ints(1, 0, 0, 1), ints(1, 1, 1, 1)
    assert metrics.locality(before, after, gold) == (50.0, pytest.approx(200 / 3), 25.0)


def test_retention_can_exceed_100():
    assert metrics.retention(ints(0, 1), ints(1, 1), ints(1, 1)) == 200.0


def test_retention_of_a_model_that_knew_nothing_is_undefined():
    assert metrics.locality(ints(0, 0), ints(1, 0), ints(1, 1)) == (50.0, None, 50.0)


def test_nothing_to_measure_is_none_and_not_zero():
    none = ints()
    assert metrics.locality(none, none, none) == (None, None, None)
    assert metrics.mlg(np.array([], dtype=np.int8)) is None
    assert metrics.share(CORRECT, np.zeros_like(SOURCE)) is None
    assert metrics.clg(np.zeros((0, 1), dtype=np.int8), np.zeros((0, 1), dtype=bool), ["en"]) == {}
    assert metrics.mean([]) is None
    assert metrics.mean([None, None]) is None


def test_mean_skips_the_undefined():
    assert metrics.mean([None, 10.0, 20.0]) == 15.0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.accuracy(ints(1, 0), ints(1))


classes = arrays(np.int64, 20, elements=st.integers(0, 3))


@given(classes, classes, classes)
def test_percentages_are_percentages(before, after, gold):
    accuracy, retention, agreement = metrics.locality(before, after, gold)
    assert 0 <= accuracy <= 100
    assert 0 <= agreement <= 100
    assert retention is None or retention >= 0


@given(classes, classes)
def test_an_unchanged_model_agrees_with_itself_and_retains_everything(same, gold):
    _, retention, agreement = metrics.locality(same, same, gold)
    assert agreement == 100
    assert retention in (None, 100)


@given(arrays(np.int8, (6, 4), elements=st.integers(-1, 1)), arrays(np.bool_, (6, 4)))
def test_a_share_ignores_missing_cells(correct, where):
    value = metrics.share(correct, where)
    counted = where & (correct >= 0)
    assert (value is None) == (not counted.any())
    assert value is None or 0 <= value <= 100
    assert value == metrics.share(np.where(where, correct, -1).astype(np.int8))


@given(st.lists(st.floats(0, 100), min_size=1))
def test_a_mean_lies_between_its_values(values):
    assert min(values) <= metrics.mean(values) <= max(values)
