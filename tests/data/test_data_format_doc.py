"""The examples in docs/data-format.md are read, written and read again; the errors it shows are the real ones."""

import json
import re
from pathlib import Path

import pytest

from polypatch.data.record import edit_from_record, record_from_edit
from polypatch.errors import DataError

DOC = (Path(__file__).resolve().parents[2] / "docs" / "data-format.md").read_text(encoding="utf-8")
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


def test_the_errors_shown_are_the_real_ones():
    with pytest.raises(DataError) as first:
        read('{"prompt": {"de": "a", "fr": "b"}, "target_new": "x"}')
    with pytest.raises(DataError) as second:
        read('{"prompt": "a", "target_new": "x", "rephrase_prompt": {"de": ["b", 7]}}')
    for caught in (first, second):
        assert str(caught.value) in DOC
