"""The laws of sampling: exact sizes, disjoint sets, nested memories, same seed same sets."""

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypatch.data import CorpusRow, Material, Sizes, assemble
from polypatch.data.rows import choose_languages, to_edits
from polypatch.errors import DataError

SIZES = Sizes(memory=3, memory_other=2, validation=2, validation_other=2, locality_train=2, locality_test=2)


def repetitive(seed, train):
    """90 rows over 120 words, so that texts repeat within a language, between languages and between partitions."""
    rng = random.Random(seed)
    rows = [CorpusRow(str(i), {lang: f"w{rng.randrange(120)}" for lang in ("en", "de")}, "yes") for i in range(90)]
    edits = to_edits("m", rows[:12], ("en", "de"))
    sizes = SIZES if train else replace(SIZES, locality_train=0)
    return Material("m", ("en", "de"), edits, rows[12:50] if train else (), rows[50:], sizes=sizes)


def sets_of(data):
    sets = {
        "edits": {text for edit in data.edits for text in edit.prompt.values()},
        "memory": {text for column in data.memory.values() for text in column},
        "validation": {text for column in data.validation.values() for text in column},
    }
    for name, rows in data.locality.items():
        sets.setdefault(name.split(".")[0], set()).update(row.text for row in rows)
    return sets


@given(rows=st.integers(0, 2**32), train=st.booleans(), seed=st.integers(0, 99))
def test_no_text_is_in_two_sets_in_any_language_and_sizes_are_exact(rows, train, seed):
    material = repetitive(rows, train)
    data = assemble(material, seed=seed)
    for (_, one), (_, two) in itertools.combinations(sets_of(data).items(), 2):
        assert not one & two
    assert [len(data.memory["en"]), len(data.validation["en"]), len(data.locality["test"])] == [3, 2, 2]
    assert ("train" in data.locality) == bool(material.train)
    columns = [*data.memory.values(), *data.validation.values(), *data.locality.values()]
    assert all(len(column) == len(set(column)) for column in columns)


def parallel(sizes=SIZES, rows=60):
    made = [CorpusRow(str(i), {"en": f"e{i}", "de": f"d{i}", "fr": f"f{i}"}, "yes") for i in range(rows)]
    third = rows // 3
    edits = to_edits("m", made[:third], ("en", "de", "fr"))
    return Material("m", ("en", "de", "fr"), edits, made[third : 2 * third], made[2 * third :], sizes=sizes)


def test_same_seed_same_sets_and_another_seed_others():
    assert assemble(parallel(), seed=4) == assemble(parallel(), seed=4)
    assert assemble(parallel(), seed=4) != assemble(parallel(), seed=5)


def test_a_larger_memory_holds_the_smaller_and_leaves_locality_alone():
    small, large = assemble(parallel()), assemble(parallel(), sizes=Sizes(9, 5, 2, 2, 2, 2))
    assert large.memory["en"][:3] == small.memory["en"]
    assert large.memory["de"][:2] == small.memory["de"]
    assert (large.locality, large.validation) == (small.locality, small.validation)


def test_locality_in_another_language_is_the_same_rows_and_memory_is_not():
    data = assemble(parallel(sizes=Sizes(8, 8, 0, 0, 5, 5)))
    for name in ("train", "test"):
        numbers = [row.text[1:] for row in data.locality[name]]
        assert [row.text[1:] for row in data.locality[f"{name}.fr"]] == numbers
    assert [text[1:] for text in data.memory["en"]] != [text[1:] for text in data.memory["de"]]
    assert not data.validation


def test_a_set_that_cannot_be_filled_is_an_error_not_a_smaller_set():
    for sizes in (Sizes(memory=21), Sizes(validation=21), Sizes(locality_train=21), Sizes(locality_test=21)):
        with pytest.raises(DataError, match=r"m: 21 rows asked for .* only 20 are left"):
            assemble(parallel(sizes))
    assert len(assemble(parallel(Sizes(memory=1, memory_other=99))).memory["de"]) == 20, "other languages: at most"
    with pytest.raises(DataError, match="size memory is -1"):
        Sizes(memory=-1)


def test_pairs_with_one_premise_never_go_to_two_sets():
    rows = [CorpusRow(str(i), {"en": (f"p{i // 3}", f"h{i}"), "de": (f"q{i // 3}", f"g{i}")}, "yes") for i in range(90)]
    edits = to_edits("m", [CorpusRow("e", {"en": ("p0", "new"), "de": ("q0", "neu")}, "yes")], ("en", "de"))
    material = Material("m", ("en", "de"), edits, held_out=rows, sizes=Sizes(20, 9, 10, 4, 0, 14))
    data = assemble(material)
    premises = {name: {text[0].replace("q", "p") for text in texts} for name, texts in sets_of(data).items()}
    assert set(premises) == {"edits", "memory", "validation", "test"}
    for one, two in itertools.combinations(premises.values(), 2):
        assert not one & two


def test_choose_languages():
    assert choose_languages(None, ["de", "en"], source="en", where="x") == ("en", "de")
    assert choose_languages(["de", "de"], ["de", "en"], source="en", where="x") == ("en", "de")
    with pytest.raises(DataError, match=r"x: no text in 'fr', 'it' \(has: de, en\)"):
        choose_languages(["fr", "it"], ["en", "de"], source="en", where="x")
    assert choose_languages(["de?", "fr?"], ["en", "de"], source="en", where="x") == ("en", "de")
    with pytest.raises(DataError, match=r"x: no text in 'fr' "):
        choose_languages(["de?", "fr"], ["en"], source="en", where="x")
    with pytest.raises(DataError, match=r"no text in 'en' \(has: none\)"):
        choose_languages(None, [], source="en", where="x")
