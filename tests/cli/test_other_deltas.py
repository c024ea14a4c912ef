"""What is no patch on the command line: killed and resumed, saved, explained, reverted, merged."""

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from polypatch.edited_model import EditedModel
from polypatch.store.artefact import read_artefact

from .conftest import PowerCut

SETTINGS = {
    "grace-mpn": ("--memory", "memory.jsonl", "--set", "radius=0.4"),
    "lora-mpn": ("--set", "max_steps=5", "--set", "views=0", "--set", "learning_rate=0.003"),
    "polypatch": ("--memory", "memory.jsonl"),
}


@pytest.fixture(params=SETTINGS)
def recipe(request):
    return request.param


@pytest.fixture
def run(polypatch, checkpoint, files, tmp_path, recipe):
    """`polypatch edit` into tmp_path/NAME, with what fails kept."""

    def call(name, *more):
        own = [files / word if word == "memory.jsonl" else word for word in SETTINGS[recipe]]
        data = ("--data", f"jsonl:{files / 'edits.jsonl'}", "--keep-failed", "--quiet")
        without = () if "--memory" in (*own, *more) else ("--no-memory",)
        return polypatch("edit", checkpoint, *data, "--recipe", recipe, "--out", tmp_path / name, *without, *own, *more)

    return call


@pytest.fixture
def killed(run, cut, tmp_path):
    cut(run, PowerCut, 3, "killed")
    return tmp_path / "killed"


def tensors(folder):
    artefact = read_artefact(folder)
    return artefact.owners, {name: tensor.tolist() for name, tensor in artefact.tensors.items()}


def test_killed_and_resumed_is_uninterrupted(run, killed, tmp_path):
    assert run("whole").code == 0
    resumed = run("killed", "--resume")
    assert resumed.code == 0, resumed.err
    assert tensors(killed / "edits") == tensors(tmp_path / "whole" / "edits")


def test_a_killed_runs_edits_can_be_saved(polypatch, run, killed, tmp_path, recipe):
    assert polypatch("save", killed, tmp_path / "mine").code == 0
    kind = {"grace-mpn": "codebook", "lora-mpn": "low-rank", "polypatch": "nearest"}[recipe]
    assert read_artefact(tmp_path / "mine").config["delta"] == kind
    EditedModel.from_pretrained(tmp_path / "mine").unload()
    # And those of a whole run's journal are the very same.
    assert run("whole").code == 0
    (tmp_path / "whole" / "edits").rename(tmp_path / "kept")
    assert polypatch("save", tmp_path / "whole", tmp_path / "journal").code == 0
    assert tensors(tmp_path / "journal") == tensors(tmp_path / "kept")


def test_an_edit_is_cut_out_of_a_folder_or_none(polypatch, run, tmp_path, recipe):
    assert run("run").code == 0
    if recipe == "polypatch":
        edited = EditedModel.from_pretrained(tmp_path / "run" / "edits")
        edited.revert("tiny-0")
        edited.save_pretrained(tmp_path / "reverted")
        edited.unload()
        assert polypatch("revert", tmp_path / "run", "tiny-0").code == 0
        assert tensors(tmp_path / "run" / "edits") == tensors(tmp_path / "reverted")
        assert polypatch("revert", tmp_path / "run", "--all").code == 0
        assert not tensors(tmp_path / "run" / "edits")[0]
        EditedModel.from_pretrained(tmp_path / "run" / "edits").unload()
        return
    message = polypatch("revert", tmp_path / "run", "tiny-0").refused()
    assert "share" in message
    assert "memory=" in message


def test_explained_and_listed(polypatch, run, tmp_path, recipe):
    assert run("run").code == 0
    said = polypatch("explain", tmp_path / "run", "--edit", "tiny-0", "--json").json()
    shown = polypatch("explain", tmp_path / "run", "--edit", "tiny-0").out
    listed = polypatch("ls", tmp_path / "run").out
    if recipe == "lora-mpn":
        assert "changed weights" in shown
        assert "weights were changed" in listed
        assert not any(one["causes"] for one in said)
        return
    artefact = read_artefact(tmp_path / "run" / "edits")
    assert str(len(artefact.owners)) in listed
    causes = [cause for one in said for cause in one["causes"]]
    assert causes
    assert {cause["edit"] for cause in causes} <= set(artefact.owners)
    assert all(0 < cause["activation"] <= 1 for cause in causes)
    assert polypatch("try", tmp_path / "run", "ba bo").code == 0


def test_merged_or_refused(polypatch, run, tmp_path, recipe):
    assert run("run").code == 0
    merged = tmp_path / "merged"
    if recipe != "lora-mpn":
        for more in ((), ("--dry-run",)):
            message = polypatch("merge", tmp_path / "run", "--out", merged, *more).refused()
            assert "cannot be merged" in message
        assert not merged.exists()
        return
    ran = polypatch("merge", tmp_path / "run", "--out", merged)
    assert ran.code == 0, ran.err
    assert "no parameter" in ran.out
    edited = EditedModel.from_pretrained(tmp_path / "run" / "edits")
    plain = AutoModelForSequenceClassification.from_pretrained(merged)
    batch = edited.tokenizer(["ba bo", "ke ki"], padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.allclose(plain(**batch).logits, edited.model(**batch).logits, atol=1e-5, rtol=1e-5)
    edited.unload()


def test_settings_are_written_down_and_read_again(run, tmp_path, recipe):
    assert run("run").code == 0
    config = json.loads((tmp_path / "run" / "edits" / "edit_config.json").read_text(encoding="utf-8"))
    edited = EditedModel.from_pretrained(tmp_path / "run" / "edits")
    try:
        editor = config["settings"]["recipe"]["editor"]
        assert editor["name"] == type(edited.recipe.editor).__name__ in ("GRACE", "LoRA", "NearestPatch")
    finally:
        edited.unload()
