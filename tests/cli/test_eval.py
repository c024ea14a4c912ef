import json
from dataclasses import replace

import pytest

from polypatch.store.artefact import read_artefact
from polypatch.store.write import write_artefact
from polypatch.testing import tiny_model


@pytest.fixture
def evaluate(polypatch, edited, files):
    def call(*more, folder=edited / "edits"):
        return polypatch("eval", folder, "--data", f"jsonl:{files / 'edits.jsonl'}", "--quiet", *more)

    return call


def test_saved_edits_measure_as_the_run_did(evaluate, edited, tmp_path):
    ran = evaluate("--json", "--out", tmp_path / "again")
    assert ran.code == 0, ran.err
    first = json.loads((edited / "report.json").read_text(encoding="utf-8"))
    for now, then in zip(ran.json(), first, strict=True):
        own = {"config", "original"}
        assert {name: now[name] for name in now.keys() - own} == {name: then[name] for name in then.keys() - own}
    assert json.loads((tmp_path / "again" / "report.json").read_text(encoding="utf-8")) == ran.json()
    assert (tmp_path / "again" / "cells.json").is_file()
    assert "edits from" in (tmp_path / "again" / "report.md").read_text(encoding="utf-8")


def test_the_run_may_be_named_instead_of_its_edits(evaluate, edited):
    ran = evaluate(folder=edited)
    assert ran.code == 0
    assert "mpn-all" in ran.out


def test_edits_that_were_not_handled_count_only_when_asked_for(polypatch, checkpoint, files, evaluate, tmp_path):
    data = f"jsonl:{files / 'edits.jsonl'}"
    assert polypatch(
        "edit",
        checkpoint,
        "--data",
        data,
        "--out",
        tmp_path / "two",
        "--no-memory",
        "--limit",
        2,
        "--recipe",
        "polypatch-linear",
    )
    ran = evaluate("--json", folder=tmp_path / "two")
    assert "2 of 6 edits" in ran.err
    assert ran.json()[1]["edits"] == 2
    assert evaluate("--json", "--every-edit", folder=tmp_path / "two").json()[1]["edits"] == 6


def test_fewer_languages(evaluate):
    assert set(evaluate("--json", "--languages", "en,sw").json()[1]["clg"]) == {"sw"}
    assert "'fr'" in evaluate("--languages", "en,fr").refused()


def test_edits_of_another_model_are_refused(evaluate, tmp_path):
    model, tokenizer = tiny_model("bert", seed=1)
    model.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    assert "other weights" in evaluate("--model", tmp_path / "other").refused()


def test_a_model_that_moved_is_asked_for(evaluate, edited, tmp_path):
    artefact = read_artefact(edited / "edits")
    for name in (str(tmp_path / "moved"), ""):
        moved = replace(artefact, config={**artefact.config, "base_model": name})
        assert "--model" in evaluate(folder=write_artefact(tmp_path / "edits", moved)).refused()


def test_the_data_of_the_run_need_not_be_named(polypatch, evaluate, edited, monkeypatch):
    """From another folder, too; edits of the version before do not know them."""
    named = evaluate("--json").json()
    monkeypatch.chdir("/")
    assert [row["reliability"] for row in polypatch("eval", edited, "--quiet", "--json").json()] == [
        row["reliability"] for row in named
    ]


def test_data_that_are_not_known_must_be_named(polypatch, edited, tmp_path):
    artefact = read_artefact(edited / "edits")
    unknown = replace(artefact, config={**artefact.config, "data": None})
    assert "--data is missing" in polypatch("eval", write_artefact(tmp_path / "edits", unknown)).refused()


def test_results_are_not_replaced(evaluate, edited):
    assert "--overwrite" in evaluate("--out", edited).refused()
