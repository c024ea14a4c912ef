"""Edits and runs on a model with the same weights that is not the same model: refused, and what differs is named."""

import json
import shutil

import pytest

from polypatch.sites import load_checkpoint

from .conftest import FAST, PowerCut


def heads(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "num_attention_heads": 8}), encoding="utf-8")


def cased(folder):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["normalizer"]["lowercase"] = False
    path.write_text(json.dumps(tokenizer), encoding="utf-8")


def shorter(folder):
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**settings, "model_max_length": 32}), encoding="utf-8")


@pytest.fixture
def other(checkpoint, tmp_path):
    """The checkpoint, changed by a function."""

    def make(change):
        folder = shutil.copytree(checkpoint, tmp_path / "other")
        change(folder)
        load_checkpoint(folder)  # it is a model
        return folder

    return make


@pytest.mark.parametrize(
    ("change", "said"),
    [(heads, "another configuration (num_attention_heads was 4 and is 8 now)"), (cased, "the tokenizer is another")],
)
def test_edits_on_another_model_with_the_same_weights(polypatch, edited, other, change, said):
    assert said in polypatch("try", edited, "ba be", "--model", other(change), "--quiet").refused()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (heads, "configuration num_attention_heads was 4 and is 8 now"),
        (cased, "tokenizer was"),
        (shorter, "longest input was 64 and is 32 now"),
    ],
)
def test_a_run_goes_on_with_its_own_model_only(polypatch, other, files, tmp_path, cut, change, said):
    model = other(lambda _: None)
    words = (
        *("edit", model, "--out", tmp_path / "run", "--data", f"jsonl:{files / 'edits.jsonl'}"),
        *("--memory", files / "memory.txt", *FAST),
    )
    cut(polypatch, PowerCut, 2, *words)
    change(model)
    assert said in polypatch(*words, "--resume").refused()
