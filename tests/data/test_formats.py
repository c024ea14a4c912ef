import json

import pytest

from polypatch.data import load_data, load_edits
from polypatch.errors import DataError


def test_unknown_formats_list_the_known():
    with pytest.raises(
        DataError,
        match=r"format 'fever' \(known: bmike53, counterfact, csv, facts, facts-once, hub, jsonl, klar, massive, mass",
    ):
        load_data("fever:somewhere")
    with pytest.raises(DataError, match="known: bmike53, counterfact, csv"):
        load_edits("xlsx", "x.xlsx")


@pytest.mark.parametrize("spec", ["massive", "massive:"])
def test_a_spec_without_a_place_says_how_to_write_one(spec):
    with pytest.raises(DataError, match="names no place; write massive:PLACE"):
        load_data(spec)


def test_paths_may_hold_colons(tmp_path):
    with pytest.raises(DataError, match="a:b: no such folder"):
        load_data(f"massive:{tmp_path}/a:b")


def test_an_unknown_hub_name_lists_the_known():
    with pytest.raises(
        DataError, match=r"no hub data set 'fever' \(known: counterfact, massive, wikibigedit, xnli, zsre\)"
    ):
        load_data("hub:fever")


def test_an_xfever_folder_is_taken_as_it_was_made(tmp_path):
    edit = {"id": "fever-1", "prompt": {"en": "A.", "de": "B.", "ar": "C."}, "target_new": "SUPPORTS"}
    claims = "".join(f'{{"text": "{name}{i}", "label": "SUPPORTS"}}\n' for name in "x" for i in range(3))
    (tmp_path / "edits.jsonl").write_text(json.dumps(edit) + "\n", encoding="utf-8")
    (tmp_path / "memory.jsonl").write_text(
        '{"lang": "en", "text": "M"}\n{"lang": "ar", "text": "N"}\n', encoding="utf-8"
    )
    for name in ("validation", "test", "locality-train"):
        (tmp_path / f"{name}.jsonl").write_text(claims, encoding="utf-8")
    spec = f"xfever-edit:{tmp_path}"
    data = load_data(spec, languages=["en", "de"], seed=7)
    assert dict(data.edits[0].prompt) == {"en": "A.", "de": "B."}
    assert data.memory == {"en": ["M"]}
    assert {name: len(rows) for name, rows in data.locality.items()} == {"train": 3, "test": 3}
    assert load_data(spec).memory == {"en": ["M"], "ar": ["N"]}
    assert load_edits("xfever-edit", tmp_path, ["ar"])[0].languages == ("en", "ar")
    with pytest.raises(DataError, match="no text in 'zh'"):
        load_data(spec, languages=["zh"])
    with pytest.raises(DataError, match="its sets have their sizes already"):
        load_data(spec, sizes={"memory": 1})
