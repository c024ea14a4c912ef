"""polypatch fix, and polypatch edit --add: yesterday's edits get more, in their folder."""

import json
import shutil
import subprocess
import sys

import pytest

from polypatch.cli.fix import read_words
from polypatch.data import write_jsonl
from polypatch.edited_model import EditedModel
from polypatch.errors import InputError
from polypatch.store.artefact import MEMORY, read_artefact
from polypatch.store.places import session_journal
from polypatch.testing import tiny_edits, tiny_texts

TEXT = tiny_texts(1, seed=7)[0]


def other_label(folder, text):
    edited = EditedModel.from_pretrained(folder)
    label = next(label for label in edited.labels.values() if label != edited.predict(text))
    edited.unload()
    return label


@pytest.fixture
def memory(tmp_path):
    rows = [{"lang": lang, "text": text} for i, lang in enumerate(("en", "de")) for text in tiny_texts(40, seed=i)]
    (tmp_path / "texts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return tmp_path / "texts.jsonl"


@pytest.fixture
def mine(polypatch, checkpoint, memory, tmp_path):
    """A folder of one fix."""
    ran = polypatch(
        *("fix", checkpoint, "de ba so", "class-0", "--source", "de", "--fr", "ba so", "--memory", memory),
        *("--out", tmp_path / "mine", "--quiet", "--json"),
    )
    assert ran.code in (0, 1), ran.err
    assert ran.json()["folder"] == str(tmp_path / "mine")
    return tmp_path / "mine"


def test_todays_fix_joins_yesterdays_edits(polypatch, mine):
    label = other_label(mine, TEXT)
    ran = polypatch("fix", mine, TEXT, label, "--de", f"{TEXT} ba", "--fr=ba bo", "--quiet")
    assert ran.code == 0
    assert ran.out.startswith(f"Fixed: {label} (")
    assert all(f"\n{lang} " in ran.out for lang in ("en", "de", "fr"))
    assert f"{mine}: 2 edits, " in ran.out
    assert "kB of it memory" in ran.out
    artefact = read_artefact(mine)
    assert artefact.records[-1].edit.prompt == {"en": TEXT, "de": f"{TEXT} ba", "fr": "ba bo"}
    assert not session_journal(mine).exists()
    edited = EditedModel.from_pretrained(mine)
    assert edited.predict([TEXT, f"{TEXT} ba"]) == [label, label]
    edited.unload()


def test_a_fix_that_contradicts_names_the_command_that_takes_the_other_back(polypatch, mine):
    label = other_label(mine, TEXT)
    made = polypatch("fix", mine, TEXT, label, "--de", f"{TEXT} ba", "--quiet", "--json").json()
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    other = other_label(mine, TEXT)
    message = polypatch("fix", mine, TEXT, other, "--de", f"{TEXT} ba", "--quiet").refused()
    assert f"polypatch revert {mine} {made['id']}" in message
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before
    assert polypatch("revert", mine, made["id"]).code == 0
    assert polypatch("fix", mine, TEXT, other, "--de", f"{TEXT} ba", "--quiet").code == 0


def test_a_fix_that_does_not_take_ends_with_1(polypatch, checkpoint, memory, tmp_path):
    """GRACE at a radius that another edit's entry fills: here simply an editor that cannot learn in its one step."""
    label = next(name for name in ("class-0", "class-1", "class-2") if name != said(checkpoint, TEXT))
    edited = tmp_path / "timid"
    ran = polypatch(
        *("edit", checkpoint, "--data", some(tmp_path), "--memory", memory, "--out", tmp_path / "run", "--quiet"),
        *("--recipe", "t-patcher", "--set", "max_steps=1", "--set", "learning_rate=1e-9", "--set", "views=0"),
    )
    assert ran.code == 0, ran.err
    shutil.copytree(tmp_path / "run" / "edits", edited)
    ran = polypatch("fix", edited, TEXT, label, "--quiet")
    assert ran.code == 1
    assert ran.out.startswith("Failed: still wrong in en")
    assert f"wanted: {label}" in ran.out


def said(checkpoint, text):
    import polypatch as pp

    with pytest.warns(pp.PolypatchWarning):
        edited = pp.open(checkpoint, memory=None)
    label = edited.predict(text)
    edited.unload()
    return label


def some(folder, n=2, start=0):
    path = folder / f"some-{start}.jsonl"
    write_jsonl(tiny_edits(n + start)[start:], path)
    return path


MISTAKES = {
    "no memory": (["fix", "{model}", "a", "class-0", "--out", "{out}"], "--memory is missing"),
    "no folder": (["fix", "{model}", "a", "class-0", "--no-memory"], "--out is missing"),
    "the folder's model": (["fix", "{model}", "a", "class-0", "--no-memory", "--out", "{mine}"], "give that folder"),
    "a memory of its own": (["fix", "{mine}", "a", "class-0", "--memory", "x.txt"], "--memory: saved edits have their"),
    "no label": (["fix", "{mine}", "a"], "got 2 words"),
    "unquoted": (["fix", "{mine}", "wake", "me", "up", "class-0"], "stands in quotes"),
    "no such option": (["fix", "{mine}", "a", "class-0", "--memroy", "x"], "no such option: --memroy"),
    "no such language": (["fix", "{mine}", "a", "class-0", "--xx", "x"], "'xx'"),
    "no text": (["fix", "{mine}", "a", "class-0", "--de"], "the sentence in it is missing"),
    "twice": (["fix", "{mine}", "a", "class-0", "--de", "x", "--de", "y"], "given twice"),
    "no such class": (["fix", "{mine}", "a", "class-9"], "no class 'class-9'"),
    "no such folder": (["fix", "no/such/folder", "a", "class-0"], "--out is missing"),
    "a translator": (["fix", "{mine}", "a", "class-0", "--translator", "x"], "--translate-to"),
    "keep what": (["fix", "{mine}", "a", "class-0", "--keep-memory", "all"], "--keep-memory all"),
    "a device": (["fix", "{mine}", "a", "class-0", "--device", "abacus"], "device 'abacus'"),
    "add and more": (["edit", "{mine}", "--add", "x.jsonl", "--recipe", "grace"], "--recipe does not go with --add"),
    "add to nothing": (["edit", "{out}", "--add", "x.jsonl"], "no such file"),
    "no out": (["edit", "{model}", "--data", "x.jsonl"], "--out is missing"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line_and_change_nothing(polypatch, mine, checkpoint, tmp_path, mistake):
    words, said = MISTAKES[mistake]
    places = {"model": checkpoint, "mine": mine, "out": tmp_path / "new"}
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    assert said in polypatch(*(word.format(**places) for word in words), "--quiet").refused()
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before
    assert not (tmp_path / "new").exists()
    assert not session_journal(mine).exists()


def test_words_are_read_wherever_they_stand():
    read = read_words(["--de", "weck mich", "edits", "--fr=réveille-moi", "wake me", "label"])
    assert read == ("edits", "wake me", "label", {"de": "weck mich", "fr": "réveille-moi"})
    with pytest.raises(InputError):
        read_words(["edits", "text"])


def test_the_memory_may_stay_in_its_file(polypatch, checkpoint, memory, tmp_path):
    words = ("fix", checkpoint, TEXT, "class-0", "--de", "ba", "--memory", memory, "--out", tmp_path / "ref", "--quiet")
    assert polypatch(*words, "--keep-memory", "reference").code in (0, 1)
    assert not (tmp_path / "ref" / MEMORY).exists()
    memory.unlink()
    message = polypatch("fix", tmp_path / "ref", "bo ba", "class-1", "--de", "so", "--quiet").refused()
    assert "texts.jsonl" in message
    assert "put it back" in message


def test_a_file_of_edits_is_added(polypatch, mine, tmp_path):
    """Once: the same command again makes nothing anew. A killed one is gone on with."""
    file = some(tmp_path, 3)
    ran = polypatch("edit", mine, "--add", file, "--quiet", "--json").json()
    assert [outcome["edit_id"] for outcome in ran["outcomes"]] == [edit.id for edit in tiny_edits(3)]
    before = read_artefact(mine).records
    assert len(before) == 4
    again = polypatch("edit", mine, "--add", file, "--quiet")
    assert again.out.startswith("3 edits: ")
    assert f"{mine}: 4 edits" in again.out
    assert read_artefact(mine).records == before


def test_edits_are_added_to_a_run(polypatch, checkpoint, memory, tmp_path):
    """And --resume does not throw them away."""
    run = tmp_path / "run"
    words = ("edit", checkpoint, "--data", some(tmp_path), "--memory", memory, "--out", run, "--quiet")
    assert polypatch(*words).code == 0
    assert polypatch("edit", run, "--add", some(tmp_path, 2, start=20), "--quiet").code == 0
    assert len(read_artefact(run / "edits").records) == 4
    message = polypatch(*words, "--resume").refused()
    assert "tiny-20, tiny-21 added since" in message
    assert len(read_artefact(run / "edits").records) == 4


def test_in_a_real_process(mine):
    label = other_label(mine, TEXT)
    argv = ["fix", str(mine), TEXT, label, "--de", f"{TEXT} ba"]
    ran = subprocess.run([sys.executable, "-m", "polypatch", *argv], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("Fixed: ")
