import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypatch.data.aligned import read_aligned
from polypatch.errors import DataError


def written(folder, *rows):
    path = folder / "parallel.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_the_source_comes_first_and_rows_keep_their_order(tmp_path):
    path = written(tmp_path, {"de": "eins", "en": "one", "zh": "一"}, "", {"zh": "二", "en": "two", "de": "zwei"})
    found = read_aligned(path, "en")
    assert list(found.items()) == [("en", ["one", "two"]), ("de", ["eins", "zwei"]), ("zh", ["一", "二"])]
    assert next(iter(read_aligned(path, "zh"))) == "zh"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((), "holds no texts"),
        (({"en": "one", "de": "eins"}, {"en": "two"}), "row 2: is in en, and the first in en, de"),
        (({"en": "one", "de": "eins"}, {"en": "two", "de": "zwei", "fr": "deux"}), "row 2: is in en, de, fr"),
        (({"de": "eins", "fr": "un"},), "row 1: has de, fr; parallel text must be in the edits' language 'en'"),
        (({"en": "one"},), "and in another one"),
        (({"en": "one", "de": " "},), "row 1: 'de' must be a code"),
        (({"en": "one", "German": "eins"},), "'German' must be a code such as 'en'"),
        (({"en": "one", "de": ["a", "b"]},), "its value a text"),
        (("[1, 2]",), "expected an object"),
        (("{",), "row 1"),
        (('{"en": "a", "en": "b"}',), "occurs twice"),
    ],
)
def test_what_is_no_parallel_text_is_said_with_its_row(tmp_path, rows, said):
    with pytest.raises(DataError) as caught:
        read_aligned(written(tmp_path, *rows), "en")
    assert said in str(caught.value)


@given(st.binary(max_size=80))
def test_any_bytes_are_texts_or_a_typed_error(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("aligned") / "parallel.jsonl"
    path.write_bytes(raw)
    try:
        found = read_aligned(path, "en")
    except DataError:
        return
    assert len({len(texts) for texts in found.values()}) == 1
