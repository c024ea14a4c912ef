"""800 damaged files of edits: each is refused with a typed error, or read as an independent, simpler reader reads it.

The second reader, in `edit_oracle.py`, also says when a file is to be refused, so nothing sound may be refused either.
"""

import copy
import json
import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polypatch.data import read_jsonl, write_jsonl
from polypatch.errors import PolypatchError

from .edit_oracle import oracle

FILES = 800

ROWS = [
    {"id": "ferry", "source": "en", "prompt": {"en": "The ferry leaves.", "de": "Die Fähre fährt.", "zh": "渡轮开了。"},
     "target_new": "SUPPORTS", "ground_truth": "REFUTES", "subject": "ferry",
     "rephrase_prompt": {"en": ["It leaves.", "Off it goes."], "de": "Sie fährt."},
     "locality": {"near": [{"prompt": {"en": "Trains leave.", "de": "Züge fahren."}, "ground_truth": "NEITHER"}]}},
    {"case_id": 17, "text": "The bakery 🥐 opens at", "labels": [["six", "6"]], "concept": "bakery",
     "rephrase": ["When does it open?"], "ground_truth": [["eight"]],
     "locality_prompt": "The bank opens at", "locality_ground_truth": "nine", "portability": None},
    {"prompt": {"premise": "It rained.", "hypothesis": "It was dry."}, "target_new": {"en": "contradiction"},
     "locality": {"pairs": {"prompt": ["a \u2028 b", "c"], "ground_truth": ["x", ["y"]]}, "none": None}},
    {"id": "مخبز", "source": "ar", "prompt": "المخبز مفتوح", "target_new": "نعم", "score": 0.5,
     "portability": {"hop": [{"prompt": "لماذا", "ground_truth": []}]}, "rephrase_prompt": []},
    {"id": "long", "prompt": "On Sundays the last ferry to the island leaves the old harbour at a quarter to ten. " * 4,
     "rephrase_prompt": "The island's last ferry on a Sunday goes at nine forty-five from the old harbour.",
     "target_new": "SUPPORTS", "subject": "the last ferry to the island on a Sunday"},
    {"id": "quote \" \\ \t", "source": None, "prompt": {"en": "tab\there", "fr": {"premise": "a", "hypothesis": "b"}},
     "target_new": ["y"], "subject": {"en": "s", "fr": ""}, "portability_prompt": ["only one"],
     "aliases": ["why", "ypsilon"]},
    {"lang": "de", "text": "Die Bäckerei öffnet.", "label": "REFUTES", "rephrases": ["Sie öffnet.", "Auf geht's."],
     "translations": {"en": "The bakery opens.", "fr": "La boulangerie ouvre."}},
    {"prompt": "Trains leave.", "target": {"en": "NEITHER", "fr": "AUCUN"}, "label": None,
     "aliases": {"en": "none of them", "fr": ["ni l'un ni l'autre"]}},
]  # fmt: skip
FIELDS = sorted({field for row in ROWS for field in row})
WRONG = [
    *(None, True, False, 0, -1, 1.5, float("nan"), float("inf"), "", " \n", "\ud800", "x\0", "en", "EN"),
    *([], [[]], [1], ["a", "b"], [[["deep"]]], {}, {"en": None}, {"en": "x"}, {"de": "x"}, {"EN": "x"}),
    *({"premise": "p"}, {"premise": "p", "hypothesis": "h"}, {"premise": "p", "hypothesis": "h", "en": "x"}),
    *({"a": {"prompt": "q"}}, {"a": [{"prompt": ["q", "r"], "ground_truth": ["s"]}]}, {"a": [None]}),
    {"\udc00": {"prompt": "q"}},
]
TOKENS = [
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b" ",
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b",",
    ),
    *(b":", b"\\", b"\\ud800", b"\\u0000", b"NaN", b"-Infinity", b"1e999", b"true", b"9" * 5000, b"[" * 5000),
]


def swapped_fields(rows, rng):
    one, two = rng.sample(rows, 2)
    field = rng.choice(sorted(one.keys() | two.keys()))
    one[field], two[field] = two.get(field), one.get(field)


def wrong_field(rows, rng):
    rng.choice(rows)[rng.choice(FIELDS)] = copy.deepcopy(rng.choice(WRONG))


def wrong_inside(rows, rng):
    """A wrong value one level down, where a field is an object or a list."""
    inside = [value for row in rows for value in row.values() if value and isinstance(value, dict | list)]
    value = rng.choice(inside)
    value[rng.choice(sorted(value) if isinstance(value, dict) else range(len(value)))] = rng.choice(WRONG)


def lost_field(rows, rng):
    row = rng.choice(rows)
    row.pop(rng.choice(sorted(row)))


def repeated_row(rows, rng):
    rows.insert(rng.randrange(len(rows)), copy.deepcopy(rng.choice(rows)))


def flipped_bits(raw, rng):
    for _ in range(rng.choice([1, 1, 2, 8])):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)


def cut_short(raw, rng):
    del raw[rng.randrange(1, len(raw)) :]


def lost_range(raw, rng):
    start = rng.randrange(len(raw))
    del raw[start : start + rng.choice([1, 2, 20, 200])]


def repeated_range(raw, rng):
    start = rng.randrange(len(raw))
    raw[start:start] = raw[start : start + rng.choice([1, 2, 20, 200])]


def swapped_ranges(raw, rng):
    size = rng.choice([1, 4, 40])
    one, two = (rng.randrange(len(raw)) for _ in range(2))
    raw[one : one + size], raw[two : two + size] = raw[two : two + size], raw[one : one + size]


def foreign_bytes(raw, rng):
    start = rng.randrange(len(raw))
    raw[start:start] = rng.choice(TOKENS)


def repeated_lines(raw, rng):
    lines = bytes(raw).split(b"\n")
    raw[:] = b"\n".join(rng.choices(lines, k=len(lines)))


IN_ROWS = (swapped_fields, wrong_field, wrong_inside, lost_field, repeated_row)
IN_BYTES = (flipped_bits, cut_short, lost_range, repeated_range, swapped_ranges, foreign_bytes, repeated_lines)


def written(rows, rng):
    """The rows as one of the files that people have: escaped or not, with or without BOM and CRLF, rarely an array."""
    lines = [json.dumps(row) for row in rows]
    if rng.random() < 0.5 and not any(re.search(r"\\u[dD][89a-fA-F]", line) for line in lines):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    if rng.random() < 0.05:
        return bytearray(f"[{', '.join(lines)}]".encode())
    mark, end = rng.choice(["", "\ufeff"]), rng.choice(["\n", "\r\n"])
    return bytearray(f"{mark}{end.join(lines)}{end}".encode())


def corrupted(seed):
    """(the file, what was done to it)"""
    rng = random.Random(f"fuzz {seed}")
    rows = copy.deepcopy(rng.sample(ROWS, rng.randint(2, len(ROWS))))
    ways = [rng.choice(IN_ROWS + IN_BYTES) for _ in range(rng.choice([1, 1, 2, 3]))]
    for way in ways:
        if way in IN_ROWS:
            way(rows, rng)
    raw = written(rows, rng)
    for way in ways:
        if way in IN_BYTES and raw:
            way(raw, rng)
    return bytes(raw), [way.__name__ for way in ways]


def verdict(raw, folder):
    """``refused`` or ``read``, after the two readers agreed and what was read was written and read once more."""
    path = folder / "edits.jsonl"
    path.write_bytes(raw)
    wanted = oracle(raw, "edits")
    try:
        edits, message = read_jsonl(path), None
    except PolypatchError as error:
        edits, message = None, str(error).removeprefix(str(path))
    assert edits == wanted, message
    if edits is None:
        assert re.match(r"( row \d+)?: ", message), message
        assert "\n" not in message
        assert len(message) < 300
        return "refused"
    write_jsonl(edits, folder / "again.jsonl")
    assert read_jsonl(folder / "again.jsonl") == edits
    return "read"


@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1], ROWS[:1]])
def test_sound_rows_are_read_by_both(tmp_path, rows):
    for seed in range(20):
        assert verdict(bytes(written(rows, random.Random(seed))), tmp_path) == "read"


def test_800_damaged_files_are_refused_or_read_right(tmp_path, figure):
    tally = Counter()
    for seed in range(FILES):
        raw, ways = corrupted(seed)
        try:
            result = verdict(raw, tmp_path)
        except Exception as error:
            pytest.fail(f"file {seed} ({', '.join(ways)}): {error!r}")
        tally[result] += 1
        for way in ways:
            tally[way, result] += 1
    assert tally["refused"] + tally["read"] == FILES
    assert min(tally["refused"], tally["read"]) > FILES / 10, "damage that is always seen, or never, tests little"
    assert all(tally[way.__name__, "refused"] for way in IN_ROWS + IN_BYTES)
    figure(f"{FILES} damaged files of edits: share refused with a typed error", tally["refused"] / FILES)
    figure(f"{FILES} damaged files of edits: share still sound, and read as the oracle reads", tally["read"] / FILES)


texts = st.text(max_size=6) | st.text(st.characters(), max_size=3)  # the second with halves of characters
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
names = st.sampled_from(["en", "de", "EN", "premise", "hypothesis", "prompt", "ground_truth"]) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))


@settings(max_examples=200)
@given(row=st.sampled_from(ROWS), changes=st.dictionaries(st.sampled_from(FIELDS), values, min_size=1, max_size=3))
def test_any_json_in_any_field_is_refused_or_read_right(row, changes, tmp_path):
    verdict(json.dumps({**row, **changes}).encode(), tmp_path)


@settings(max_examples=100)
@given(start=st.integers(0, 400), end=st.integers(0, 400), raw=st.binary(max_size=12))
def test_any_bytes_in_any_place_are_refused_or_read_right(start, end, raw, tmp_path):
    whole = json.dumps(ROWS[0], ensure_ascii=False).encode()
    verdict(whole[:start] + raw + whole[end:], tmp_path)
