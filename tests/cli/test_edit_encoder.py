"""``--reads encoder:NAME``: a run whose edits read a sentence encoder, from its first edit to a text that is tried."""

import json

from polypatch.store.artefact import read_artefact
from sentence_encoders import sentence_encoder


def test_a_run_reads_a_sentence_encoder_and_goes_on_with_no_other(polypatch, checkpoint, files, tmp_path, monkeypatch):
    own = sentence_encoder(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    data = ("--data", f"jsonl:{files / 'edits.jsonl'}", "--memory", files / "memory.jsonl", "--languages", "en,de")
    command = ("edit", checkpoint, *data, "--reads", "encoder:own", "--out", tmp_path / "run", "--quiet")
    assert polypatch(*command).code == 0
    settings = read_artefact(tmp_path / "run" / "edits").config["settings"]
    assert settings["recipe"]["reads"] == f"encoder:{own.resolve()}"
    monkeypatch.chdir(files)
    tried = polypatch("try", tmp_path / "run", "ba be", "--json", "--quiet")
    assert tried.code == 0
    assert "ba be" in json.dumps(tried.json())
    monkeypatch.chdir(tmp_path)
    sentence_encoder(own, seed=6)
    assert "made with another sentence encoder" in polypatch("try", "run", "ba be", "--quiet").refused()
    assert "sentence encoder was" in polypatch(*command, "--resume").refused()


def test_what_is_no_encoder_is_said_before_anything_is_edited(polypatch, checkpoint, files, tmp_path):
    data = ("--data", f"jsonl:{files / 'edits.jsonl'}", "--memory", files / "memory.jsonl", "--out", tmp_path / "run")
    said = polypatch("edit", checkpoint, *data, "--reads", "encoder", "--quiet").refused()
    assert "reads is 'encoder': give 'query', 'means', 'encoder:NAME'" in said
    said = polypatch("edit", checkpoint, *data, "--reads", f"encoder:{files}", "--quiet").refused()
    assert "no config.json in this folder" in said
    assert not (tmp_path / "run" / "edits").exists()
