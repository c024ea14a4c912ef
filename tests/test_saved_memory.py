"""Saved edits know their memory: the texts, or a file by its checksum; and read neither before they need it."""

import dataclasses
import gzip
import json
import os
import shutil
from pathlib import Path

import pytest

import polypatch as pp
from polypatch.data.memory import parted
from polypatch.data.memory_file import MemoryFile, memory_from_lines, memory_lines
from polypatch.edits import Edit
from polypatch.errors import ArtefactError, DataError, InputError
from polypatch.recipes import Recipe
from polypatch.samplers import SourcePlusMapped
from polypatch.store.artefact import CARD, CONFIG, MEMORY, PARALLEL, read_artefact
from polypatch.store.cut import without
from polypatch.store.write import write_artefact
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.bits import same_tensors
from polypatch.triggers import Trigger

OWN = Recipe(pp.DiscriminantPatch(), pp.AllLanguages(), Trigger.ALWAYS)
KEEP = pp.Rules(keep_failed=True)
TEXTS = {"en": tiny_texts(30), "de": [*tiny_texts(25, seed=2), "one\u2028line"]}
EDITS = tiny_edits(3)
FORMAT_3 = Path(__file__).parent / "fixtures" / "format-3" / "patches"


@pytest.fixture(scope="module")
def bert():
    return tiny_model("bert")


@pytest.fixture
def saved(bert, tmp_path):
    """Edits in a folder, by whatever they were attached and saved with."""

    def make(memory=TEXTS, keep="texts", **options):
        model, tokenizer = bert
        edited = pp.edit(model, EDITS[:2], tokenizer=tokenizer, recipe=OWN, memory=memory, rules=KEEP, **options)
        try:
            return edited.save_pretrained(tmp_path / "edits", memory=keep)
        finally:
            edited.unload()

    return make


@pytest.fixture
def opened(bert):
    """The folder attached again; taken off in the end."""
    there = []

    def open_(folder, **options):
        for one in there:
            one.unload()
        there.append(pp.EditedModel.from_pretrained(folder, model=bert[0], tokenizer=bert[1], **options))
        return there[-1]

    yield open_
    for one in there:
        one.unload()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "texts.jsonl"
    rows = [{"lang": lang, "text": text} for lang, texts in TEXTS.items() for text in texts]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_the_texts_come_back_in_their_parts(saved, opened):
    wanted, folder = parted(TEXTS), saved()
    kept = opened(folder).kept
    assert (list(kept.train), list(kept.validation), kept.held_out) == (
        wanted.train,
        wanted.validation,
        wanted.held_out,
    )
    assert kept.langs[TEXTS["de"][0]] == "de"
    size = (folder / MEMORY).stat().st_size
    said = read_artefact(folder).config["memory"]
    unpacked = len(gzip.decompress((folder / MEMORY).read_bytes()))
    texts = {"train": 40, "validation": 11, "held_out": 5}
    assert said == {"file": MEMORY, "bytes": size, "unpacked": unpacked, "texts": texts}
    assert "the 51 texts in `memory.jsonl.gz`" in (folder / CARD).read_text(encoding="utf-8")


def test_pairs_come_back_as_pairs():
    kept = parted([("a premise", f"a hypothesis {i}") for i in range(12)])
    assert memory_from_lines(memory_lines(kept), "here") == kept


def test_nothing_of_it_is_encoded_before_an_edit_needs_it(saved, opened, bert):
    edited = opened(saved())
    passes = []
    hook = bert[0].register_forward_pre_hook(lambda *_: passes.append(1))
    edited.predict("a text")
    edited.explain("a text")
    hook.remove()
    assert edited.memory is None
    assert len(passes) <= 3
    edited.edit(EDITS[2:])
    assert edited.memory.train.asked[: edited.memory.train.base] == edited.readout.rows(parted(TEXTS).train)


def test_a_reference_keeps_the_checksum_of_the_file_and_not_the_texts(saved, opened, file):
    folder = saved(file, "reference")
    assert not (folder / MEMORY).exists()
    assert opened(folder).kept.read() == parted(file)
    again = opened(folder).save_pretrained(folder.with_name("again"))  # nothing said: it stays a reference
    assert read_artefact(again).config["memory"]["path"] == str(file)
    inside = opened(folder).save_pretrained(folder.with_name("inside"), memory="texts")
    assert (inside / MEMORY).is_file()


@pytest.mark.parametrize("what", ["gone", "changed", "a pipe"])
def test_a_file_that_is_not_what_it_was_is_named_when_it_is_needed(saved, opened, file, what):
    folder = saved(file, "reference")
    file.unlink()
    if what == "changed":
        file.write_text("another text\n", encoding="utf-8")
    elif what == "a pipe":
        os.mkfifo(file)  # opening it would wait for its writer
    edited = opened(folder)
    edited.predict("a text")
    before = edited.delta.tensors()
    with pytest.raises(DataError, match=rf"{file.name}.*put it back, or pass memory="):
        edited.edit(EDITS[2:])
    assert same_tensors(edited.delta.tensors(), before)
    assert list(edited.outcomes) == [edit.id for edit in EDITS[:2]]
    assert file.name in str(edited)  # what changed elsewhere is not known, and why
    edited.unload()
    opened(folder, memory=TEXTS).edit(EDITS[2:])


def test_texts_are_no_file(saved, file):
    with pytest.raises(InputError, match="given as texts"):
        saved(TEXTS, "reference")
    with pytest.raises(InputError, match="not in this file"):
        MemoryFile.of(dataclasses.replace(parted(file), train=["somebody else's"]))
    with pytest.raises(InputError, match="'text'"):
        saved(TEXTS, "text")


def test_without_a_memory_is_a_decision_that_the_folder_remembers(saved, opened):
    """Made without one: goes on without. Saved without it: asks for it."""
    with pytest.warns(pp.PolypatchWarning, match="no memory"):
        folder = saved(None)
    edited = opened(folder)
    assert edited.edit(EDITS[2:])
    edited.unload()
    folder = saved(keep=None)
    with pytest.raises(InputError, match="pass memory="):
        opened(folder).edit(EDITS[2:])


def test_parallel_text_comes_back_and_is_learned_from_when_it_is_needed(bert, opened, tmp_path):
    model, tokenizer = bert
    parallel = {"en": tiny_texts(25, seed=5), "de": tiny_texts(25, seed=6)}
    recipe = Recipe(pp.DiscriminantPatch(), SourcePlusMapped(), Trigger.ALWAYS)
    both = pp.MemoryTexts(TEXTS, parallel=parallel)
    lone = [Edit(edit.id, {"en": edit.prompt["en"]}, edit.target) for edit in EDITS]
    whole = pp.edit(model, lone, tokenizer=tokenizer, recipe=recipe, memory=both)
    wanted = whole.delta.tensors()
    whole.unload()
    half = pp.edit(model, lone[:2], tokenizer=tokenizer, recipe=recipe, memory=both)
    folder = half.save_pretrained(tmp_path / "edits")
    half.unload()
    assert (folder / PARALLEL).is_file()
    edited = opened(folder)
    assert edited.tail.maps is None
    edited.edit(lone[2:])
    assert same_tensors(edited.delta.tensors(), wanted)


def test_a_folder_of_format_3_is_read_and_written_anew_as_format_4(tmp_path):
    old = read_artefact(shutil.copytree(FORMAT_3, tmp_path / "old"))
    assert (old.config["format_version"], old.memory) == (3, None)
    name = next(iter(old.outcomes)).edit_id
    new = read_artefact(write_artefact(tmp_path / "old", without(old, [name], "2026-01-01T00:00:00+00:00")))
    assert (new.config["format_version"], new.config["memory"], new.config["data"]) == (4, None, None)
    assert new.records[0].reverted


@pytest.mark.parametrize(
    "line", ["{}", '{"lang": "en", "part": "other", "text": "a"}', '{"lang": "EN", "part": "train", "text": "a"}', "["]
)
def test_a_memory_that_is_none_is_refused(saved, opened, line):
    """With checksums that fit."""
    from polypatch.files import sha256
    from polypatch.store.artefact import own_checksum

    folder = saved()
    raw = f"{line}\n".encode()
    (folder / MEMORY).write_bytes(gzip.compress(raw))
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config["checksums"][MEMORY] = sha256((folder / MEMORY).read_bytes())
    config["memory"]["unpacked"] = len(raw)
    config["checksum"] = own_checksum(config)
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"memory.jsonl.gz row 1"):
        opened(folder)


@pytest.mark.parametrize("size", [5, 10**9, -1, "9", None])
def test_a_small_file_cannot_unpack_to_more_than_was_said(saved, opened, size):
    from polypatch.store.artefact import own_checksum

    folder = saved()
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config["memory"]["unpacked"] = size
    config["checksum"] = own_checksum(config)
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ArtefactError, match="cannot be unpacked"):
        opened(folder)


def test_the_model_is_named_so_that_it_is_found_from_anywhere(bert, tmp_path, monkeypatch):
    """A folder by its absolute path; the embedded world as such."""
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    model, tokenizer = pp.load_checkpoint("base")
    edited = pp.attach(model, tokenizer=tokenizer, memory=TEXTS)
    edited.save_pretrained("edits")
    monkeypatch.chdir("/")
    assert pp.EditedModel.from_pretrained(tmp_path / "edits").edit(EDITS[:1])
    assert read_artefact(tmp_path / "edits").config["base_model"] == str(tmp_path / "base")
    world = pp.load_world()
    edited = pp.attach(world.model, tokenizer=world.tokenizer, memory=TEXTS)
    edited.save_pretrained(tmp_path / "of-world")
    assert read_artefact(tmp_path / "of-world").config["base_model"] == "world"
    assert pp.EditedModel.from_pretrained(tmp_path / "of-world").labels == edited.labels
