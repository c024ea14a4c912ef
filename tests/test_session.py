"""pp.Session: a kill at any moment loses no edit, and the next session ends as if there had been none."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

import polypatch as pp
from polypatch.errors import InputError, JournalError
from polypatch.recipes import RECIPES
from polypatch.store.artefact import read_artefact
from polypatch.store.places import session_journal
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.testing.bits import same_tensors

MEMORY = {"en": tiny_texts(40), "de": tiny_texts(40, seed=2)}
EDITS = tiny_edits(6)
KEEP = pp.Rules(keep_failed=True)

KILLED = """
import os, signal, sys
import torch
torch.set_num_threads(1)
import polypatch as pp
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
model, tokenizer = tiny_model("bert")
memory = {"en": tiny_texts(40), "de": tiny_texts(40, seed=2)}
edited = pp.attach(model, tokenizer=tokenizer, memory=memory, rules=pp.Rules(keep_failed=True))
with pp.Session(sys.argv[1], edited) as session:
    for i, outcome in enumerate(session.stream(tiny_edits(6))):
        if i == 2:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def bert():
    return tiny_model("bert")


@pytest.fixture
def attached(bert):
    there = []

    def make(**options):
        for one in there:
            one.unload()
        if "folder" in options:
            there.append(pp.EditedModel.from_pretrained(options["folder"], model=bert[0], tokenizer=bert[1]))
        else:
            options = {"memory": MEMORY, "rules": KEEP, **options}
            there.append(pp.attach(bert[0], tokenizer=bert[1], **options))
        return there[-1]

    yield make
    for one in there:
        one.unload()


@pytest.fixture
def opened(attached):
    """The folder attached again, with what it brings."""
    return lambda folder: attached(folder=folder)


@pytest.fixture
def whole(attached):
    """All edits in one go, without a session."""
    edited = attached()
    edited.edit(EDITS)
    return edited.delta.tensors()


def breaking_off(folder, edited, *steps):
    """A session that ends in an error after these steps."""
    with pp.Session(folder, edited) as session:
        for step in steps:
            step(session)
        raise ZeroDivisionError


def timeless(records):
    return [(record.edit, record.outcome.timeless(), bool(record.reverted)) for record in records]


def test_a_session_leaves_the_folder_and_nothing_else(attached, tmp_path, whole):
    edited = attached()
    with pp.Session(tmp_path / "edits", edited) as session:
        outcomes = session.edit(EDITS[:4])
        assert session_journal(tmp_path / "edits").is_dir()
        assert session.edit(EDITS) == [*outcomes, *list(edited.outcomes.values())[4:]]  # made once
    assert [path.name for path in tmp_path.iterdir()] == ["edits"]
    saved = read_artefact(tmp_path / "edits")
    assert same_tensors(saved.tensors, whole)
    assert saved.records == tuple(edited.records.values())


def test_killed_and_run_again_it_ends_as_if_nobody_had_killed_it(attached, tmp_path, whole):
    """The script that was killed is run again: it makes the other edits, and ends with the same bits."""
    ran = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "edits")], capture_output=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert not (tmp_path / "edits").exists()
    edited = attached()
    with pp.Session(tmp_path / "edits", edited) as session:
        assert list(edited.outcomes) == [edit.id for edit in EDITS[:3]]
        session.edit(EDITS)
    assert same_tensors(edited.delta.tensors(), whole)
    assert list(edited.outcomes) == [edit.id for edit in EDITS]
    assert [path.name for path in tmp_path.iterdir()] == ["edits"]


def test_yesterdays_edits_and_a_session_that_broke_off_today(attached, opened, tmp_path, whole):
    folder = tmp_path / "edits"
    with pp.Session(folder, attached()) as session:
        session.edit(EDITS[:2])
    with pytest.raises(ZeroDivisionError):
        breaking_off(folder, opened(folder), lambda session: session.edit(EDITS[2:5]))
    assert len(read_artefact(folder).records) == 2
    with (
        pytest.warns(pp.PolypatchWarning, match="cut short"),
        pytest.raises(InputError, match="do not name their model"),
    ):
        pp.open(folder)
    with pp.Session(folder, opened(folder)) as session:
        session.edit(EDITS[5:])
    assert same_tensors(read_artefact(folder).tensors, whole)


def test_a_model_without_edits_gets_those_of_the_folder(attached, tmp_path, whole):
    with pp.Session(tmp_path / "edits", attached()) as session:
        session.edit(EDITS[:3])
    edited = attached()
    with pp.Session(tmp_path / "edits", edited) as session:
        session.edit(EDITS)
    assert same_tensors(edited.delta.tensors(), whole)


def test_killed_after_the_folder_was_written(attached, opened, tmp_path):
    """Its journal is still there, and says nothing new."""
    folder = tmp_path / "edits"
    place = session_journal(folder)
    with pp.Session(folder, attached()) as session:
        session.edit(EDITS[:2])
        shutil.copytree(place, tmp_path / "left")
    shutil.move(tmp_path / "left", place)
    edited = opened(folder)
    with pp.Session(folder, edited) as session:
        session.edit(EDITS[2:3])
    assert len(read_artefact(folder).records) == 3
    assert not place.exists()


def test_a_journal_of_other_edits_is_not_taken_over(attached, opened, tmp_path):
    folder = tmp_path / "edits"
    with pytest.raises(ZeroDivisionError):
        breaking_off(folder, attached(), lambda session: session.edit(EDITS[:1]))
    other = attached(recipe="mpn-all")
    with pytest.raises(JournalError, match="belongs to another run"), pp.Session(folder, other):
        pass
    assert session_journal(folder).exists()


def test_one_session_at_a_time(attached, tmp_path):
    edited = attached()
    with (
        pp.Session(tmp_path / "edits", edited),
        pytest.raises(JournalError, match="another process"),
        pp.Session(tmp_path / "edits", edited),
    ):
        pass
    with pp.Session(tmp_path / "edits", edited):
        pass


def test_a_folder_of_other_edits(attached, tmp_path):
    with pp.Session(tmp_path / "edits", attached()) as session:
        session.edit(EDITS[:1])
    edited = attached()
    edited.edit(EDITS[1:2])
    with pytest.raises(InputError, match="other edits"), pp.Session(tmp_path / "edits", edited):
        pass
    with pytest.raises(InputError, match="another recipe"), pp.Session(tmp_path / "edits", attached(recipe="mpn-all")):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["edits"]


def test_what_cannot_be_saved_is_an_error_before_the_first_edit(attached, tmp_path):
    with (
        pytest.raises(InputError, match="given as texts"),
        pp.Session(tmp_path / "edits", attached(), memory="reference"),
    ):
        pass


def test_a_revert_in_a_session_is_on_disk_at_once(attached, tmp_path):
    folder, edited = tmp_path / "edits", attached()
    steps = (
        lambda session: session.edit(EDITS[:3]),
        lambda session: session.revert(EDITS[1].id),
        lambda session: session.edit(EDITS[3:4]),
    )
    with pytest.raises(ZeroDivisionError):
        breaking_off(folder, edited, *steps)
    assert [bool(record.reverted) for record in read_artefact(folder).records] == [False, True, False]
    with pp.Session(folder, again := attached()):
        pass
    assert timeless(again.records.values()) == timeless(edited.records.values())
    assert same_tensors(again.delta.tensors(), edited.delta.tensors())


def test_a_fix_in_a_session(attached, tmp_path):
    edited = attached()
    text = tiny_texts(1, seed=7)[0]
    wrong = next(label for label in edited.labels.values() if label != edited.predict(text))
    with pp.Session(tmp_path / "edits", edited) as session:
        fix = session.fix(text, wrong, translations={"de": f"{text} ba"})
    assert read_artefact(tmp_path / "edits").records[0].edit == fix.edit


@pytest.mark.parametrize("recipe", ["grace", "fine-tuning", "lora", "mpn-all"])
def test_whatever_the_edits_leave_in_the_model(attached, opened, tmp_path, recipe):
    """Codebooks, changed weights, adapters: two edits in a session, two in one that breaks off, two more."""
    folder, quick = tmp_path / "edits", {"max_steps": 6}
    row = replace(RECIPES[recipe], editor=replace(RECIPES[recipe].editor, **quick))
    edited = attached(recipe=row)
    edited.edit(EDITS)
    wanted, records = edited.delta.tensors(), timeless(edited.records.values())
    with pp.Session(folder, attached(recipe=row)) as session:
        session.edit(EDITS[:2])
    with pytest.raises(ZeroDivisionError):
        breaking_off(folder, opened(folder), lambda session: session.edit(EDITS[2:4]))
    with pp.Session(folder, edited := opened(folder)) as session:
        session.edit(EDITS)
    assert same_tensors(edited.delta.tensors(), wanted)
    assert timeless(edited.records.values()) == records
