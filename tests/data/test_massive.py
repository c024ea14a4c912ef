import pytest

from polypatch.data import Sizes, load_edits
from polypatch.data.massive import LOCALES, load_massive, read_massive, read_massive_all, read_massive_dev
from polypatch.errors import DataError

from .conftest import LANGUAGES, PARTITIONS, massive_rows, write_table

SIZES = Sizes(memory=20, memory_other=9, validation=12, validation_other=6, locality_train=15, locality_test=14)


def test_edits_are_the_test_rows_in_file_order_in_every_language(massive_folder):
    edits = load_edits("massive", massive_folder)
    expected = [row for row in massive_rows() if row[1] == "test"]
    assert [edit.id for edit in edits] == [f"massive-{row[0]}" for row in expected]
    for edit, (_, _, intent, texts) in zip(edits, expected, strict=True):
        assert edit.prompt == dict(zip(LANGUAGES, texts, strict=True))
        assert edit.target == {"en": intent}
        assert edit.target_in("de") == intent


def test_sets_come_from_their_partitions_and_avoid_the_planted_repeats(massive_folder):
    data = load_massive(massive_folder, sizes=SIZES, seed=1)
    assert data.name == "massive"
    assert {lang: len(texts) for lang, texts in data.memory.items()} == {"en": 20, "de": 9, "fr": 9}
    assert {lang: len(texts) for lang, texts in data.validation.items()} == {"en": 12, "de": 6, "fr": 6}
    partition = {text: row[1] for row in reversed(massive_rows()) for text in row[3]}
    used = {"memory": "train", "validation": "dev", "train": "train", "test": "dev"}
    found = {"memory": data.memory["de"], "validation": data.validation["fr"]}
    found |= {name: [row.text for row in data.locality[name]] for name in ("train", "test")}
    for name, texts in found.items():
        assert {partition[text] for text in texts} == {used[name]}
    assert {row.label for row in data.locality["train.de"]} == {"lights_on", "lights_off", "timer_set"}


def test_every_usable_row_can_be_used(massive_folder):
    # 60 train rows and 3 planted: one is an edit's text, one a repeat; the German repeat is fine in English
    assert len(load_massive(massive_folder, sizes=Sizes(memory=PARTITIONS["train"] + 1)).memory["en"]) == 61
    with pytest.raises(DataError, match="62 rows asked for memory, but only 61"):
        load_massive(massive_folder, sizes=Sizes(memory=62))
    everything = load_massive(massive_folder, sizes=Sizes(memory_other=99)).memory
    assert len(everything["de"]) == 60, "the German of an edit is no memory, whatever its English says"
    assert len(everything["fr"]) == 61


def test_default_sizes_are_too_large_for_a_small_corpus_and_say_so(massive_folder):
    with pytest.raises(DataError, match="massive: 2000 rows asked for locality train, but only 61 are left"):
        load_massive(massive_folder)


def test_another_source_language(massive_folder):
    data = load_massive(massive_folder, languages=["en"], source="fr", sizes=SIZES)
    assert data.edits[0].source == "fr"
    assert data.edits[0].languages == ("fr", "en")
    assert len(data.memory["fr"]) == 20
    assert set(data.locality) == {"train", "test", "train.en", "test.en"}


def test_a_missing_language_lists_what_the_folder_has(massive_folder):
    with pytest.raises(DataError, match=r"massive: no text in 'bg' \(has: de, en, fr\)"):
        load_edits("massive", massive_folder, languages=["en", "bg"])
    (massive_folder / "en-US.tsv.gz").unlink()
    with pytest.raises(DataError, match=r"no text in 'en' \(has: de, fr\)"):
        read_massive(massive_folder)


def test_broken_folders(massive_folder, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_massive(tmp_path / "gone")
    write_table(massive_folder / "de-DE.tsv.gz", [("id", "utt"), ("0", "nur eine")])
    with pytest.raises(DataError, match="row '1' has no text in 'de'"):
        read_massive(massive_folder)
    write_table(massive_folder / "de-DE.tsv.gz", [("id", "utt"), ("0", "eine"), ("0", "noch eine")])
    with pytest.raises(DataError, match="row 3: id '0' is already the id of row 2"):
        read_massive(massive_folder)
    write_table(massive_folder / "labels.tsv.gz", [("id", "partition", "scenario", "intent"), ("0", "exam", "a", "b")])
    with pytest.raises(DataError, match="row '0' is in partition 'exam'"):
        read_massive(massive_folder, ["en"])


def test_locales():
    assert len(LOCALES) == 51
    assert (LOCALES["zh"], LOCALES["en"], LOCALES["sw"]) == ("zh-CN", "en-US", "sw-KE")


def test_the_long_stream_has_every_row_once_and_in_one_place(massive_folder):
    short, long = read_massive(massive_folder), read_massive_all(massive_folder)
    rows = [*(edit.id for edit in long.edits), *(f"massive-{row.id}" for row in (*long.train, *long.held_out))]
    everything = (*short.train, *short.held_out)
    assert sorted(rows) == sorted([*(edit.id for edit in short.edits), *(f"massive-{row.id}" for row in everything)])
    assert long.edits[: len(short.edits)] == short.edits
    assert {f"massive-{row.id}" for row in short.held_out} <= {edit.id for edit in long.edits}
    assert long.train
    assert long.held_out


def test_choosing_settings_looks_at_dev_alone(massive_folder):
    short, dev = read_massive(massive_folder), read_massive_dev(massive_folder)
    rows = [*(edit.id for edit in dev.edits), *(f"massive-{row.id}" for row in dev.held_out)]
    assert sorted(rows) == sorted(f"massive-{row.id}" for row in short.held_out)
    assert dev.train == short.train
    assert abs(len(dev.edits) - len(dev.held_out)) <= 1
