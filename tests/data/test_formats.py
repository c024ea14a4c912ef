import pytest

from polypatch.data import FORMATS, load_data, load_edits
from polypatch.errors import DataError


def test_unknown_formats_list_the_known():
    with pytest.raises(DataError, match=r"unknown data format 'fever' \(known: hub, jsonl, massive, xnli\)"):
        load_data("fever:somewhere")
    with pytest.raises(DataError, match="known: hub, jsonl"):
        load_edits("csv", "x.csv")
    assert set(FORMATS) == {"hub", "jsonl", "massive", "xnli"}


@pytest.mark.parametrize("spec", ["massive", "massive:"])
def test_a_spec_without_a_place_says_how_to_write_one(spec):
    with pytest.raises(DataError, match="names no place; write massive:PLACE"):
        load_data(spec)


def test_paths_may_hold_colons(tmp_path):
    with pytest.raises(DataError, match="a:b: no such folder"):
        load_data(f"massive:{tmp_path}/a:b")


def test_an_unknown_hub_name_lists_the_known():
    with pytest.raises(DataError, match=r"no hub data set 'fever' \(known: massive, xnli\)"):
        load_data("hub:fever")
