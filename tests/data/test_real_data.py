"""The real MASSIVE and XNLI, where they are at hand: counts, alignment, balance, disjointness."""

import itertools
import json
from collections import Counter

import pytest

from polypatch.data import check_labels, load_data
from polypatch.data.xnli import LANGUAGES

pytestmark = pytest.mark.real

MASSIVE = ("en", "de", "fr", "es", "zh", "ar", "ru", "tr", "sw", "ur", "el", "hi", "th", "vi")


@pytest.fixture(scope="module")
def massive(shared):
    return load_data(f"massive:{shared / 'data' / 'massive'}", languages=MASSIVE, seed=0)


@pytest.fixture(scope="module")
def xnli(shared):
    return load_data(f"xnli:{shared / 'data' / 'xnli'}", languages=LANGUAGES, seed=0)


def disjoint(data):
    sets = {
        "edits": {text for edit in data.edits for text in edit.prompt.values()},
        "memory": set(data.memory_texts(data.memory)),
        "validation": set(data.validation_texts(data.validation)),
    }
    for name, rows in data.locality.items():
        sets.setdefault(name.split(".")[0], set()).update(row.text for row in rows)
    for one, two in itertools.combinations(sets, 2):
        assert not sets[one] & sets[two], (one, two)


def test_massive_counts(massive):
    assert len(massive.edits) == 1441
    assert all(edit.languages == MASSIVE for edit in massive.edits)
    assert {lang: len(texts) for lang, texts in massive.memory.items()} == {**dict.fromkeys(MASSIVE, 350), "en": 4000}
    assert len(massive.validation["en"]) == 1000
    assert len(massive.locality["train"]) == 2000
    assert len(massive.locality["test"]) == 1000
    assert all(len(rows) > 900 for rows in massive.locality.values())
    assert len(massive.locality) == 2 * len(MASSIVE)


def test_massive_sets_share_no_text_in_any_language(massive):
    disjoint(massive)


def test_massive_labels_are_the_checkpoint_s(massive, shared):
    config = json.loads((shared / "models" / "mini-mbert-massive" / "config.json").read_text(encoding="utf-8"))
    known = set(config["id2label"].values())
    assert len(known) == 60
    check_labels(massive.edits, known)
    assert {row.label for rows in massive.locality.values() for row in rows} <= known


def test_xnli_counts_and_balance(xnli):
    # the file at hand is the first half of the 5,010 test rows
    assert len(xnli.edits) == 2505
    assert all(set(edit.languages) == set(LANGUAGES) for edit in xnli.edits)
    assert Counter(edit.target["en"] for edit in xnli.edits) == dict.fromkeys(
        ("entailment", "neutral", "contradiction"), 835
    )
    assert len(xnli.memory["en"]) == 1000
    assert len(xnli.locality["test"]) == len(xnli.locality["test.th"]) == 1000
    assert "train" not in xnli.locality


def test_xnli_rows_are_aligned(xnli):
    # every premise has three hypotheses, one after another; if a file slipped by a row, the threes would not line up
    for lang in ("en", "de"):
        premises = [edit.prompt[lang][0] for edit in xnli.edits]
        assert [len(list(group)) for _, group in itertools.groupby(premises)] == [3] * 835
    digits = [
        (edit.id, number)
        for edit in xnli.edits
        for number in ("1920", "1996", "2000")
        if (number in edit.prompt["en"][0]) != (number in edit.prompt["de"][0])
    ]
    assert not digits


def test_xnli_sets_share_no_text_and_no_premise(xnli):
    disjoint(xnli)
    scored = {row.text[0] for row in xnli.locality["test"]}
    assert not scored & {text[0] for text in xnli.memory["en"]}
    assert not scored & {text[0] for text in xnli.validation["en"]}


@pytest.mark.parametrize("spec", ["massive", "xnli"])
def test_same_seed_same_data(shared, spec):
    place = f"{spec}:{shared / 'data' / spec}"
    assert load_data(place, languages=["en", "de"], seed=7) == load_data(place, languages=["en", "de"], seed=7)
