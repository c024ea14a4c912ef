"""The real data sets of facts, where they are at hand: counts, alignment, traps, disjointness."""

from collections import Counter

import pytest

from polypatch.data import load_data, load_edits
from polypatch.data.traps import LEAKED, SAME

from .test_real_data import disjoint

pytestmark = pytest.mark.real

MZSRE = ("en", "zh", "cs", "de", "nl", "es", "fr", "pt", "ru", "th", "tr", "vi")
MINI_LM = ("en", "de", "fr", "es", "zh", "ar", "ru", "vi")


def test_facts_of_mini_lm(shared):
    data = load_data(f"facts:{shared / 'models' / 'mini-lm' / 'facts.jsonl.gz'}", languages=MINI_LM)
    assert Counter(bool(edit.ground_truth) for edit in data.edits) == {True: 588, False: 585}, "wrong, and unknown"
    assert not [edit for edit in data.edits if edit.languages_without_target]
    assert {lang for edit in data.edits for lang in edit.languages} == set(MINI_LM)
    assert min(len(edit.rephrases["en"]) for edit in data.edits) >= 1
    assert set(data.memory) == set(data.validation) == set(data.parallel) == set(MINI_LM)
    assert len(data.locality["known"]) == 300
    assert len({len(texts) for texts in data.parallel.values()}) == 1
    disjoint(data)
    once = load_edits("facts-once", shared / "models" / "mini-lm" / "facts.jsonl.gz")
    assert len(once) == 998


def test_mzsre(shared):
    data = load_data(f"mzsre:{shared / 'data' / 'mzsre'}", languages=MZSRE)
    assert len(data.edits) == 743
    assert all(edit.languages == MZSRE and not edit.languages_without_target for edit in data.edits)
    assert {lang: len(texts) for lang, texts in data.memory.items()} == {**dict.fromkeys(MZSRE, 600), "tr": 599}
    assert len(data.locality["known"]) == len(data.locality["known.th"]) == 300
    assert not [row for row in data.locality["neighborhood"] if row.text.startswith("nq question")]
    disjoint(data)


def test_traps_of_mzsre(shared):
    notes = {lang: load_data(f"mzsre:{shared / 'data' / 'mzsre'}", languages=[], source=lang).notes for lang in MZSRE}
    same = {lang: found.get(SAME, 0) for lang, found in notes.items()}
    assert same.pop("en") == same.pop("zh") == 0
    assert (min(same.values()), max(same.values())) == (123, 194)
    assert notes["en"][LEAKED] == 202


def test_mlake_has_aliases_in_every_language(shared):
    edits = load_edits("mlake", shared / "data" / "mlake")
    assert len(edits) == 1072
    assert all(set(edit.languages) == {"en", "zh", "ja", "fr", "de"} for edit in edits)
    assert Counter(lang for edit in edits for lang in edit.aliases) == {
        "de": 80,
        "ja": 68,
        "fr": 55,
        "en": 49,
        "zh": 16,
    }


def test_mpararel_has_a_question_once(shared):
    data = load_data(f"mpararel:{shared / 'data' / 'mpararel'}", languages=["en", "de", "zh"])
    assert len(data.edits) == 1993
    assert data.notes["facts left out whose question has another answer already"] == 6139 - 4280
    assert len(data.locality["known"]) == 300
    disjoint(data)
