"""Damaged data sets of facts: each is refused with one line that names a file or a folder, or read as sound edits."""

import gzip
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from polypatch.data import load_data, read_jsonl, write_jsonl
from polypatch.errors import DataError

from .fact_sets import SETS, write_bytes
from .test_fuzz_edit_files import IN_BYTES, WRONG

COPIES = 60


def places(value):
    """Every object and list inside a JSON value."""
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from places(inner)


def wrong_inside(raw, rng):
    """A wrong value, or none, somewhere in one row."""
    lines = raw.decode().split("\n")
    i = rng.randrange(len(lines))
    try:
        row = json.loads(lines[i])
    except ValueError:
        return raw
    inside = [place for place in places(row) if place]
    if not inside:
        return raw
    place = rng.choice(inside)
    key = rng.choice(sorted(place) if isinstance(place, dict) else range(len(place)))
    if rng.random() < 0.3:
        del place[key]
    else:
        place[key] = rng.choice(WRONG)
    lines[i] = json.dumps(row)
    return "\n".join(lines).encode()


def damaged(path, rng):
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    way = rng.choice([wrong_inside, wrong_inside, *IN_BYTES])
    if way is wrong_inside:
        raw = wrong_inside(raw, rng)
    else:
        raw = bytearray(raw)
        way(raw, rng)
    write_bytes(path, bytes(raw))


def read(spec):
    """The edits, and why there are none."""
    try:
        return load_data(spec).edits, ""
    except DataError as error:
        return (), str(error)


@pytest.mark.parametrize("name", SETS)
def test_damage_is_refused_by_name_or_read_as_sound_edits(name, tmp_path):
    tally = Counter()
    for seed in range(COPIES):
        rng, folder = random.Random(f"{name} {seed}"), tmp_path / str(seed)
        place = SETS[name](folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and "mcqa" not in path.name)
        damaged(rng.choice(files), rng)
        edits, message = read(f"{name}:{place}")
        tally["refused" if message else "read"] += 1
        if message:
            said = message.removeprefix(str(folder))
            assert said != message or re.match(rf"{name}: \d+ facts asked for", said), (seed, said)
            assert "\n" not in said, (seed, said)
            assert len(said) < 400, (seed, said)
        else:
            write_jsonl(edits, tmp_path / "again.jsonl")
            assert tuple(read_jsonl(tmp_path / "again.jsonl")) == edits, seed
    assert min(tally["refused"], tally["read"]) > COPIES / 10, tally


@pytest.mark.parametrize("name", SETS)
def test_a_place_that_is_no_file_or_folder_is_refused(name, tmp_path):
    for place in (tmp_path / "gone", Path(__file__)):
        with pytest.raises(DataError, match=re.escape(str(place.name))):
            load_data(f"{name}:{place}")
