"""The folder on disk: what is written is read back, the old folder survives a failure, and damage is a typed error."""

import dataclasses
import json
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from polypatch.api import edit
from polypatch.data.memory import MemoryTexts
from polypatch.edited_model import EditedModel
from polypatch.editors import FineTuning, TPatcher
from polypatch.edits import Edit
from polypatch.errors import ArtefactError
from polypatch.files import sha256
from polypatch.model.rules import Rules
from polypatch.recipes import RECIPES, Recipe
from polypatch.store import write
from polypatch.store.artefact import CARD, CONFIG, FIELDS, FORMAT_VERSION, MEMORY, PROVENANCE, TENSORS, own_checksum
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

PATCHED = dataclasses.replace(RECIPES["mpn-all"], editor=TPatcher(max_steps=5, views=0))
TUNED = Recipe(FineTuning(max_steps=5))


@pytest.fixture(scope="module")
def bert():
    return tiny_model("bert")


@pytest.fixture(scope="module")
def folders(bert, tmp_path_factory):
    """One folder of patches, one of changed weights, both of three edits."""
    model, tokenizer = bert
    made = {}
    for name, recipe in (("patches", PATCHED), ("weights", TUNED)):
        edited = edit(
            model,
            tiny_edits(3),
            tokenizer=tokenizer,
            recipe=recipe,
            memory=tiny_texts(9),
            rules=Rules(seed=5, keep_failed=True),
        )
        made[name] = edited.save_pretrained(tmp_path_factory.mktemp("saved") / name)
        edited.unload()
    return made


@pytest.fixture(params=["patches", "weights"])
def folder(request, folders, tmp_path):
    """A copy to damage."""
    return shutil.copytree(folders[request.param], tmp_path / "copy")


def load(bert, folder):
    model, tokenizer = bert
    edited = EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer)
    edited.unload()
    return edited


def test_everything_comes_back(bert, folder):
    """Recipe, seed, languages, settings, outcomes and tensors: saved again, the files are the same bytes."""
    edited = load(bert, folder)
    assert edited.recipe_name == "custom"
    assert edited.rules.seed == 5
    assert edited.sampled_languages == ("en", "de", "fr")
    assert list(edited.outcomes) == ["tiny-0", "tiny-1", "tiny-2"]
    again = edited.save_pretrained(folder.with_name("again"))
    for name in (CONFIG, TENSORS, PROVENANCE, MEMORY, CARD):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["again", "copy"]


def test_it_holds_the_edits_and_not_the_model(bert, folders):
    size = sum(path.stat().st_size for path in folders["patches"].iterdir())
    assert size < 12_000
    tensors = load_file(folders["patches"] / TENSORS)
    assert {name: tuple(tensor.shape[1:]) for name, tensor in tensors.items()} == {
        "keys": (32,),
        "biases": (),
        "values": (32,),
    }
    assert sorted(load_file(folders["weights"] / TENSORS)) == [
        "bert.encoder.layer.1.intermediate.dense.weight",
        "bert.encoder.layer.1.output.dense.weight",
    ]


ids = st.text(min_size=1, max_size=20).filter(lambda name: name.isprintable() or "\u2028" in name)


@settings(max_examples=12)
@given(st.lists(ids, unique=True, min_size=1, max_size=5))
def test_any_edit_id_survives_the_disk(bert, tmp_path_factory, names):
    """Line separators, quotes, right-to-left marks: one line of JSON per edit, whatever it is called."""
    model, tokenizer = bert
    edits = [Edit(name, {"en": f"{i} ba"}, {"en": "class-0"}) for i, name in enumerate(names)]
    quick = Recipe(TPatcher(max_steps=1, views=0))
    edited = edit(model, edits, tokenizer=tokenizer, memory=MemoryTexts(), recipe=quick)
    edited.unload()
    loaded = load(bert, edited.save_pretrained(tmp_path_factory.mktemp("ids") / "saved"))
    assert loaded.outcomes == edited.outcomes
    assert loaded.delta.owners == edited.delta.owners


def test_aliases_survive_the_disk_and_are_not_written_where_there_are_none(bert, tmp_path):
    model, tokenizer = bert
    plain, named = tiny_edits(2)
    named = dataclasses.replace(named, aliases={"en": ("a", "b"), "de": ("c",)})
    quick = Recipe(TPatcher(max_steps=1, views=0))
    edited = edit(model, [plain, named], tokenizer=tokenizer, memory=MemoryTexts(), recipe=quick)
    edited.unload()
    loaded = load(bert, saved := edited.save_pretrained(tmp_path / "saved"))
    assert loaded.records[named.id].edit == named
    lines = (saved / PROVENANCE).read_text(encoding="utf-8").splitlines()
    assert ["aliases" in json.loads(line)["request"] for line in lines] == [False, True]


def test_another_base_model_is_refused(folder):
    """One weight differs: the edits were not made for this model."""
    model, tokenizer = tiny_model("bert")
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[3, 3] += 1e-3
    with pytest.raises(ArtefactError, match="other weights"):
        EditedModel.from_pretrained(folder, model=model, tokenizer=tokenizer)
    assert not hasattr(model, "_carries_polypatch_edits")


@pytest.mark.parametrize("name", [CONFIG, TENSORS, PROVENANCE, MEMORY])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "noise", "a folder"])
def test_broken_files_are_named(bert, folder, name, damage):
    path = folder / name
    whole = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "gone":
        path.write_bytes({"empty": b"", "cut": whole[:-9], "noise": b"\xff\xfe{" * 30}[damage])
    with pytest.raises(ArtefactError, match=name):
        load(bert, folder)


def configure(folder, change):
    """Write a configuration that lies, with a checksum that fits."""
    config = {**json.loads((folder / CONFIG).read_text(encoding="utf-8")), **change}
    config["checksum"] = own_checksum(config)
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")


def replace_tensors(folder, tensors):
    """Write other tensors, with checksums that fit."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / TENSORS)
    old = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["checksums"]
    configure(folder, {"checksums": {**old, TENSORS: sha256((folder / TENSORS).read_bytes())}})


CHANGES = [
    {"format_version": 1},
    {"format_version": 2},
    {"format_version": 5},
    {"memory": {"path": "texts.txt"}},
    {"data": []},
    {"format_version": True},
    {"format_version": None},
    {"recipe": None},
    {"seed": "0"},
    {"sampled_languages": [1]},
    {"sampled_languages": "en"},
    {"delta": "lora"},
    {"owners": ["tiny-0"]},
    {"labels": [1]},
    {"labels": ["class-1", "class-0", "class-2"]},
    {"hidden_size": 16},
    {"activation": "relu"},
    {"site": "bert.encoder.layer.0"},
    {"max_length": "64"},
    {"max_length": 0},
    {"max_length": -3},
    {"settings": []},
    {"scope": 3},
    {"scope": "everything"},
    {"base_fingerprint": "0" * 64},
    {"base_fingerprint": None},
    {"base_model": None},
    {"base_config": {}},
    {"base_config": None},
    {"base_tokenizer": "0" * 64},
    {"base_tokenizer": 3},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_wrong_entry_of_the_configuration_is_refused(bert, folder, change):
    configure(folder, change)
    with pytest.raises(ArtefactError):
        load(bert, folder)
    assert not hasattr(bert[0], "_carries_polypatch_edits")


def test_a_configuration_changed_by_hand_is_refused(bert, folder):
    """Also where the new value makes sense: the checksum is another."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps({**config, "seed": 6}), encoding="utf-8")
    with pytest.raises(ArtefactError, match="was changed after"):
        load(bert, folder)
    configure(folder, {"seed": 6})
    assert load(bert, folder).rules.seed == 6


@pytest.mark.parametrize("entry", list(FIELDS[FORMAT_VERSION]))
def test_a_missing_entry_of_the_configuration_is_refused(bert, folder, entry):
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    del config[entry]
    if entry != "checksum":
        config["checksum"] = own_checksum(config)
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ArtefactError, match=entry):
        load(bert, folder)


def test_patches_are_not_taken_for_weights(bert, folder):
    """A configuration that names the other kind of delta does not fit the tensors."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    other = {"patches": "weights", "weights": "patches"}[config["delta"]]
    configure(folder, {"delta": other, "scope": {"patches": None, "weights": "ffn"}[other]})
    with pytest.raises(ArtefactError, match="found"):
        load(bert, folder)


TENSOR_DAMAGE = {
    "one missing": lambda tensors: dict(list(tensors.items())[1:]),
    "one too many": lambda tensors: {**tensors, "extra": torch.zeros(1)},
    "another shape": lambda tensors: {name: tensor[:-1] for name, tensor in tensors.items()},
    "half precision": lambda tensors: {name: tensor.half() for name, tensor in tensors.items()},
    "not a number": lambda tensors: {name: tensor / 0 * 0 for name, tensor in tensors.items()},
}


@pytest.mark.parametrize("damage", TENSOR_DAMAGE)
def test_wrong_tensors_are_refused(bert, folder, damage):
    tensors = TENSOR_DAMAGE[damage](load_file(folder / TENSORS))
    replace_tensors(folder, tensors)
    with pytest.raises(ArtefactError):
        load(bert, folder)


@given(st.binary(min_size=1, max_size=8), st.floats(0, 1), st.sampled_from([CONFIG, TENSORS, PROVENANCE, MEMORY]))
def test_random_damage_is_a_typed_error_or_harmless(bert, folders, tmp_path_factory, noise, place, name):
    """Bytes overwritten anywhere in any file: it loads, or it is an ArtefactError, and nothing stays attached."""
    folder = shutil.copytree(folders["patches"], tmp_path_factory.mktemp("damaged") / "copy")
    raw = bytearray((folder / name).read_bytes())
    start = int(place * len(raw))
    raw[start : start + len(noise)] = noise
    (folder / name).write_bytes(bytes(raw))
    try:
        load(bert, folder)
    except ArtefactError:
        assert not hasattr(bert[0], "_carries_polypatch_edits")


def test_saving_over_an_older_folder_replaces_it_whole(bert, folder, folders):
    """No file of the old one stays; saving over somebody else's folder is refused, and leaves it alone."""
    (folder / "stray.txt").write_text("old")
    edited = load(bert, folders["patches"])
    edited.save_pretrained(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted([CARD, CONFIG, MEMORY, TENSORS, PROVENANCE])
    other = folder.with_name("thesis")
    other.mkdir()
    (other / "chapter1.tex").write_text("years of work")
    with pytest.raises(ArtefactError, match="refusing"):
        edited.save_pretrained(other)
    assert (other / "chapter1.tex").read_text() == "years of work"
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]


def test_a_failed_save_leaves_the_old_folder(bert, folder, folders, monkeypatch):
    """Out of disk half-way: the old folder is whole, and no half-written one is left."""
    edited = load(bert, folders["patches"])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(write, "write_synced", full)
    with pytest.raises(ArtefactError, match="no space"):
        edited.save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["copy"]
