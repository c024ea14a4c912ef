"""A second reader of folders of edits for the fuzz test: short, plain, and sharing no line with the one it checks."""

import json
import math

import numpy as np


def truth(value):
    return type(value) is bool


def whole(value):
    return type(value) is int


def number(value):
    return type(value) is int or (type(value) is float and math.isfinite(value))


def string(value):
    return type(value) is str


def strings(value):
    return type(value) is list and all(map(string, value))


def number_or_none(value):
    return value is None or number(value)


OUTCOME = {
    **dict.fromkeys(("triggered", "success", "source_correct", "taken_back"), truth),
    **dict.fromkeys(("patches", "steps", "attempts"), whole),
    **dict.fromkeys(("reason", "finished"), string),
    "languages": strings,
    "seconds": number,
    **dict.fromkeys(("locality_drop", "confidence"), number_or_none),
}
SIZES = {"F32": 4, "I64": 8}
NEEDED = {"triggered", "success", "source_correct", "languages"}


class NonsenseError(Exception):
    """No honest writer wrote this."""


def need(condition):
    if not condition:
        raise NonsenseError


def unique(pairs):
    need(len({name for name, _ in pairs}) == len(pairs))
    return dict(pairs)


def parsed(raw):
    return json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=lambda _: need(False))


def reading(files):
    """(seed, languages, owners, outcomes, tensors) as the files of a folder say, or None where they make no sense."""
    try:
        config = parsed(files["edit_config.json"])
        rows = [parsed(line) for line in files["provenance.jsonl"].split(b"\n") if line]
        old = config["format_version"] == 1
        owners = tuple(config["owners"]) if old else owners_of(rows)
        outcomes = [
            (row["edit_id"], outcome_of(row)) if old else (row["id"], outcome_of(row["outcome"])) for row in rows
        ]
        need(all(string(name) for name, _ in outcomes) and len(dict(outcomes)) == len(rows))
        need(old or all(string(row["reverted"]) for row in rows))
        need(whole(config["seed"]))
        tensors = tensors_of(files["edits.safetensors"])
        return config["seed"], tuple(config["sampled_languages"]), owners, dict(outcomes), tensors
    except (NonsenseError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None


def owners_of(rows):
    places = [(place, row["id"]) for row in rows for place in row["neurons"]]
    need(all(whole(place) for place, _ in places))
    need(sorted(place for place, _ in places) == list(range(len(places))))
    return tuple(name for _, name in sorted(places))


def outcome_of(row):
    fields = {name: value for name, value in row.items() if name != "edit_id"}
    need(NEEDED <= fields.keys() <= OUTCOME.keys())
    need(all(OUTCOME[name](value) for name, value in fields.items()))
    return fields


def tensors_of(raw):
    """name -> (shape, bytes): one behind the other, with nothing between, before or behind; float32 and finite, but
    the classes of a codebook."""
    size = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8 : 8 + size]), raw[8 + size :]
    header.pop("__metadata__", None)
    end = 0
    for entry in sorted(header.values(), key=lambda entry: entry["data_offsets"]):
        start, stop = entry["data_offsets"]
        size = SIZES[entry["dtype"]]
        need(start == end and stop - start == size * math.prod(entry["shape"]))
        need(size == 8 or np.isfinite(np.frombuffer(data[start:stop], "<f4")).all())
        end = stop
    need(end == len(data))
    return {name: (tuple(e["shape"]), data[slice(*e["data_offsets"])]) for name, e in header.items()}
