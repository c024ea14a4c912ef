import pytest

from polypatch.data import Sizes, load_data, load_edits
from polypatch.data.xnli import LABELS, LANGUAGES, load_xnli, read_xnli
from polypatch.errors import DataError

from .conftest import XNLI_LABELS, XNLI_PREMISES, write_table, xnli_pairs

SIZES = Sizes(memory=24, memory_other=12, validation=10, validation_other=6, locality_test=15)


def test_edits_are_the_test_rows_as_pairs(xnli_folder):
    edits = load_edits("xnli", xnli_folder)
    assert [edit.id for edit in edits] == [f"xnli-{i}" for i in range(1, 13)]
    assert [edit.prompt["sw"] for edit in edits] == xnli_pairs("test", "sw")
    assert [edit.target["en"] for edit in edits] == list(XNLI_LABELS) * XNLI_PREMISES["test"]
    assert not any(edit.rephrases for edit in edits)


def test_dev_gives_memory_validation_and_the_test_locality(xnli_folder):
    data = load_xnli(xnli_folder, sizes=SIZES, seed=3)
    assert {lang: len(texts) for lang, texts in data.memory.items()} == {"en": 24, "de": 12, "sw": 12}
    assert {lang: len(texts) for lang, texts in data.validation.items()} == {"en": 10, "de": 6, "sw": 6}
    assert set(data.locality) == {"test", "test.de", "test.sw"}
    dev = dict(zip(xnli_pairs("dev", "de"), XNLI_LABELS * XNLI_PREMISES["dev"], strict=True))
    assert all(dev[row.text] == row.label for row in data.locality["test.de"])
    assert load_data(f"xnli:{xnli_folder}", sizes=SIZES, seed=3) == data


def test_languages_and_labels_are_those_of_the_paper():
    assert len(LANGUAGES) == 15
    assert LABELS == ("entailment", "neutral", "contradiction")


def test_a_missing_language_lists_what_the_folder_has(xnli_folder):
    with pytest.raises(DataError, match=r"no text in 'th' \(has: de, en, sw\)"):
        read_xnli(xnli_folder, ["th"])


def test_languages_must_be_aligned(xnli_folder):
    good = xnli_pairs("test", "de")
    write_table(xnli_folder / "test-de.tsv.gz", good[:-1])
    with pytest.raises(DataError, match="test has 12 labels but 11 rows in 'de'"):
        read_xnli(xnli_folder)
    write_table(xnli_folder / "test-de.tsv.gz", [(*good[0], "neutral"), *good[1:]])
    with pytest.raises(DataError, match=r"test-de\.tsv\.gz row 1: label 'neutral', but .* says 'entailment'"):
        read_xnli(xnli_folder)
    write_table(xnli_folder / "test-de.tsv.gz", [*good, ("only a premise",)])
    with pytest.raises(DataError, match="row 13: 1 fields, expected premise, hypothesis"):
        read_xnli(xnli_folder)


def test_unknown_labels_and_missing_files(xnli_folder):
    gold = ["neutral"] * 11 + ["Neutral"]
    write_table(xnli_folder / "test.labels.tsv.gz", [("label", "genre"), *((label, "x") for label in gold)])
    with pytest.raises(DataError, match="test row 12: label 'Neutral' is not one of entailment, neutral"):
        read_xnli(xnli_folder)
    (xnli_folder / "dev-sw.tsv.gz").unlink()
    with pytest.raises(DataError, match=r"no dev-sw\.tsv\.gz"):
        read_xnli(xnli_folder)
    (xnli_folder / "dev.labels.tsv.gz").unlink()
    with pytest.raises(DataError, match=r"no dev\.labels\.tsv\.gz"):
        read_xnli(xnli_folder)


def test_multinli_gives_the_memory_and_what_was_trained_on(xnli_folder):
    # English alone, as MultiNLI is; and one row that dev has, too.
    pairs = [(f"Bird {i} sang.", f"Bird {i} {what}.") for i in range(20) for what in ("was heard", "was blue", "slept")]
    pairs[0] = xnli_pairs("dev", "en")[0]
    write_table(xnli_folder / "train.labels.tsv.gz", [("label", "genre"), *((gold, "x") for gold in XNLI_LABELS * 20)])
    write_table(xnli_folder / "train-en.tsv.gz", pairs)
    sizes = Sizes(memory=30, memory_other=5, validation=9, validation_other=4, locality_train=9, locality_test=12)
    data = load_xnli(xnli_folder, sizes=sizes, seed=3)
    assert {lang: len(texts) for lang, texts in data.memory.items()} == {"en": 30}
    assert set(data.memory["en"]) | {row.text for row in data.locality["train"]} <= set(pairs)
    assert {name: len(rows) for name, rows in data.locality.items()} == {
        "train": 9,
        "test": 12,
        "test.de": 12,
        "test.sw": 12,
    }
    assert {lang: len(texts) for lang, texts in data.validation.items()} == {"en": 9, "de": 4, "sw": 4}
    assert not {row.text for row in data.locality["test"]} & set(pairs)
    assert read_xnli(xnli_folder).sizes.memory == 40_000
