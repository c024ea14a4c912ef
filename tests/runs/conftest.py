"""One small workbench for all grids."""

import pytest

from polypatch.data import write_jsonl
from polypatch.runs import BenchSpec
from polypatch.testing import tiny_edits, tiny_model


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    write_jsonl(tiny_edits(12), folder / "edits.jsonl")
    return BenchSpec(model=str(folder / "model"), data=f"jsonl:{folder / 'edits.jsonl'}")
