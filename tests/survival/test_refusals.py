"""A disk that refuses, a folder in use, a journal that is broken or another run's: one clear error, nothing lost."""

import errno
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from polypatch.api import attach, edit_stream
from polypatch.deltas import PatchBank
from polypatch.editors import TPatcher
from polypatch.errors import ArtefactError, JournalError, PolypatchError
from polypatch.files import beside
from polypatch.model.rules import Rules
from polypatch.recipes import Recipe
from polypatch.store.artefact import read_artefact
from polypatch.store.identity import Identity
from polypatch.store.journal import NAME, Entry, Journal, read_journal
from polypatch.store.write import write_artefact
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

from .running import assert_readable, entries, seeded

RECIPE = Recipe(TPatcher(max_steps=5, views=0))
RUN = Identity({"model": "m", "run": "r"})


@pytest.fixture(scope="module")
def made():
    """Entries of five edits, as a run would write them, and the artefact of all."""
    model, tokenizer = tiny_model("bert")
    edited = attach(model, tokenizer=tokenizer, recipe=RECIPE, memory=tiny_texts(9))
    found, patches = [], 0
    for outcome in edit_stream(edited, tiny_edits(5), rules=Rules(keep_failed=True)):
        tensors = edited.delta.since(patches) if outcome.triggered else None
        found.append(Entry(edited.records[outcome.edit_id], tensors))
        patches = edited.patches
    edited.unload()
    return found, edited.artefact()


def journal_of(folder, found):
    with Journal(folder, RUN) as journal:
        add_all(journal, found)
    return folder


def add_all(journal, found):
    for entry in found:
        journal.add(0, entry, replaces=False)


# --- a full disk


def test_a_database_that_is_full_keeps_what_it_has(made, tmp_path):
    """SQLite's own limit on pages stands for a full disk: the edit is refused, those before it are there."""
    found, _ = made
    with Journal(tmp_path, RUN) as journal:
        journal.add(0, found[0], replaces=False)
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(JournalError, match=r"full; what was written before is safe"):
            add_all(journal, found[1:] * 9)
        kept = len(journal.entries(0))
    assert 1 <= len(entries(tmp_path)[0]) == kept
    with Journal(tmp_path, RUN, resume=True) as journal:
        journal.add(0, found[1], replaces=False)
        assert len(journal.entries(0)) == kept + 1


def limited(work, size):
    """Do `work` in a forked process in which no file can grow beyond `size` bytes; what it raised, as a word."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            work()
            said = "nothing"
        except PolypatchError as error:
            said = f"{type(error).__name__}: {error}"
        except BaseException as error:
            said = f"untyped {type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@pytest.mark.parametrize("size", [0, 100, 2_000])
def test_a_folder_that_does_not_fit_leaves_the_old_one(made, tmp_path, size):
    _, artefact = made
    folder = write_artefact(tmp_path / "edits", artefact)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    said = limited(lambda: write_artefact(folder, artefact), size)
    assert said.startswith("ArtefactError"), said
    assert os.strerror(errno.EFBIG) in said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["edits"], "a half-written folder is left"


def test_a_journal_that_cannot_grow_says_so_and_can_be_resumed(made, tmp_path):
    found, _ = made
    journal_of(tmp_path / "run", found[:2])

    def go_on():
        with Journal(tmp_path / "run", RUN, resume=True) as journal:
            add_all(journal, found[2:])

    said = limited(go_on, 4096)
    assert said.startswith("JournalError"), said
    assert len(entries(tmp_path / "run")[0]) >= 2
    with Journal(tmp_path / "run", RUN, resume=True) as journal:
        add_all(journal, found[len(journal.entries(0)) :])
    journal_of(tmp_path / "whole", found)
    assert entries(tmp_path / "run") == entries(tmp_path / "whole")


# --- a folder that cannot be written


def test_below_a_file_there_is_no_folder(made, tmp_path):
    _, artefact = made
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtefactError, match="cannot be written"):
        write_artefact(tmp_path / "file" / "edits", artefact)
    with pytest.raises(JournalError, match="cannot be written"):
        Journal(tmp_path / "file" / "run", RUN)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="to root every folder is writable")
def test_a_read_only_folder_is_named(made, tmp_path):
    _, artefact = made
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(ArtefactError, match="ermission"):
            write_artefact(tmp_path / "edits", artefact)
        with pytest.raises(JournalError, match=r"ermission|cannot be written"):
            Journal(tmp_path / "run", RUN)
    finally:
        tmp_path.chmod(0o755)


# --- two at once


def test_two_processes_on_one_run(made, tmp_path):
    """The second is refused while the first holds the folder, whatever it asks for; after its death it is not."""
    found, _ = made
    code = (
        "import sys; from pathlib import Path; from polypatch.store.journal import Identity, Journal\n"
        f"journal = Journal(Path(sys.argv[1]), {RUN!r}, resume=True); print('ready', flush=True); sys.stdin.read()"
    )
    journal_of(tmp_path, found[:1])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], text=True, **pipes)
    try:
        assert other.stdout.readline() == "ready\n"
        for flags in ({"resume": True}, {"overwrite": True}, {}):
            with pytest.raises(JournalError, match="another process"):
                Journal(tmp_path, RUN, **flags)
        assert len(read_journal(tmp_path)[1][0]) == 1, "reading is free"
    finally:
        other.kill()
        other.communicate()
    with Journal(tmp_path, RUN, resume=True) as journal:
        assert len(journal.entries(0)) == 1


def test_a_journal_is_read_while_it_is_written(made, tmp_path):
    """Every state that a reader sees is the first so many edits, whole."""
    found, _ = made
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            seen.add(len(read_journal(tmp_path)[1].get(0, ())))

    with Journal(tmp_path, RUN) as journal:
        reader = threading.Thread(target=read)
        reader.start()
        for entry in found:
            journal.add(0, entry, replaces=False)
        stop.set()
        reader.join()
    assert seen <= set(range(len(found) + 1))


# --- another run's journal, and a broken one


def test_another_run_is_not_continued(made, tmp_path):
    found, _ = made
    journal_of(tmp_path, found)
    before = entries(tmp_path)
    with pytest.raises(JournalError, match="another run: model was m and is n now"):
        Journal(tmp_path, Identity({**RUN.facts, "model": "n"}), resume=True)
    with pytest.raises(JournalError, match="--resume"):
        Journal(tmp_path, RUN)
    assert entries(tmp_path) == before
    with Journal(tmp_path, RUN, overwrite=True) as journal:
        assert journal.entries(0) == []


def test_a_journal_of_an_older_polypatch_is_continued(tmp_path):
    """Every field of its run was written as JSON, also what is text."""
    older = {"model": "ab12", "recipe": '"mpn-all"', "limit": "null", "languages": '["en", "de"]', "settings": "{}"}
    Journal(tmp_path, Identity(older)).close()
    now = {"model": "ab12", "recipe": "mpn-all", "limit": None, "languages": ("en", "de"), "settings": {}}
    Journal(tmp_path, Identity(now), resume=True).close()
    for name, value, said in (
        ("limit", 3, "limit was null and is 3 now"),
        ("recipe", "grace", "recipe was mpn-all and is grace now"),
        ("settings", {"views": 0}, "settings views was the default and is 0 now"),
    ):
        with pytest.raises(JournalError, match=f"belongs to another run: {said}; repeat the first command"):
            Journal(tmp_path, Identity({**now, name: value}), resume=True)


def test_changed_weights_are_kept_once(made, tmp_path):
    """Each replaces those before it: the journal of a thousand edits holds one copy of the matrices."""
    found, _ = made
    with Journal(tmp_path, RUN) as journal:
        for entry in found:
            journal.add(0, entry, replaces=True)
    triggered = [i for i, entry in enumerate(found) if entry.tensors is not None]
    kept = [i for i, entry in enumerate(read_journal(tmp_path)[1][0]) if entry.tensors is not None]
    assert kept == triggered[-1:]


def test_flipped_bits_are_found(made, tmp_path, figure):
    """1,300 damaged journals: what is read is what was written, all of it, or an error."""
    found, _ = made
    journal_of(tmp_path, found)
    whole, wanted = (tmp_path / NAME).read_bytes(), entries(tmp_path)
    refused, total = 0, 1300
    for number in range(total):
        rng = seeded("journal", number)
        raw = bytearray(whole)
        for _ in range(rng.choice((1, 1, 4))):
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.2:
            del raw[rng.randrange(len(raw)) :]
        (tmp_path / NAME).write_bytes(bytes(raw))
        try:
            got = entries(tmp_path)
        except PolypatchError:
            refused += 1
            continue
        assert got == wanted, f"journal {number}"
    (tmp_path / NAME).write_bytes(whole)
    assert assert_readable(tmp_path, wanted) == len(found)
    assert refused > total / 10
    figure(f"{total} damaged journals: share refused", refused / total)


def test_a_damaged_log_costs_at_most_the_last_edits(made, tmp_path):
    """What a kill left beside the database: SQLite stops at the first damaged page of it, as at the end."""
    found, _ = made
    with Journal(tmp_path / "live", RUN) as journal:
        add_all(journal, found)
        shutil.copytree(tmp_path / "live", tmp_path / "killed", ignore=shutil.ignore_patterns(".*"))
    log = tmp_path / "killed" / f"{NAME}-wal"
    whole, base = log.read_bytes(), (tmp_path / "killed" / NAME).read_bytes()
    wanted = entries(tmp_path / "live")[0]
    lengths = set()
    for number in range(100):
        rng = seeded("log", number)
        raw = bytearray(whole)
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        shutil.rmtree(tmp_path / "killed")
        (tmp_path / "killed").mkdir()
        (tmp_path / "killed" / NAME).write_bytes(base)
        log.write_bytes(bytes(raw))
        try:
            got = entries(tmp_path / "killed").get(0, [])
        except JournalError:
            continue
        assert got == wanted[: len(got)]
        lengths.add(len(got))
        with Journal(tmp_path / "killed", RUN, resume=True) as journal:
            add_all(journal, found[len(got) :])
        assert entries(tmp_path / "killed")[0] == wanted
    assert len(lengths) > 2


@pytest.mark.parametrize("content", [b"", b"not a database at all " * 400])
def test_what_is_no_journal_is_not_taken_for_one(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(JournalError):
        read_journal(tmp_path)
    if content:
        with pytest.raises(JournalError):
            Journal(tmp_path, RUN, resume=True)
        assert (tmp_path / NAME).read_bytes() == content


def test_somebody_elses_database_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("CREATE TABLE edits (mine TEXT)")
    db.close()
    with pytest.raises(JournalError):
        read_journal(tmp_path)
    with pytest.raises(JournalError, match="no journal of polypatch"):
        Journal(tmp_path, RUN, resume=True)
    with sqlite3.connect(tmp_path / NAME) as db:
        assert db.execute("SELECT sql FROM sqlite_master WHERE name = 'edits'").fetchone() == (
            "CREATE TABLE edits (mine TEXT)",
        )
    db.close()


def test_an_artefact_of_a_killed_write_is_the_old_one(made, tmp_path):
    """Between the two renames there is no folder of that name: reading finds the old edits, writing clears up."""
    _, artefact = made
    folder = write_artefact(tmp_path / "edits", artefact)
    folder.rename(tmp_path / ".edits.old")
    beside(folder).mkdir()
    assert read_artefact(folder).owners == artefact.owners
    write_artefact(folder, artefact)
    assert [path.name for path in tmp_path.iterdir()] == ["edits"]


def test_the_bank_refuses_what_no_journal_writes():
    bank = PatchBank(4)
    import torch

    good = {"keys": torch.ones(1, 4), "biases": torch.ones(1), "values": torch.ones(1, 4)}
    for name in good:
        for bad in (torch.ones(2, 2, 2), torch.full_like(good[name], torch.nan), good[name].half()):
            with pytest.raises(ArtefactError):
                bank.adopt("e", {**good, name: bad})
        with pytest.raises(ArtefactError):
            bank.adopt("e", {other: tensor for other, tensor in good.items() if other != name})
    assert bank.patches == 0


# --- a journal that somebody has edited by hand


def by_hand(folder, *commands):
    with sqlite3.connect(folder / NAME) as db:
        for command in commands:
            db.execute(command)
    db.close()


REST = "entry, tensors, replaces, kept, chain"
HAND = {
    "tensors are gone": ["UPDATE edits SET tensors = NULL WHERE place = {there}"],
    "tensors and their sum are gone": ["UPDATE edits SET tensors = NULL, kept = '' WHERE place = {there}"],
    "all tensors are gone": ["UPDATE edits SET tensors = NULL"],
    "tensors are empty": ["UPDATE edits SET tensors = x'' WHERE place = {there}"],
    "tensors of another edit": ["UPDATE edits SET tensors = (SELECT tensors {of} {there}) WHERE place = {more}"],
    "tensors where there were none": ["UPDATE edits SET tensors = (SELECT tensors {of} {there}) WHERE kept = ''"],
    "two rows change places": [
        "UPDATE edits SET place = 100 WHERE place = 0",
        "UPDATE edits SET place = 0 WHERE place = 1",
        "UPDATE edits SET place = 1 WHERE place = 100",
    ],
    "a row stands twice": ["INSERT INTO edits SELECT fold, 5, {rest} {of} 4"],
    "a row stands in another fold": ["INSERT INTO edits SELECT 1, 0, {rest} {of} 0"],
    "the first row again as the last": ["INSERT INTO edits SELECT fold, 5, {rest} {of} 0"],
    "the first row is gone": ["DELETE FROM edits WHERE place = 0"],
    "the others move up": ["DELETE FROM edits WHERE place = 0", "UPDATE edits SET place = place - 1"],
    "a row in the middle is gone": ["DELETE FROM edits WHERE place = 2"],
    "another outcome": ["UPDATE edits SET entry = replace(entry, '\"steps\": ', '\"steps\": 1')"],
    "another edit": ["UPDATE edits SET entry = replace(entry, 'tiny-1', 'tiny-9')"],
    "said to replace": [
        "UPDATE edits SET replaces = 1 WHERE place = {more}",
        "UPDATE edits SET tensors = NULL WHERE place = {there}",
    ],
    "no chain": ["UPDATE edits SET chain = ''"],
    "the chain of another": ["UPDATE edits SET chain = (SELECT chain {of} 0)"],
    "not counted from 0": ["UPDATE edits SET place = place + 100"],
    "another fact": ["UPDATE facts SET value = 'n' WHERE name = 'model'"],
    "another note": ["UPDATE facts SET value = 'n' WHERE name = 'note'"],
    "another version": ["UPDATE facts SET value = '1' WHERE name = 'version'"],
}


@pytest.mark.parametrize("what", HAND)
def test_a_journal_edited_by_hand_is_refused(made, tmp_path, what):
    found, _ = made
    journal_of(tmp_path, found)
    with Journal(tmp_path, RUN, resume=True) as journal:
        journal.note("note", "as it was")
    there, more = [i for i, entry in enumerate(found) if entry.tensors is not None][:2]
    words = {"there": there, "more": more, "of": "FROM edits AS o WHERE o.place =", "rest": REST}
    by_hand(tmp_path, *(command.format(**words) for command in HAND[what]))
    with pytest.raises(JournalError, match=r"changed after it was written|journal version 1; this polypatch reads 2"):
        read_journal(tmp_path)

    def go_on():
        with Journal(tmp_path, RUN, resume=True) as journal:
            return journal.entries(0), journal.entries(1)

    with pytest.raises(JournalError):
        go_on()


def test_tensors_that_a_later_edit_replaced_are_gone_and_no_others(made, tmp_path):
    """Of changed weights the latest row keeps its tensors: taken away by hand, the run has lost its edits."""
    found, _ = made
    with Journal(tmp_path, RUN) as journal:
        for entry in found:
            journal.add(0, entry, replaces=True)
    assert len(entries(tmp_path)[0]) == len(found)
    by_hand(tmp_path, "UPDATE edits SET tensors = NULL")
    with pytest.raises(JournalError, match="changed after"):
        read_journal(tmp_path)
