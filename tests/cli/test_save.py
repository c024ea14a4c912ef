import json
import shutil
import subprocess
import sys

import pytest

from polypatch.edited_model import EditedModel
from polypatch.errors import InputError
from polypatch.store.artefact import read_artefact

from .conftest import FAST, PowerCut


@pytest.fixture
def run(polypatch, checkpoint, files, tmp_path):
    """`polypatch edit` into tmp_path/run."""

    def call(*more, settings=FAST):
        data = f"jsonl:{files / 'edits.jsonl'}"
        return polypatch("edit", checkpoint, "--data", data, "--out", tmp_path / "run", "--no-memory", *settings, *more)

    return call


@pytest.fixture
def killed(run, cut, tmp_path):
    """A run that died after two edits: no edits folder, only the journal."""

    def call(*more, settings=FAST):
        cut(run, PowerCut, 2, *more, settings=settings)
        assert not list((tmp_path / "run").glob("edits*"))
        return tmp_path / "run"

    return call


def timeless(artefact):
    return [record.outcome.timeless() for record in artefact.records]


def test_the_edits_of_a_run_are_the_same_in_another_folder(polypatch, edited, tmp_path):
    ran = polypatch("save", edited, tmp_path / "mine")
    assert ran.code == 0, ran.err
    assert str(tmp_path / "mine") in ran.out
    assert "6 edits" in ran.out
    for file in (edited / "edits").iterdir():
        mine = (tmp_path / "mine" / file.name).read_bytes()
        if file.name == "edit_config.json":  # its fields may stand in another order
            assert json.loads(mine) == json.loads(file.read_bytes())
        else:
            assert mine == file.read_bytes(), file.name


def test_json(polypatch, edited, tmp_path):
    said = polypatch("save", edited / "edits", tmp_path / "mine", "--json").json()
    assert said["folder"] == str(tmp_path / "mine")
    assert sum(said["edits"].values()) == 6
    assert said["patches"] == len(read_artefact(edited / "edits").owners)
    assert said["address"] is None


def test_a_killed_runs_edits_come_from_its_journal(polypatch, killed, run, checkpoint, tmp_path):
    folder = killed()
    said = polypatch("save", folder, tmp_path / "mine", "--json").json()
    assert said["source"] == str(folder / "journal.sqlite")
    assert sum(said["edits"].values()) == 2
    EditedModel.from_pretrained(tmp_path / "mine").unload()
    assert run("--limit", 2, "--overwrite").code == 0
    whole, saved = read_artefact(folder / "edits"), read_artefact(tmp_path / "mine")
    assert all(saved.tensors[name].equal(tensor) for name, tensor in whole.tensors.items())
    assert saved.owners == whole.owners
    assert timeless(saved) == timeless(whole)
    own = {"checksums", "checksum"}
    assert {k: v for k, v in saved.config.items() if k not in own} == {
        k: v for k, v in whole.config.items() if k not in own
    }


def test_a_finished_runs_journal_gives_the_very_same_tensors(polypatch, edited, tmp_path):
    shutil.copytree(edited, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "edits")
    assert polypatch("save", tmp_path / "copy", tmp_path / "mine").code == 0
    for name in ("edits.safetensors", "provenance.jsonl"):
        assert (tmp_path / "mine" / name).read_bytes() == (edited / "edits" / name).read_bytes()


def test_changed_weights_of_a_killed_run(polypatch, killed, tmp_path):
    folder = killed("--recipe", "fine-tuning", settings=("--set", "max_steps=5", "--set", "views=0", "--keep-failed"))
    assert polypatch("save", folder, tmp_path / "mine").code == 0
    assert read_artefact(tmp_path / "mine").config["delta"] == "weights"
    EditedModel.from_pretrained(tmp_path / "mine").unload()


def test_neither_torch_nor_a_model_is_needed_to_find_a_mistake(edited, tmp_path):
    code = (
        "import sys; from polypatch.cli import main\n"
        f"try: main(['save', {str(edited)!r}, {str(edited)!r}])\n"
        "except SystemExit as left: assert left.code == 2\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_one_of_several_folds_must_be_named(polypatch, run, tmp_path):
    assert run("--folds", 2).code == 0
    message = polypatch("save", tmp_path / "run", tmp_path / "mine").refused()
    assert "edits-0" in message
    assert "edits-1" in message
    assert polypatch("save", tmp_path / "run" / "edits-1", tmp_path / "mine").code == 0
    want = (tmp_path / "run" / "edits-1" / "edits.safetensors").read_bytes()
    assert (tmp_path / "mine" / "edits.safetensors").read_bytes() == want
    for name in ("edits-0", "edits-1"):
        shutil.rmtree(tmp_path / "run" / name)
    assert "name one" in polypatch("save", tmp_path / "run", tmp_path / "other").refused()
    assert polypatch("save", tmp_path / "run" / "edits-1", tmp_path / "other").code == 0
    assert (tmp_path / "other" / "edits.safetensors").read_bytes() == want
    assert "no such folder" in polypatch("save", tmp_path / "run" / "edits-2", tmp_path / "third").refused()


def test_what_is_there_is_replaced_only_when_asked_and_only_edits_are(polypatch, edited, tmp_path):
    assert polypatch("save", edited, tmp_path / "mine").code == 0
    assert "--overwrite" in polypatch("save", edited, tmp_path / "mine").refused()
    assert polypatch("save", edited, tmp_path / "mine", "--overwrite").code == 0
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter-1.tex").touch()
    assert "refusing" in polypatch("save", edited, tmp_path / "thesis", "--overwrite").refused()
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter-1.tex"]


def test_newcomers(polypatch, edited, tmp_path):
    assert "no such folder" in polypatch("save", tmp_path / "gone", tmp_path / "mine").refused()
    assert "no saved edits" in polypatch("save", tmp_path, tmp_path / "mine").refused()
    assert "--push-to-hub" in polypatch("save", edited, tmp_path / "mine", "--private").refused()
    assert "FOLDER" in polypatch("save", edited).refused()
    (tmp_path / "file").touch()
    assert "cannot be written" in polypatch("save", edited, tmp_path / "file" / "mine").refused()
    assert not (tmp_path / "mine").exists()


def test_an_old_format_is_not_written_anew(polypatch, tmp_path):
    from pathlib import Path

    old = Path(__file__).parents[1] / "fixtures" / "format-1"
    folder = next(path.parent for path in old.rglob("edit_config.json"))
    assert "format 1" in polypatch("save", folder, tmp_path / "mine").refused()


def test_a_journal_without_an_edit(polypatch, edited, tmp_path):
    import sqlite3

    shutil.copytree(edited, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "edits")
    with sqlite3.connect(tmp_path / "run" / "journal.sqlite") as db:
        db.execute("DELETE FROM edits")
    assert "no edit yet" in polypatch("save", tmp_path / "run", tmp_path / "mine").refused()


def test_a_damaged_folder(polypatch, edited, tmp_path):
    shutil.copytree(edited / "edits", tmp_path / "edits")
    raw = bytearray((tmp_path / "edits" / "edits.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "edits" / "edits.safetensors").write_bytes(raw)
    assert "changed after" in polypatch("save", tmp_path / "edits", tmp_path / "mine").refused()


def test_upload(polypatch, edited, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(
        "polypatch.store.load.push_artefact",
        lambda artefact, repo_id, *, private, token: sent.append((repo_id, private)) or f"https://hub/{repo_id}",
    )
    ran = polypatch("save", edited, tmp_path / "mine", "--push-to-hub", "me/mine", "--private", "--json")
    assert ran.json()["address"] == "https://hub/me/mine"
    assert sent == [("me/mine", True)]

    def refuse(*_, **__):
        raise InputError("me/mine: the hub refuses the upload (401)")

    monkeypatch.setattr("polypatch.store.load.push_artefact", refuse)
    message = polypatch("save", edited, tmp_path / "other", "--push-to-hub", "me/mine").refused()
    assert "401" in message
    assert str(tmp_path / "other") in message
    assert json.loads((tmp_path / "other" / "edit_config.json").read_text())["format_version"] == 4
