"""pp.open: whatever is at a place, ready to be asked and edited; yesterday's edits go on today."""

import shutil

import pytest
import torch

import polypatch as pp
from polypatch.errors import ArtefactError, DataError, InputError
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

MEMORY = {"en": tiny_texts(40), "de": tiny_texts(40, seed=2)}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    for part in tiny_model("bert"):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def edits(base, tmp_path_factory):
    edited = pp.open(base, memory=MEMORY)
    edited.edit(tiny_edits(3))
    return edited.save_pretrained(tmp_path_factory.mktemp("made") / "edits")


def test_a_checkpoint_needs_a_word_about_its_memory(base):
    with pytest.raises(InputError, match="memory is missing"):
        pp.open(base)
    edited = pp.open(base, memory=MEMORY, recipe="mpn-all")
    assert (edited.patches, edited.recipe_name) == (0, "mpn-all")
    with pytest.warns(pp.PolypatchWarning, match="no memory"):
        pp.open(str(base), memory=None)


def test_edits_go_on(base, edits):
    """In a folder of their own, and in a run's; they bring their model, recipe and memory."""
    edited = pp.open(edits)
    assert list(edited.outcomes) == [edit.id for edit in tiny_edits(3)]
    assert edited.edit(tiny_edits(4)[3:])
    assert pp.open(edits.parent).patches == pp.open(edits).patches
    with pytest.raises(InputError, match="leave recipe out"):
        pp.open(edits, recipe="mpn-all")
    assert pp.open(edits, memory=None).kept.train == []


def test_a_folder_moved_aside_by_a_kill_is_found(edits, tmp_path):
    shutil.copytree(edits, tmp_path / ".mine.old")
    assert pp.open(tmp_path / "mine").outcomes == pp.open(edits).outcomes


def test_the_world_brings_its_memory():
    edited = pp.open("world")
    assert len(edited.memory.train.rows.q if hasattr(edited.memory.train.rows, "q") else edited.memory.train.rows) > 500


@pytest.mark.parametrize("place", ["nowhere", "./no/where", "/no/where"])
def test_what_is_not_there(place):
    with pytest.raises(InputError, match="no such folder"):
        pp.open(place)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="holds no saved edits"):
        pp.open(tmp_path)


def test_on_a_hub_the_configuration_says_which_it_is(edits, base, monkeypatch):
    """Only its file is asked for; a repository without it is taken for a checkpoint."""
    asked = []

    def download(name, file, revision=None):
        asked.append((name, file, revision))
        if name != "me/edits":
            raise OSError("no such entry")

    monkeypatch.setattr("polypatch.store.load.hf_hub_download", download)
    monkeypatch.setattr("polypatch.store.load.snapshot_download", lambda name, revision: str(edits))
    assert pp.open("me/edits").outcomes == pp.open(edits).outcomes
    monkeypatch.setattr("polypatch.api.load_checkpoint", lambda name, revision: tiny_model("bert"))
    assert pp.open("me/model", memory=MEMORY).patches == 0
    assert asked == [("me/edits", "edit_config.json", None), ("me/model", "edit_config.json", None)]


@pytest.mark.parametrize("device", ["nonsense", *(() if torch.cuda.is_available() else ("cuda",))])
def test_a_device_that_is_not_there(base, edits, device):
    for place in (base, edits):
        with pytest.raises(InputError, match=f"device '{device}' cannot be used here"):
            pp.open(place, memory=MEMORY, device=device)
    assert pp.open(edits, device="auto").patches > 0


def test_errors_are_those_of_the_parts(tmp_path, edits):
    copy = shutil.copytree(edits, tmp_path / "copy")
    (copy / "edits.safetensors").write_bytes(b"x")
    with pytest.raises(ArtefactError, match="was changed"):
        pp.open(copy)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError):
        pp.open(tmp_path, memory=MEMORY)
