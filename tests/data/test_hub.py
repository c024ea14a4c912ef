"""Hub rows give what the files give; nothing here touches a network."""

import json

import datasets
import pytest

from polypatch.data import assemble, load_edits
from polypatch.data.hub import (
    HUB,
    load_hub,
    massive_from_datasets,
    read_hub,
    xnli_from_all_languages,
    xnli_from_datasets,
)
from polypatch.data.hub_facts import knowedit_from_datasets, wikibigedit_from_datasets
from polypatch.data.massive import read_massive
from polypatch.data.rows import Sizes
from polypatch.data.xnli import LABELS, read_xnli
from polypatch.errors import DataError

from .conftest import LANGUAGES, LOCALES, PHRASES, XNLI_PHRASES, XNLI_PREMISES, massive_rows, xnli_pairs
from .fact_sets import counterfact_file, wikibigedit_folder, write_json

INTENTS = datasets.ClassLabel(names=sorted(PHRASES))
SPLITS = {"train": "train", "validation": "dev", "test": "test"}


def massive_split(lang, partition, *, intent=INTENTS):
    k = LANGUAGES.index(lang)
    rows = [
        {"id": i, "locale": LOCALES[lang], "partition": part, "utt": texts[k],
         "intent": INTENTS.str2int(name) if intent is INTENTS else name}
        for i, part, name, texts in massive_rows() if partition in (None, part)
    ]  # fmt: skip
    text = datasets.Value("string")
    features = datasets.Features({"id": text, "locale": text, "partition": text, "utt": text, "intent": intent})
    return datasets.Dataset.from_list(rows, features=features)


def massive_dict(lang):
    return datasets.DatasetDict({split: massive_split(lang, part) for split, part in SPLITS.items()})


def xnli_split(part, lang):
    label = datasets.ClassLabel(names=list(LABELS))
    rows = [
        {"premise": premise, "hypothesis": hypothesis, "label": i % 3}
        for i, (premise, hypothesis) in enumerate(xnli_pairs(part, lang))
    ]
    text = datasets.Value("string")
    return datasets.Dataset.from_list(
        rows, features=datasets.Features({"premise": text, "hypothesis": text, "label": label})
    )


def xnli_dict(lang):
    return datasets.DatasetDict({"validation": xnli_split("dev", lang), "test": xnli_split("test", lang)})


def all_languages(part):
    columns = {lang: xnli_pairs(part, lang) for lang in sorted(XNLI_PHRASES)}
    rows = [
        {
            "premise": {lang: columns[lang][i][0] for lang in columns},
            "hypothesis": {"language": list(columns), "translation": [columns[lang][i][1] for lang in columns]},
            "label": i % 3,
        }
        for i in range(3 * XNLI_PREMISES[part])
    ]
    languages = sorted(columns)
    features = datasets.Features({
        "premise": datasets.Translation(languages),
        "hypothesis": datasets.TranslationVariableLanguages(languages),
        "label": datasets.ClassLabel(names=list(LABELS)),
    })  # fmt: skip
    return datasets.Dataset.from_list(rows, features=features)


def same(one, two):
    """Equal but for the order of rows, which a hub lists by split and the file by id."""
    assert one.languages == two.languages
    assert one.edits == two.edits
    assert sorted(one.train) == sorted(two.train)
    assert sorted(one.held_out) == sorted(two.held_out)


def test_massive_splits_give_what_the_files_give(massive_folder):
    material = massive_from_datasets({lang: massive_dict(lang) for lang in LANGUAGES})
    same(material, read_massive(massive_folder, LANGUAGES))


@pytest.mark.parametrize("intent", [INTENTS, datasets.Value("string")], ids=["ClassLabel", "string"])
def test_massive_in_one_data_set_is_split_by_its_partition_column(massive_folder, intent):
    material = massive_from_datasets({lang: massive_split(lang, None, intent=intent) for lang in LANGUAGES})
    same(material, read_massive(massive_folder, LANGUAGES))


def test_xnli_configurations_and_all_languages_give_what_the_files_give(xnli_folder):
    expected = read_xnli(xnli_folder, ["de", "sw"])
    assert xnli_from_datasets({lang: xnli_dict(lang) for lang in ("en", "de", "sw")}) == expected
    splits = datasets.DatasetDict({"validation": all_languages("dev"), "test": all_languages("test")})
    assert xnli_from_all_languages(splits, languages=["de", "sw"]) == expected
    data = assemble(xnli_from_all_languages(splits), sizes=Sizes(memory=9, locality_test=9))
    assert len(data.memory["en"]) == len(data.locality["test.sw"]) == 9


def test_broken_rows_are_data_errors():
    with pytest.raises(DataError, match=r"MASSIVE: no column 'intent' \(has: id, locale, partition, utt\)"):
        massive_from_datasets({"en": massive_split("en", None).remove_columns("intent")})
    with pytest.raises(DataError, match="row '12' has no text in 'de'"):
        massive_from_datasets({"en": massive_split("en", None), "de": massive_split("de", None).select(range(12))})
    with pytest.raises(DataError, match=r"XNLI: no split 'test' \(has: validation\)"):
        xnli_from_datasets({"en": {"validation": xnli_split("dev", "en")}})
    german = {"validation": xnli_split("dev", "de"), "test": xnli_split("test", "de").select([1, 0, 2])}
    with pytest.raises(DataError, match="test in 'de' has other labels than the source language"):
        xnli_from_datasets({"en": xnli_dict("en"), "de": german})
    with pytest.raises(DataError, match=r"XNLI validation: no text in 'fr' \(has: de, en, sw\)"):
        xnli_from_all_languages({"validation": all_languages("dev"), "test": all_languages("test")}, languages=["fr"])


def test_a_missing_gold_label_is_a_data_error():
    unlabelled = xnli_split("test", "en").map(lambda row: {"label": -1})
    with pytest.raises(DataError, match="column 'label' holds a label without a name"):
        xnli_from_datasets({"en": {"validation": xnli_split("dev", "en"), "test": unlabelled}})


@pytest.fixture
def quiet_datasets():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.mark.usefixtures("quiet_datasets")
def test_the_loader_reads_a_local_folder_in_the_layout_of_the_hub(tmp_path, massive_folder, xnli_folder):
    repository, cache = tmp_path / "repository", tmp_path / "cache"
    loaders = {"massive": (massive_dict, LANGUAGES), "xnli": (xnli_dict, ("en", "de", "sw"))}
    for name, (splits, languages) in loaders.items():
        for lang in languages:
            for split, rows in splits(lang).items():
                folder = repository / name / HUB[name].configs[lang] / split
                folder.mkdir(parents=True)
                rows.to_parquet(folder / "0000.parquet")
    massive = read_hub("massive", ["de", "fr"], repository=repository / "massive", cache_dir=cache)
    same(massive, read_massive(massive_folder, ["de", "fr"]))
    xnli = read_hub("xnli", ["de", "sw"], repository=repository / "xnli", cache_dir=cache)
    assert xnli == read_xnli(xnli_folder, ["de", "sw"])


@pytest.mark.usefixtures("quiet_datasets")
def test_data_sets_of_facts_are_read_as_their_files_are(tmp_path):
    """The Parquet copy of one, and the JSON files of the two others."""
    counterfact = counterfact_file(tmp_path)
    rows = json.loads(counterfact.read_text(encoding="utf-8"))[:-1]
    folder, cache = tmp_path / "counterfact", tmp_path / "cache"
    for split, part in (("train", rows[:3]), ("test", rows[3:])):
        (folder / "default" / split).mkdir(parents=True)
        datasets.Dataset.from_list(part).to_parquet(folder / "default" / split / "0000.parquet")
    found = read_hub("counterfact", repository=folder, cache_dir=cache)
    assert found.edits == tuple(load_edits("counterfact", counterfact)[:-1])
    assert len(found.locality["neighborhood"]) == 10

    place = wikibigedit_folder(tmp_path)
    found = read_hub("wikibigedit", repository=place, cache_dir=cache)
    expected = load_edits("wikibigedit", place)
    assert [edit.prompt for edit in found.edits] == [edit.prompt for edit in expected]
    assert [edit.portability for edit in found.edits] == [edit.portability for edit in expected]

    near = {"Relation_Specificity": [{"prompt": "The train goes to", "ground_truth": "Malmö"}], "Forgetfulness": None}
    row = {"subject": "ferry", "prompt": "The ferry goes to", "target_new": "Aarhus", "ground_truth": ["Grenaa"],
           "portability": {"Hop": [{"prompt": "Off to Aarhus", "ground_truth": [["x", "y"]]}]},
           "locality": near}  # fmt: skip
    write_json(tmp_path / "knowedit" / "benchmark" / "ZsRE" / "ZsRE-test-all.json", [row, {**row, "locality": {}}])
    found = read_hub("zsre", repository=tmp_path / "knowedit", cache_dir=cache)
    assert [edit.id for edit in found.edits] == ["zsre-1", "zsre-2"]
    assert list(found.edits[0].portability) == ["Hop (holds the answer)"]
    assert [row.label for row in found.locality["Relation_Specificity"]] == ["Malmö"]


def test_a_broken_row_of_facts_is_named():
    rows = datasets.Dataset.from_list([{"update": "Who?", "ans": "me"}, {"update": "Who?", "ans": " "}])
    with pytest.raises(DataError, match=r"WikiBigEdit row 2: field 'ans': empty"):
        wikibigedit_from_datasets({"en": rows})
    with pytest.raises(DataError, match=r"KnowEdit train row 1: field 'target_new': missing"):
        knowedit_from_datasets({"en": {"train": rows.rename_column("update", "prompt")}})


def test_what_cannot_be_loaded_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"hub data set .*empty, en-US: cannot be loaded") as caught:
        read_hub("massive", ["en"], repository=tmp_path / "empty", cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_unknown_languages_are_refused_before_any_download():
    with pytest.raises(DataError, match="hub:xnli: no text in 'it'"):
        load_hub("xnli", languages=["it"])
