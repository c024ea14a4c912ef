import json

import pytest

from polypatch.edited_model import EditedModel
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_model


@pytest.fixture
def explain(polypatch, edited):
    return lambda *argv, folder=edited / "edits": polypatch("explain", folder, "--quiet", *argv)


@pytest.fixture
def fired(edited):
    """An edit with a neuron, and its prompt in the source language."""
    artefact = read_artefact(edited / "edits")
    record = next(one for one in artefact.records if one.outcome.edit_id in artefact.owners)
    return record.edit


def test_it_says_what_the_library_says(explain, edited, fired):
    text = fired.prompt[fired.source]
    (found,) = explain(text, "--lang", "en", "--json").json()
    assert set(found) == {"lang", "text", "wanted", "answer", "unedited", "firing", "causes", "tokens"}
    model = EditedModel.from_pretrained(edited / "edits")
    why = model.explain(text)
    model.unload()
    assert found == json.loads(json.dumps({"lang": "en", "wanted": None, **why.to_plain()}))
    assert found["firing"] > 0
    cause = found["causes"][0]
    assert set(cause) == {"edit", "request", "status", "activation", "push", "token", "without"}
    own = next(cause for cause in found["causes"] if cause["edit"] == fired.id)
    assert own["request"] == {"lang": "en", "prompt": text, "target": fired.target_in("en")}
    assert own["status"] == "taken"


def test_for_people(explain, fired):
    ran = explain("--edit", fired.id)
    assert ran.code == 0, ran.err
    for word in (fired.id, "unedited:", "wanted:", "Activation", "Push", "Without it", f"→ {fired.target_in('en')}"):
        assert word in ran.out


def test_every_script_is_readable(explain):
    ran = explain("--text", "ar=أيقظني في التاسعة", "--text", "zh=明天九点叫我")
    assert ran.code == 0
    assert "ar  \u2068أيقظني في التاسعة\u2069" in ran.out
    assert "zh  明天九点叫我" in ran.out


def test_an_edits_prompts_as_it_was_made_or_in_the_data(explain, fired, files):
    assert [one["lang"] for one in explain("--edit", fired.id, "--json").json()] == ["en", "de"]
    data = ("--data", f"jsonl:{files / 'edits.jsonl'}")
    assert [one["lang"] for one in explain("--edit", fired.id, *data, "--json").json()] == ["en", "de", "sw"]


def test_a_pair(explain):
    assert explain("ba bo", "--second", "ke ki", "--json").json()[0]["text"] == ["ba bo", "ke ki"]


def test_changed_weights_have_no_patches_to_name(explain, reweighted):
    assert "changed weights" in explain("ba bo", folder=reweighted).out


def test_newcomers(explain, tmp_path, fired):
    assert "nothing to ask" in explain().refused()
    message = explain("--edit", fired.id.replace("-", "")).refused()
    assert fired.id in message
    assert "'fr'" in explain("--edit", fired.id, "--lang", "fr").refused()
    assert "NAME=VALUE" in explain("--text", "hello").refused()
    assert "no such folder" in explain("x", folder=tmp_path / "gone").refused()
    model, tokenizer = tiny_model("bert", seed=1)
    model.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    assert "other weights" in explain("x", "--model", tmp_path / "other").refused()
