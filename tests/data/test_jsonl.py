"""Files of edits: the round trip as a law, EasyEdit's files unchanged, and broken files as one-line errors."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polypatch.data import load_data, load_edits, read_jsonl, write_jsonl
from polypatch.edits import Edit, Labelled, RelatedQuestion
from polypatch.errors import DataError

LANGS = ("en", "de", "zh", "sw", "yue")
texts = st.text(min_size=1, max_size=20).filter(str.strip)
any_text = texts | st.tuples(texts, texts)
langs = st.sampled_from(LANGS)


def by_language(values, **size):
    return st.dictionaries(langs, values, **size)


probe_sets = st.dictionaries(
    st.text(max_size=8),
    st.lists(
        st.builds(RelatedQuestion, prompt=by_language(any_text, min_size=1), target=by_language(st.text(max_size=5))),
        max_size=3,
    ).map(tuple),
    max_size=3,
)


@st.composite
def edit_lists(draw):
    ids = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
    edits = []
    for edit_id in ids:
        source = draw(langs)
        edits.append(
            Edit(
                id=edit_id,
                source=source,
                prompt={source: draw(any_text)} | draw(by_language(any_text)),
                target={source: draw(texts)} | draw(by_language(texts)),
                rephrases=draw(by_language(st.lists(any_text, max_size=3).map(tuple))),
                locality=draw(probe_sets),
                portability=draw(probe_sets),
                ground_truth=draw(by_language(st.text(max_size=5))),
                subject=draw(by_language(st.text(max_size=5))),
                aliases=draw(by_language(st.lists(texts, max_size=2).map(tuple))),
            )
        )
    return edits


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=edit_lists(), name=st.sampled_from(["edits.jsonl", "edits.jsonl.gz"]))
def test_what_is_written_is_read_back_exactly(edits, name, tmp_path):
    path = tmp_path / name
    write_jsonl(edits, path)
    assert read_jsonl(path) == edits
    assert read_jsonl(path, source="fr") == edits, "rows carry their source"
    again = path.read_bytes()
    write_jsonl(read_jsonl(path), path)
    assert path.read_bytes() == again, "writing is deterministic"


def error_of(path):
    try:
        read_jsonl(path)
    except DataError as error:
        return str(error)
    return None


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=60) | st.text(alphabet='[]{}":,\\nu\ud7ff01é \n\r', max_size=60).map(str.encode))
def test_any_bytes_give_edits_or_a_one_line_data_error(raw, tmp_path):
    path = tmp_path / "any.jsonl"
    path.write_bytes(raw)
    error = error_of(path)
    assert error is None or ("any.jsonl" in error and "\n" not in error)


ROWS = [
    {"subject": "ferry", "prompt": "The ferry goes to", "target_new": "Corfu", "ground_truth": ["Paxos"],
     "rephrase_prompt": "Where does the ferry go?",
     "portability": {"Subject_Aliasing": [{"prompt": "The boat goes to", "ground_truth": [["Corfu", "Kerkyra"]]}]},
     "locality": {"Relation_Specificity": [{"prompt": "The bus goes to", "ground_truth": [["Athens"]]}]}},
    {"prompt": "The bakery opens at", "target_new": "six", "ground_truth": "eight",
     "locality": {"neighborhood": {"prompt": "The bank opens at", "ground_truth": "nine"}}},
]  # fmt: skip


@pytest.mark.parametrize("form", ["array", "indented array", "lines"])
def test_an_easyedit_file_loads_unchanged_as_array_or_lines(tmp_path, form):
    path = tmp_path / "knowedit.v1.json"
    text = {
        "array": json.dumps(ROWS),
        "indented array": "\n " + json.dumps(ROWS, indent=4),
        "lines": "\n".join(json.dumps(row) for row in ROWS),
    }[form]
    path.write_text(text, encoding="utf-8")
    ferry, bakery = read_jsonl(path)
    assert (ferry.id, bakery.id) == ("knowedit-1", "knowedit-2")
    assert ferry.rephrases == {"en": ("Where does the ferry go?",)}
    assert ferry.portability == {"Subject_Aliasing": (RelatedQuestion({"en": "The boat goes to"}, {"en": "Corfu"}),)}
    assert bakery.locality == {"neighborhood": (RelatedQuestion({"en": "The bank opens at"}, {"en": "nine"}),)}


def test_bom_crlf_gzip_and_blank_lines_are_accepted(tmp_path):
    lines = [json.dumps(row) for row in ROWS]
    raw = ("\ufeff" + "\r\n\r\n".join(lines) + "\r\n").encode()
    (tmp_path / "edits.jsonl").write_bytes(raw)
    (tmp_path / "edits.jsonl.gz").write_bytes(gzip.compress(raw))
    edits = read_jsonl(tmp_path / "edits.jsonl")
    assert [edit.id for edit in edits] == ["edits-1", "edits-3"], "ids count the lines that an editor shows"
    assert read_jsonl(tmp_path / "edits.jsonl.gz") == edits


GOOD = json.dumps({"id": "a", "prompt": "x", "target_new": "y"})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "e.jsonl: holds no edits"),
        (b" \n\n", "e.jsonl: holds no edits"),
        (b"[]", "e.jsonl: holds no edits"),
        (f"{GOOD}\n{{broken".encode(), "e.jsonl row 2: not JSON"),
        (f"[{GOOD}".encode(), "e.jsonl: not JSON"),
        (f"[{GOOD}, 5]".encode(), "e.jsonl row 2: expected an object, found int 5"),
        (f"{GOOD}\n{GOOD}".encode(), "e.jsonl row 2: field 'id': 'a' is already the id of row 1"),
        (
            b'{"prompt": {"de": "x"}, "target_new": "y"}',
            "e.jsonl row 1: field 'prompt': nothing in the source language",
        ),
        (b'{"prompt": 1, "target_new": "y"}', "e.jsonl row 1: field 'prompt': expected text, found int 1"),
        (f"{GOOD}\n".encode() + b'{"prompt": "caf\xe9"}', "e.jsonl row 2: not UTF-8 (byte 0xe9)"),
        (GOOD.encode("utf-16"), "e.jsonl row 1: not UTF-8 (byte 0xff)"),
        (b"[" * 100_000, "e.jsonl: not JSON"),
        (b'{"prompt": ' + b"9" * 9_000 + b"}", "e.jsonl row 1: not JSON"),
    ],
)
def test_a_broken_file_is_one_line_with_file_row_and_field(tmp_path, raw, message):
    path = tmp_path / "e.jsonl"
    path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read_jsonl(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_jsonl(tmp_path / "none.jsonl")


def edit(edit_id="a", **fields):
    return Edit(**{"id": edit_id, "prompt": {"en": "x", "de": "z"}, "target": {"en": "y"}, **fields})


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([], "no edits to write"),
        ([edit(), edit()], "edit 'a' occurs twice"),
        ([edit(ground_truth={"en": 7})], "edit 'a' cannot be written: field 'ground_truth'"),
        ([edit(subject={"en": "\ud800"})], "edit 'a' cannot be written"),
        ([edit(locality={"n": (RelatedQuestion({}, {}),)})], "edit 'a' cannot be written: field 'locality.n"),
    ],
)
def test_a_failed_write_leaves_the_old_file(tmp_path, edits, message):
    path = tmp_path / "e.jsonl"
    write_jsonl([edit("old")], path)
    with pytest.raises(DataError, match=message):
        write_jsonl(edits, path)
    assert [kept.id for kept in read_jsonl(path)] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_load_data_takes_edits_and_their_probes(tmp_path):
    path = tmp_path / "e.jsonl"
    probes = (RelatedQuestion({"en": "p", "de": "q"}, {"en": "l"}), RelatedQuestion({"en": "unanswered"}, {}))
    write_jsonl([edit(locality={"near": probes}), edit("b", prompt={"en": "x"})], path)
    data = load_data(f"jsonl:{path}")
    assert data.name == "jsonl"
    assert [e.id for e in data.edits] == ["a", "b"]
    assert data.locality == {"near": [Labelled("p", "l")], "near.de": [Labelled("q", "l")]}
    assert not data.memory
    assert load_edits("jsonl", path, languages=["en"])[0].languages == ("en",)
    with pytest.raises(DataError, match=r"no text in 'fr' \(has: de, en\)"):
        load_edits("jsonl", path, languages=["fr"])
