"""Checkpoints from elsewhere: no code of theirs is run or asked about, and limits are those of the model."""

import ast
import builtins
import json
import shutil
from pathlib import Path

import pytest
import torch

import polypatch
from polypatch.data.seq2seq import Checkpoint
from polypatch.errors import DataError, InputError
from polypatch.sites import FeedForwardSite, FrozenTail, load_checkpoint
from polypatch.testing import tiny_model
from polypatch.testing.tiny import FAMILIES

CODE = "raise SystemExit('the code of a checkpoint was run')\n"


@pytest.fixture
def checkpoint(tmp_path):
    """Writes a tiny checkpoint, its configuration and its tokenizer's changed."""

    def write(family="bert", config=None, tokenizer=None, **options):
        model, words = tiny_model(family)
        folder = tmp_path / "checkpoint"
        model.save_pretrained(folder, **options)
        words.save_pretrained(folder)
        for name, fields in (("config.json", config), ("tokenizer_config.json", tokenizer)):
            path = folder / name
            plain = {**json.loads(path.read_text(encoding="utf-8")), **(fields or {})}
            path.write_text(json.dumps({k: v for k, v in plain.items() if v is not None}), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def never_asked(monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("asked whether to run the code of a checkpoint"))


AUTO = {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own", "AutoTokenizer": ["own.Own", None]}


def test_code_that_comes_with_a_model_is_neither_run_nor_asked_about(checkpoint, never_asked):
    folder = checkpoint(config={"model_type": "own", "auto_map": AUTO})
    (folder / "own.py").write_text(CODE, encoding="utf-8")
    with pytest.raises(DataError) as refused:
        load_checkpoint(folder)
    assert "\n" not in str(refused.value)
    with pytest.raises(DataError):
        Checkpoint(str(folder))


def test_where_transformers_knows_the_model_its_own_code_is_used(checkpoint, never_asked):
    folder = checkpoint(config={"auto_map": AUTO}, tokenizer={"auto_map": AUTO})
    (folder / "own.py").write_text(CODE, encoding="utf-8")
    assert load_checkpoint(folder)[0].config.model_type == "bert"


def test_every_loader_says_so():
    """A loader that leaves it open asks on a terminal."""
    open_ones = [
        f"{path.name}:{node.lineno}"
        for path in Path(polypatch.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("Auto")
        if ast.unparse(node.func).endswith(".from_pretrained")
        if not any(word.arg == "trust_remote_code" and ast.unparse(word.value) == "False" for word in node.keywords)
    ]
    assert not open_ones


def test_a_pickle_is_read_as_weights_only(checkpoint, tmp_path):
    """Weights in ``.bin`` load; an object in them that does something is refused, and does nothing."""
    folder = checkpoint()
    model, _ = load_checkpoint(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    again, _ = load_checkpoint(folder)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    trap = tmp_path / "trap"

    class Evil:
        def __reduce__(self):
            return Path.touch, (trap,)

    torch.save({**model.state_dict(), "evil": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(DataError):
        load_checkpoint(folder)
    assert not trap.exists()


def test_a_tokenizer_of_a_larger_model_is_refused(checkpoint):
    folder = checkpoint()
    _, words = tiny_model("bert")
    words.add_tokens(["one more"])
    words.save_pretrained(folder)
    with pytest.raises(DataError, match=r"up to 197, and the model has embeddings for 197, 0 to 196"):
        load_checkpoint(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_longest_input_is_what_the_model_has_positions_for(family):
    """A tokenizer that states no limit, and one that states too much."""
    model, words = tiny_model(family)
    site = FeedForwardSite(model)
    places = 64 if "roberta" in family else 66
    long = ["ba " * 200]
    for stated in (10**30, 512):
        words.model_max_length = stated
        tail = FrozenTail(site, words)
        assert tail.encoder.tokens.max_length == places
        assert tail.queries(tail.readout.rows(long)).q.isfinite().all()
    words.model_max_length = 16
    assert FrozenTail(site, words, check=False).encoder.tokens.max_length == 16
    with pytest.raises(InputError, match=f"from 1 to {places}, the model's positions, is {places + 1}"):
        FrozenTail(site, words, max_length=places + 1)


def test_a_cache_that_cannot_be_used_is_named(tmp_path):
    model, words = tiny_model("bert")
    site = FeedForwardSite(model)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"file/encoding.*: queries cannot be kept there"):
        FrozenTail(site, words, cache_dir=tmp_path / "file")
    tail = FrozenTail(site, words, cache_dir=tmp_path / "cache")
    shutil.rmtree(tail.cache.directory)
    tail.cache.directory.write_text("in the way")
    with pytest.raises(InputError, match="queries cannot be kept there"):
        tail.queries(tail.readout.rows(["ba"]))
