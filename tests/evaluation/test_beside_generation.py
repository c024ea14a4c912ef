"""Perplexity and teacher-forced accuracy: what is measured without anybody being asked."""

import math

import numpy as np
import pytest

from polypatch.errors import InputError
from polypatch.evaluation import perplexities, perplexity, token_accuracies, token_accuracy


def uniform(choices):
    """A model for which each of `choices` next words is as likely as the others; the first word has no probability."""
    return lambda texts: [np.full(len(text.split()) - 1, -math.log(choices), dtype=np.float32) for text in texts]


def test_a_uniform_model_is_as_perplexed_as_it_has_choices():
    texts = {"en": ["a b c", "d e"], "de": ["f g"], "fr": ["h"], "ar": []}
    assert perplexity(texts, uniform(8)) == pytest.approx({"en": 8, "de": 8})
    assert perplexities(texts, uniform(8), uniform(9))["de"] == pytest.approx((8, 9))


def test_tokens_weigh_the_same_whatever_text_they_are_in():
    given = {"a": np.log([0.5]), "b": np.log([0.125, 0.125, 0.125])}
    found = perplexity({"en": ["a", "b"]}, lambda texts: [given[text] for text in texts])
    assert found == pytest.approx({"en": 2 ** (10 / 4)})


def test_a_token_that_cannot_be():
    assert perplexity({"en": ["a"]}, lambda _: [np.array([-np.inf, -1.0])]) == {"en": math.inf}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [([], "1 texts in 'en' were asked for, 0 arrays"), ([np.array([0.1])], "is 0.1"), ([np.array([np.nan])], "is nan")],
)
def test_what_is_no_log_probability(arrays, said):
    with pytest.raises(InputError, match=said):
        perplexity({"en": ["a"]}, lambda _: arrays)


def test_both_models_have_the_same_tokens():
    with pytest.raises(InputError, match="in en"):
        perplexities({"en": ["a b"]}, uniform(2), lambda texts: [np.zeros(0) for _ in texts])


def test_token_accuracy_is_a_mean_of_means():
    assert token_accuracy([[True, True, False, True], [False]]) == pytest.approx(37.5)
    assert token_accuracy([[], np.array([True])]) == 100
    assert token_accuracy([]) is token_accuracy([[]]) is None


def test_token_accuracy_by_language():
    before, after = {"en": [[False, True]], "de": [[False]]}, {"en": [[True, True]], "de": [[True]]}
    assert token_accuracies(before, after) == {"en": (50, 100), "de": (0, 100)}
    with pytest.raises(InputError, match="de"):
        token_accuracies(before, {"en": []})
