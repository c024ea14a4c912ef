"""The examples in docs/data-format.md are read, written and read again; the errors it shows are the real ones."""

import itertools
import json
import re
from pathlib import Path

import pytest

from polypatch.data import FORMATS, load_data
from polypatch.data.record import edit_from_record, record_from_edit
from polypatch.errors import DataError

from .fact_sets import SETS

DOC = (Path(__file__).resolve().parents[2] / "docs" / "data-format.md").read_text(encoding="utf-8")
PARTS = DOC.split("```jsonl\n")
ROWS = [
    (re.findall(r"^`(\w+)`", before, flags=re.MULTILINE)[-1], after.split("```")[0])
    for before, after in itertools.pairwise(PARTS)
]
EXAMPLES = re.findall(r"```json\n(.*?)```", DOC, flags=re.DOTALL)


def read(text):
    return edit_from_record(json.loads(text), default_id="row-1")


def test_there_are_examples():
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_read_and_written(text):
    edit = read(text)
    assert edit_from_record(record_from_edit(edit), default_id="") == edit


def test_the_full_example_is_written_as_it_stands():
    assert record_from_edit(read(EXAMPLES[1])) == json.loads(EXAMPLES[1])


def test_there_is_a_row_of_every_data_set_of_facts():
    assert {name for name, _ in ROWS} == SETS.keys() - {"mpararel"}


@pytest.mark.parametrize(("name", "text"), ROWS)
def test_the_rows_of_the_data_sets_are_read(name, text, tmp_path):
    (path := tmp_path / "en" / "en.jsonl").parent.mkdir()
    path.write_text(text, encoding="utf-8")
    data = load_data(f"{name}:{path if 'FILE' in FORMATS[name].places else path.parent}")
    assert len(data.edits) == 1
    assert data.edits[0].target["en"] in ("Vistula", "Höje")
    assert not data.edits[0].languages_without_target


def test_the_errors_shown_are_the_real_ones():
    with pytest.raises(DataError) as first:
        read('{"prompt": {"de": "a", "fr": "b"}, "target_new": "x"}')
    with pytest.raises(DataError) as second:
        read('{"prompt": "a", "target_new": "x", "rephrase_prompt": {"de": ["b", 7]}}')
    for caught in (first, second):
        assert str(caught.value) in DOC
