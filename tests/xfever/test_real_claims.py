"""Real FEVER claims, where they are at hand, through the whole command with the tiny models.

They have no rephrases and are not the training file, so they stand in for it: `validation` is split, `test` is D_test.
All five languages, but only 120 of its 666 edits: the models are random, what is tested is that real text passes.
"""

import gzip
import json

import pytest

from polypatch.data import read_jsonl
from polypatch.data.xfever import read_xfever

from .tiny_marian import write_rows

pytestmark = pytest.mark.real
LIMIT = 120


def kilt(path, prefix):
    claims = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    return [
        {"id": f"{prefix}{i}", "input": claim["claim"], "output": [{"answer": claim["label"]}]}
        for i, claim in enumerate(claims)
    ]


def test_real_claims_from_end_to_end(polypatch, argv, fever, calls, shared, figure, tmp_path):
    write_rows(fever[0], kilt(shared / "data" / "fever_en" / "validation.jsonl.gz", "v"))
    write_rows(fever[1], kilt(shared / "data" / "fever_en" / "test.jsonl.gz", "t"))
    out = tmp_path / "xfever"
    calls.stop_at = 5
    line = argv(out, "--limit", LIMIT, "--batch-size", 16, "--json")
    assert polypatch(*line).code == 130
    ran = polypatch(*line)
    assert ran.code == 0, ran.err
    said = ran.json()
    assert said["counts"] == {"train": 5332, "validation": 666, "editing": 666, "test": 6666}
    assert said["left_over"] == 2
    edits = read_jsonl(out / "edits.jsonl")
    assert len(edits) == LIMIT
    assert len(calls) == sum(calls.values()) == 5 * len({edit.prompt["en"] for edit in edits})
    data = read_xfever(out)
    assert len(data.memory["en"]) + len(data.locality["train"]) <= 5332
    held = {edit.prompt["en"] for edit in edits}
    assert not held & set(data.memory["en"])
    for lang, one in said["languages"].items():
        figure(f"xfever-edit, real claims, tiny models: mean length {lang} ({one['unit']})", one["mean"])
        figure(f"xfever-edit, real claims: empty translations {lang}", one["empty"])
    assert 7.5 < said["languages"]["en"]["mean"] < 9
