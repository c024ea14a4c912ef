import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from polypatch.data import read_jsonl
from polypatch.edited_model import EditedModel
from polypatch.store import merged
from polypatch.testing import tiny_model


@pytest.fixture
def merge(polypatch, edited):
    return lambda *argv, folder=edited / "edits": polypatch("merge", folder, "--quiet", *argv)


@pytest.fixture
def texts(files):
    return [text for edit in read_jsonl(files / "edits.jsonl") for text in edit.prompt.values()]


def test_the_checkpoint_answers_as_the_attached_model_does(merge, edited, texts, tmp_path):
    ran = merge("--out", tmp_path / "deep" / "merged")
    assert ran.code == 0, ran.err
    cost, written, elsewhere = ran.out.splitlines()
    assert elsewhere.startswith("Elsewhere: ")
    assert "parameters" in cost
    assert "logits within" in written
    model = EditedModel.from_pretrained(edited / "edits")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "deep" / "merged")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "deep" / "merged")
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.allclose(plain(**batch).logits, model.model(**batch).logits, atol=1e-5, rtol=1e-5)
    before = sum(parameter.numel() for parameter in model.unload().parameters())
    added = sum(parameter.numel() for parameter in plain.parameters()) - before
    assert f"{added:,} parameters" in cost
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"merged"}


def test_it_loads_where_there_is_no_polypatch(merge, edited, texts, tmp_path):
    assert merge("--out", tmp_path / "merged").code == 0
    code = (
        "import sys, json; sys.modules['polypatch'] = None\n"
        "from transformers import AutoModelForSequenceClassification as A, AutoTokenizer as T\n"
        f"place = {str(tmp_path / 'merged')!r}\n"
        "model, tokenizer = A.from_pretrained(place), T.from_pretrained(place)\n"
        f"batch = tokenizer({texts!r}, padding=True, return_tensors='pt')\n"
        "print(json.dumps([model.config.id2label[i] for i in model(**batch).logits.argmax(-1).tolist()]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    model = EditedModel.from_pretrained(edited / "edits")
    assert json.loads(ran.stdout) == model.predict(texts)
    model.unload()


def test_a_dry_run_only_says_the_cost(merge, tmp_path):
    ran = merge("--dry-run", "--out", tmp_path / "merged")
    assert ran.code == 0
    assert "parameters" in ran.out
    assert ran.out.count("\n") == 1
    said = merge("--dry-run", "--json").json()
    assert said["folder"] is None
    assert said["cost"]["patches"] > 0
    assert said["cost"]["parameters"] > 0
    assert list(tmp_path.iterdir()) == []


def test_json(merge, tmp_path):
    said = merge("--out", tmp_path / "merged", "--json").json()
    assert said["folder"] == str(tmp_path / "merged")
    assert said["difference"] <= 1e-5
    assert said["compared"] > 0
    assert "of 4 other answers changed" in said["elsewhere"]
    assert said["elsewhere"].endswith("when it was measured")


def test_changed_weights(merge, reweighted, texts, tmp_path):
    ran = merge("--out", tmp_path / "merged", folder=reweighted)
    assert ran.code == 0, ran.err
    assert "no parameter" in ran.out
    model = EditedModel.from_pretrained(reweighted / "edits")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged")
    batch = model.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.allclose(plain(**batch).logits, model.model(**batch).logits, atol=1e-5, rtol=1e-5)
    model.unload()


def test_a_checkpoint_is_replaced_only_when_asked_and_nothing_else_ever(merge, checkpoint, tmp_path):
    assert merge("--out", tmp_path / "merged").code == 0
    assert "--overwrite" in merge("--out", tmp_path / "merged").refused()
    (tmp_path / "merged" / "old").touch()
    assert merge("--out", tmp_path / "merged", "--overwrite").code == 0
    assert not (tmp_path / "merged" / "old").exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "config.json").touch()
    assert "no checkpoint" in merge("--out", tmp_path / "thesis", "--overwrite").refused()
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["config.json"]
    assert "take another --out" in merge("--out", checkpoint, "--overwrite").refused()
    assert {path.name for path in tmp_path.iterdir()} == {"merged", "thesis"}


@pytest.mark.parametrize("there", [False, True])
def test_a_checkpoint_that_answers_differently_is_not_kept(merge, tmp_path, monkeypatch, there):
    if there:
        assert merge("--out", tmp_path / "merged").code == 0
    before = {path.name for path in tmp_path.rglob("*")}
    monkeypatch.setattr(merged, "TOLERANCE", -1.0)
    message = merge("--out", tmp_path / "merged", "--overwrite", "--json").refused()
    assert "answers differently" in message
    assert {path.name for path in tmp_path.rglob("*")} == before


def test_a_full_disk_leaves_nothing(merge, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.PreTrainedTokenizerBase.save_pretrained", full)
    assert "No space left" in merge("--out", tmp_path / "deep" / "merged", "--json").refused()
    assert list(tmp_path.iterdir()) == []


def test_newcomers(merge, polypatch, edited, tmp_path):
    assert "--out is missing" in merge().refused()
    assert "no such folder" in merge("--dry-run", folder=tmp_path / "gone").refused()
    (tmp_path / "file").touch()
    assert "cannot be written" in merge("--out", tmp_path / "file" / "merged", "--json").refused()
    model, tokenizer = tiny_model("bert", seed=1)
    model.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    assert "other weights" in merge("--dry-run", "--model", tmp_path / "other").refused()


@pytest.mark.parametrize("size", [1_000, 60_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(edited, tmp_path, size):
    """In a process in which no file can grow beyond so many bytes."""
    out = tmp_path / "below" / "merged"
    code = (
        "import resource, signal, sys; from polypatch.cli import main\n"
        f"signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        "main(sys.argv[1:])"
    )
    words = ["merge", str(edited), "--out", str(out), "--quiet", "--json"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: {out}: cannot be written")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
