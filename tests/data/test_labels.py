import pytest

from polypatch.data import check_labels
from polypatch.edits import Edit
from polypatch.errors import UnknownLabelError

KNOWN = ("entailment", "neutral", "contradiction")


def edit(**target):
    return Edit("nli-7", {"en": "x"}, target)


def test_known_labels_pass():
    check_labels([edit(en="neutral"), edit(en="neutral", de="entailment")], KNOWN)
    check_labels([], KNOWN)


def test_a_typo_names_edit_label_and_the_closest():
    with pytest.raises(UnknownLabelError, match=r"'nli-7': .* 'entailmnet' \(target in 'en'\); closest: 'entailment'"):
        check_labels([edit(en="entailmnet")], KNOWN)


def test_another_case_is_found_and_every_language_is_checked():
    with pytest.raises(
        UnknownLabelError, match=r"'NEUTRAL' \(target in 'de'\); only case or spaces differ from 'neutral': write it so"
    ):
        check_labels([edit(en="neutral", de="NEUTRAL")], KNOWN)


def test_nothing_close_lists_what_the_model_has():
    with pytest.raises(UnknownLabelError, match=r"it has 3: entailment, neutral, contradiction$"):
        check_labels([edit(en="qqq")], KNOWN)
    with pytest.raises(UnknownLabelError, match=r"it has 60: .*, …$"):
        check_labels([edit(en="qqq")], [f"LABEL_{i}" for i in range(60)])
