"""Writers of one folder: several at once, through links, under long names, with what cannot be read back."""

import dataclasses
import json
import multiprocessing
import os
from itertools import count

import pytest
import torch
from filelock import FileLock

from polypatch.api import attach, edit_stream
from polypatch.editors import TPatcher
from polypatch.errors import ArtefactError, PolypatchError
from polypatch.model.rules import Rules
from polypatch.recipes import Recipe
from polypatch.store.artefact import CONFIG, read_artefact
from polypatch.store.folder import changing, replacing
from polypatch.store.write import write_artefact
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

SAVES = int(os.environ.get("POLYPATCH_SAVES", "24"))
"""Concurrent saves; set it to 600 for the long run."""


@pytest.fixture(scope="module")
def edited():
    model, tokenizer = tiny_model("bert")
    made = attach(model, tokenizer=tokenizer, recipe=Recipe(TPatcher(max_steps=3, views=0)), memory=tiny_texts(9))
    list(edit_stream(made, tiny_edits(3), rules=Rules(keep_failed=True)))
    yield made
    made.unload()


@pytest.fixture(scope="module")
def artefact(edited):
    return edited.artefact()


def saying(artefact, seed):
    """The same edits under another seed: who reads them knows who wrote them."""
    return dataclasses.replace(artefact, config={**artefact.config, "seed": seed})


def write(folder, artefact, seed, barrier, said):
    barrier.wait()
    try:
        write_artefact(folder, saying(artefact, seed))
        said.put((seed, "written"))
    except BaseException as error:
        said.put((seed, f"{type(error).__name__}: {error}"))


def test_several_processes_save_to_one_folder(artefact, tmp_path, figure):
    """Whoever returns has written, what is there is one of them, whole, and nothing is left beside it."""
    fork = multiprocessing.get_context("fork")
    together, unreadable = 3, 0
    for trial in range(-(-SAVES // together)):
        folder = tmp_path / f"trial-{trial}" / "edits"
        if trial % 2:
            write_artefact(folder, artefact)
        barrier, said = fork.Barrier(together), fork.Queue()
        writers = [
            fork.Process(target=write, args=(folder, artefact, seed, barrier, said)) for seed in range(1, together + 1)
        ]
        for writer in writers:
            writer.start()
        words = dict(said.get(timeout=300) for _ in writers)
        for writer in writers:
            writer.join()
        assert words == dict.fromkeys(words, "written")
        try:
            assert read_artefact(folder).config["seed"] in words
        except PolypatchError:
            unreadable += 1
        assert [path.name for path in folder.parent.iterdir()] == ["edits"]
    figure(f"{trial + 1} times {together} saves at once: folders that cannot be read", unreadable)
    assert not unreadable


def test_a_reader_beside_a_writer_sees_one_folder_or_the_next(artefact, tmp_path):
    fork = multiprocessing.get_context("fork")
    folder = write_artefact(tmp_path / "edits", saying(artefact, 0))
    enough = fork.Event()

    def rewrite():
        for seed in count(1):
            if enough.is_set():
                break
            write_artefact(folder, saying(artefact, seed))

    writer = fork.Process(target=rewrite)
    writer.start()
    seen = []
    while len(set(seen)) < 5 and writer.is_alive():  # however slowly either of them gets on
        seen.append(read_artefact(folder).config["seed"])
    enough.set()
    writer.join()
    assert (seen, writer.exitcode) == (sorted(seen), 0)


def test_a_writer_waits_for_another_and_gives_up_in_the_end(artefact, tmp_path, monkeypatch):
    monkeypatch.setattr(changing.__wrapped__, "__defaults__", (0.2,))
    with FileLock(tmp_path / ".edits.lock"), pytest.raises(ArtefactError, match="another process is changing it"):
        write_artefact(tmp_path / "edits", artefact)
    write_artefact(tmp_path / "edits", artefact)


def test_who_holds_a_folder_may_write_it(artefact, tmp_path):
    with changing(tmp_path / "edits", ArtefactError):
        write_artefact(tmp_path / "edits", artefact)
        assert (tmp_path / ".edits.lock").exists(), "still held"
    assert [path.name for path in tmp_path.iterdir()] == ["edits"]


# --- links, dots, and long names


def test_a_link_is_followed_and_stays(artefact, tmp_path):
    write_artefact(tmp_path / "there" / "edits", artefact)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "edits")
    write_artefact(link, saying(artefact, 7))
    assert link.is_symlink()
    assert read_artefact(link).config["seed"] == read_artefact(tmp_path / "there" / "edits").config["seed"] == 7
    nowhere = tmp_path / "nowhere"
    nowhere.symlink_to(tmp_path / "there" / "new")
    write_artefact(nowhere, artefact)
    assert nowhere.is_symlink()
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["edits", "new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "nowhere", "there"]


@pytest.mark.parametrize("name", [".", "../edits", "../edits/.", "x/.."])
def test_dots_name_the_folder_they_stand_for(artefact, tmp_path, monkeypatch, name):
    folder = write_artefact(tmp_path / "edits", artefact)
    (folder / "x").mkdir()
    monkeypatch.chdir(folder)
    write_artefact(type(folder)(name), saying(artefact, 7))
    assert read_artefact(folder).config["seed"] == 7
    assert [path.name for path in tmp_path.iterdir()] == ["edits"]


@pytest.mark.parametrize("name", ["e" * 255, "é" * 127, "明" * 85])
def test_the_longest_names_there_are(artefact, tmp_path, name):
    folder = write_artefact(tmp_path / name, artefact)
    write_artefact(folder, saying(artefact, 7))
    assert read_artefact(folder).config["seed"] == 7
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with pytest.raises(ArtefactError, match="File name too long"):
        write_artefact(tmp_path / (name + "ee"), artefact)


def test_links_in_a_circle_are_an_error_of_one_line(artefact, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ArtefactError, match="cannot be written"):
        write_artefact(tmp_path / "a", artefact)


def test_what_fails_leaves_no_parents(artefact, tmp_path):
    def failing():
        with replacing(tmp_path / "a" / "b" / "c", lambda _: "", ArtefactError) as staging:
            (staging / "file").write_text("half")
            raise ArtefactError("because")

    with pytest.raises(ArtefactError, match="because"):
        failing()
    assert not list(tmp_path.iterdir())


# --- nothing is written that cannot be read


def with_settings(artefact, **settings):
    return dataclasses.replace(artefact, config={**artefact.config, "settings": settings})


def with_tensors(artefact, **tensors):
    return dataclasses.replace(artefact, tensors={**artefact.tensors, **tensors})


UNREADABLE = {
    "a number that is none": lambda one: with_tensors(one, biases=torch.full_like(one.tensors["biases"], torch.nan)),
    "another shape": lambda one: with_tensors(one, biases=one.tensors["biases"].reshape(-1, 1)),
    "another type": lambda one: with_tensors(one, keys=one.tensors["keys"].half()),
    "too few owners": lambda one: dataclasses.replace(one, owners=one.owners[:-1]),
    "an owner without a record": lambda one: dataclasses.replace(one, owners=("nobody", *one.owners[1:])),
    "a setting that is no number": lambda one: with_settings(one, max_locality_drop=float("inf")),
    "half a character": lambda one: with_settings(one, note="\ud800"),
    "rules that are none": lambda one: with_settings(one, rules={"retries": -1, "keep_failed": True}),
    "a report with a number that is none": lambda one: dataclasses.replace(one, report=[{"mlg": float("nan")}]),
    "a field that is missing": lambda one: dataclasses.replace(
        one, config={name: value for name, value in one.config.items() if name != "labels"}
    ),
    "another format's delta": lambda one: dataclasses.replace(one, config={**one.config, "delta": "weights"}),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_back_is_not_saved(artefact, tmp_path, what):
    folder = write_artefact(tmp_path / "edits", artefact)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ArtefactError, match=r"edits: .*nothing was"):
        write_artefact(folder, UNREADABLE[what](artefact))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["edits"]


def test_a_model_saves_only_what_it_could_load(edited, tmp_path):
    """Numbers changed behind polypatch's back: the folder of before stays."""
    folder = edited.save_pretrained(tmp_path / "edits")
    values = edited.delta.values
    edited.delta.values = values * torch.inf
    try:
        with pytest.raises(ArtefactError, match="not finite"):
            edited.save_pretrained(folder)
    finally:
        edited.delta.values = values
    assert json.loads((folder / CONFIG).read_bytes())["seed"] == 0
    edited.save_pretrained(folder)
