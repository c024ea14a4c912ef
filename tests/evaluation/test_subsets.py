import pytest

from polypatch.errors import InputError
from polypatch.evaluation import prompts, source_errors, wrong_everywhere

from .fakes import ANSWERS, EDITS

BEFORE = {text: was for text, (was, _) in ANSWERS.items()}


def ids(edits):
    return [edit.id for edit in edits]


def test_prompts_are_distinct_and_in_order():
    assert prompts(EDITS[:1] * 2, ["en", "de"]) == ["e1 en", "e1 de"]
    assert len(prompts(EDITS)) == 12


def test_source_errors():
    assert source_errors(EDITS, BEFORE) == 3


def test_wrong_everywhere_in_given_languages():
    assert ids(wrong_everywhere(EDITS, BEFORE, ["en"])) == ["e1", "e2", "e4"]
    assert ids(wrong_everywhere(EDITS, BEFORE, ["en", "de"])) == ["e1", "e2"]
    assert ids(wrong_everywhere(EDITS, BEFORE, ["en", "zh"])) == ["e2", "e4"]


def test_wrong_everywhere_in_the_edits_own_languages():
    assert ids(wrong_everywhere(EDITS, BEFORE)) == ["e2", "e4"]


def test_a_missing_prediction_is_named():
    with pytest.raises(InputError, match=r"'e1'.*'en'"):
        wrong_everywhere(EDITS, {})
