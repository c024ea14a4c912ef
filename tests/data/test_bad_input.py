"""Bad input never corrupts: each case is one short line that names file, row and field, or is read as it was meant."""

import contextlib
import json
import time

import pytest

from polypatch.data import check_labels, read_jsonl, write_jsonl
from polypatch.edits import Edit
from polypatch.errors import DataError, UnknownLabelError

GOOD = {"id": "a", "prompt": "The ferry leaves at noon.", "target_new": "no"}
LONG = 100_000
WORDS = "ferry " * (LONG // 6)


def line(**fields):
    return json.dumps({**GOOD, **fields})


@pytest.fixture
def read(tmp_path):
    """Reads bytes, text or rows as a file of edits."""

    def go(content):
        path = tmp_path / "e.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_jsonl(path)

    return go


@pytest.fixture
def refused(read):
    """The message for a file that cannot be used: one line, short, and with the file in it."""

    def go(content):
        with pytest.raises(DataError) as caught:
            read(content)
        message = str(caught.value)
        assert "e.jsonl" in message
        assert "\n" not in message
        assert len(message.partition("e.jsonl")[2]) < 300
        return message

    return go


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_wide_encoding_without_a_mark_is_named(refused, encoding):
    assert "row 1: a NUL byte (the file is damaged, or UTF-16); save the file as UTF-8" in refused(
        line().encode(encoding)
    )


def test_a_hole_of_nul_bytes_is_named_with_its_row(refused):
    """What a crashed machine leaves of a file that was being written."""
    assert "row 2: a NUL byte" in refused(f"{line()}\n".encode() + b"\0" * 4096)


def test_a_nul_that_json_spells_is_text(read):
    assert read(line(prompt="noon\0"))[0].prompt == {"en": "noon\0"}


@pytest.mark.parametrize("blank", ["", " \t\r\n", "\u3000\u00a0", " " * LONG], ids=["empty", "ascii", "wide", "long"])
@pytest.mark.parametrize(
    ("place", "field"),
    [
        (lambda text: {"prompt": text}, "prompt"),
        (lambda text: {"prompt": {"en": "noon", "de": text}}, "prompt.de"),
        (lambda text: {"prompt": {"premise": "noon", "hypothesis": text}}, "prompt.hypothesis"),
        (lambda text: {"target_new": text}, "target_new"),
        (lambda text: {"target_new": [[text]]}, "target_new"),
        (lambda text: {"rephrase_prompt": ["noon", text]}, "rephrase_prompt[1]"),
        (lambda text: {"locality": {"near": [{"prompt": text}]}}, "locality.near[0].prompt"),
        (lambda text: {"portability_prompt": text}, "portability_prompt[0].prompt"),
    ],
)
def test_a_blank_text_is_refused_wherever_it_stands(refused, place, field, blank):
    assert f"row 2: field {field!r}: empty text" in refused(f"{line(id='b')}\n{line(**place(blank))}")


@pytest.mark.parametrize("prompts", [[{}], [None], ["noon", {}], [None, "noon"]])
def test_a_probe_without_text_among_others_is_refused(refused, prompts):
    row = line(locality={"near": {"prompt": prompts, "ground_truth": ["x"] * len(prompts)}})
    assert "row 1: field 'locality.near[0]': a prompt without text in [" in refused(row)


def test_a_text_of_100_000_characters_is_read_whole_and_at_once(read):
    start = time.process_time()
    edits = read("\n".join(line(id=str(i), prompt={"en": WORDS, "de": WORDS}) for i in range(10)))
    assert time.process_time() - start < 5
    assert [edit.prompt for edit in edits] == [{"en": WORDS, "de": WORDS}] * 10


def test_a_line_of_five_megabytes_is_read_at_once(read):
    start = time.process_time()
    assert len(read(line(prompt="w" * 5_000_000))[0].prompt["en"]) == 5_000_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize("content", ["w" * 5_000_000, " " * 5_000_000, '{"a":' * 10**6, line(prompt=["w"] * 10**6)])
def test_a_broken_line_of_five_megabytes_is_refused_at_once(refused, content):
    start = time.process_time()
    refused(content)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": [WORDS]},
        {"prompt": [[WORDS]] * 50},
        {"prompt": {WORDS: "x"}},
        {"prompt": {a + b + c: "x" for a in "abcdfg" for b in "abcdefgh" for c in "abcdefgh"}},
        {"prompt": {"premise": WORDS}},
        {"source": WORDS},
        {"source": {WORDS: WORDS}},
        {"id": [WORDS]},
        {"id": WORDS, "prompt": " "},
        {"id": WORDS, "source": "EN"},
        {"subject": "\ud800" * LONG},
        {"locality": {WORDS: 3}},
        {"locality": {"near": {"prompt": {WORDS: "x"}}}},
        {"locality": [{"prompt": WORDS}]},
    ],
)
def test_an_error_quotes_only_the_beginning_of_a_long_value(refused, fields):
    assert "row 1: field " in refused(line(**fields))


def test_a_long_id_that_occurs_twice_is_cut_too(refused):
    assert "row 2: field 'id': 'ferry ferry" in refused(f"{line(id=WORDS)}\n{line(id=WORDS)}")
    with pytest.raises(DataError, match=r"edit 'ferry .*\.\.\. occurs twice") as caught:
        write_jsonl([Edit(WORDS, {"en": "x"}, {"en": "y"})] * 2, "e.jsonl")
    assert len(str(caught.value)) < 200


def test_a_long_label_is_cut_and_found_missing_at_once():
    start = time.process_time()
    with pytest.raises(UnknownLabelError) as caught:
        check_labels([Edit(WORDS, {"en": "x"}, {"en": WORDS})], [f"class-{i}" for i in range(60)])
    assert time.process_time() - start < 5
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "content",
    [
        '{"id": "a", "id": "b", "prompt": "x", "target_new": "y"}',
        '{"id": "a", "prompt": {"en": "x", "en": "z"}, "target_new": "y"}',
        '{"id": "a", "prompt": "x", "target_new": "y", "ignored": [{"k": 1, "k": 1}]}',
        '[{"id": "a", "prompt": "x", "prompt": "x", "target_new": "y"}]',
    ],
)
def test_a_name_twice_in_one_object_is_refused(refused, content):
    """JSON would keep the last: of two corrections in one row, the first would be dropped without a word."""
    message = refused(content)
    assert "twice in one object" in message
    assert "row 1" in message or content.startswith("[")


def test_the_field_that_is_there_twice_is_named(refused):
    twice = '{"prompt": "x", "target_new": "y", "target_new": "z"}'
    assert "e.jsonl row 2: field 'target_new': twice in one object" in refused(f"{line()}\n{twice}")


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused_where_text_belongs(read, refused, constant):
    for field in ("id", "source", "prompt", "target_new", "subject", "rephrase_prompt"):
        row = {**GOOD, field: "@"}
        assert f"row 1: field '{field}': expected text" in refused(json.dumps(row).replace('"@"', constant))
    ignored = json.dumps({**GOOD, "score": "@"}).replace('"@"', constant)
    assert read(ignored) == read(line()), "harmless in a field that is not read"


@pytest.mark.parametrize("value", [False, 0, 0.0, [], {}, "", True, 1, ["en"], {"en": "en"}, "EN", "../en"])
def test_a_source_language_that_is_none_is_refused(refused, value):
    """The falsy ones used to count as no `source` at all."""
    assert "row 1: field 'source': " in refused(line(source=value))


def test_no_source_and_null_are_the_default(read):
    assert read(line(source=None)) == read(line())


@pytest.mark.parametrize("field", ["id", "prompt", "target_new", "subject", "rephrase_prompt", "ground_truth"])
@pytest.mark.parametrize("value", [1.5, True, False])
def test_numbers_and_booleans_are_not_text(refused, field, value):
    assert f"row 1: field '{field}': expected text, found {type(value).__name__}" in refused(line(**{field: value}))


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (line(locality={"\ud800": {"prompt": "x"}}), "locality"),
        (line(prompt={"en": "x", "\udfff": "x"}), "prompt"),
        (line(target_new=["\udc00"]), "target_new"),
        (line(portability={"one": {"prompt": "x", "ground_truth": "\ud800"}}), "portability.one[0].ground_truth"),
    ],
)
def test_half_a_character_is_refused_wherever_it_is_read(refused, content, field):
    assert f"row 1: field '{field}': half of a surrogate pair" in refused(content)


def test_a_whole_character_that_json_spells_in_two_halves_is_read(read):
    assert read(line(prompt="\U0001f6a2"))[0].prompt == {"en": "\U0001f6a2"}
    assert "\\ud83d\\udea2" in line(prompt="\U0001f6a2")


@pytest.mark.parametrize("field", ["prompt", "rephrase_prompt", "subject", "locality", "ignored"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"en":', "}")])
def test_no_depth_of_brackets_escapes(read, field, opening, closing):
    """Also at depths that the decoder still manages: showing such a value in a message is what failed then."""
    for depth in (*range(100, 1000, 20), *range(900, 1000), 5_000, LONG):
        nested = line(**{field: "@"}).replace('"@"', f"{opening * depth}1{closing * depth}")
        # In a field that is ignored the shallower ones are harmless.
        with contextlib.suppress(DataError) if field == "ignored" else pytest.raises(DataError, match="row 1: "):
            read(nested)


def test_the_limits_of_the_decoder_are_named(refused):
    assert "row 1: not JSON that can be read (hundreds of brackets" in refused('{"id": ' + "[" * LONG)
    assert "row 1: not JSON that can be read (a number of thousands of digits)" in refused('{"id": ' + "9" * 5000 + "}")
