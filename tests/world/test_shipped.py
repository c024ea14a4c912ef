"""The world that comes with polypatch: whole, of the texts that the generator makes, and the same for everybody."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from polypatch.errors import DataError
from polypatch.world import WorldConfig, build_world, is_world, load_world, shipped_folder, world_path
from polypatch.world.shipped import FOLDER, require_texts, texts_checksum
from polypatch.world.universe import make_universe

DEFAULT = WorldConfig()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the shipped folder that stands for it, to be damaged."""
    folder = tmp_path / FOLDER.name
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr("polypatch.world.shipped.FOLDER", folder)
    return folder


def test_seed_0_is_there_without_a_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYPATCH_CACHE", str(tmp_path / "none"))
    assert build_world(0) == load_world(0).path == shipped_folder(0, DEFAULT) == FOLDER
    assert not (tmp_path / "none").exists()
    assert shipped_folder(1, DEFAULT) is None
    assert shipped_folder(0, WorldConfig(persons=8)) is None


def test_it_is_loaded_in_single_precision_from_half():
    kept = load_file(FOLDER / "model.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.float16}
    model = AutoModelForSequenceClassification.from_pretrained(FOLDER)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_500_000


def test_its_weights_belong_to_the_texts_of_the_generator():
    universe = make_universe(DEFAULT, 0)
    require_texts(FOLDER, universe)
    facts = list(universe.documents)
    with pytest.raises(DataError, match="trained on other texts"):
        require_texts(FOLDER, universe._replace(documents=tuple(facts[:-1])))
    assert texts_checksum(universe) != texts_checksum(make_universe(DEFAULT, 1))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "texts.json"])
def test_a_damaged_one_is_refused_and_says_what_to_do(copy, name):
    raw = (copy / name).read_bytes()
    (copy / name).write_bytes(raw[:-1])
    with pytest.raises(DataError, match="comes with polypatch, so install that again"):
        shipped_folder(0, DEFAULT)


def test_weights_of_other_texts_are_refused(copy, monkeypatch):
    """Also where every checksum of a file is right."""
    (copy / "texts.json").write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(DataError, match="other texts"):
        require_texts(copy, make_universe(DEFAULT, 0))


def test_a_saved_edits_model_is_known_for_a_world_wherever_it_was_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYPATCH_CACHE", str(tmp_path))
    assert is_world(str(FOLDER))
    assert is_world("/elsewhere/site-packages/polypatch/world/seed-0")
    assert is_world(str(world_path(3, DEFAULT)))
    assert not is_world("world/seed-0")
    assert not is_world(str(Path("/elsewhere/model")))
