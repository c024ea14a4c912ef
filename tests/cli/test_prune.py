import json
import shutil
import subprocess
import sys

import pytest

from polypatch.cli import main
from polypatch.data import read_jsonl
from polypatch.edited_model import EditedModel
from polypatch.outcomes import short_of_neurons
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_texts


@pytest.fixture(scope="session")
def run(checkpoint, files, tmp_path_factory):
    """A finished run by polypatch's own recipe; read it, do not write to it."""
    out = tmp_path_factory.mktemp("prunable") / "run"
    data = ("--data", f"jsonl:{files / 'edits.jsonl'}", "--memory", str(files / "memory.txt"))
    with pytest.raises(SystemExit) as left:
        main(["edit", str(checkpoint), "--recipe", "polypatch-linear", "--out", str(out), "--quiet", *data])
    assert left.value.code == 0
    return out


@pytest.fixture
def folder(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def prune(polypatch, folder, files):
    return lambda *argv: polypatch("prune", folder, "--memory", files / "memory.txt", "--quiet", *argv)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def right(folder, files):
    edited = EditedModel.from_pretrained(folder)
    asked = [edit.example(lang) for edit in read_jsonl(files / "edits.jsonl") for lang in edit.languages]
    try:
        return [edited.predict(one.text) == one.target for one in asked]
    finally:
        edited.unload()


def test_fewer_patches_beside_the_others(prune, folder, files):
    kept = contents(folder / "edits")
    said = prune("--json").json()
    assert said["folder"] == str(folder / "pruned-edits")
    assert said["after"] < said["before"]
    assert said["changed"] == 0
    assert contents(folder / "edits") == kept
    whole, less = read_artefact(folder / "edits"), read_artefact(folder / "pruned-edits")
    assert (len(whole.owners), len(less.owners)) == (said["before"], said["after"])
    assert less.records == whole.records
    assert less.report is None
    assert less.config["settings"]["pruned"] == {"max_changed": 0, "patches": said["before"]}
    was, now = (right(folder / name, files) for name in ("edits", "pruned-edits"))
    assert all(after or not before for before, after in zip(was, now, strict=True))


def test_the_run_is_still_one_run(polypatch, prune, folder, tmp_path):
    """What was pruned beside it is not taken for a further part of it."""
    assert prune().code == 0
    assert polypatch("log", folder).code == 0
    assert polypatch("save", folder, tmp_path / "saved").code == 0
    assert read_artefact(tmp_path / "saved").owners == read_artefact(folder / "edits").owners


def test_into_another_folder(prune, tmp_path):
    ran = prune("--out", tmp_path / "deep" / "fewer", "--max-changed", 3)
    assert ran.code == 0, ran.err
    assert "patches" in ran.out
    assert "Elsewhere: " in ran.out
    assert "of 4 other answers changed" in ran.out
    assert read_artefact(tmp_path / "deep" / "fewer").config["settings"]["pruned"]["max_changed"] == 3
    assert "--out" in prune("--out", tmp_path / "deep" / "fewer").refused()


def test_one_of_them_is_not_taken_back_without_the_model(polypatch, prune, folder):
    assert prune().code == 0
    less = read_artefact(folder / "pruned-edits")
    loose = sorted(short_of_neurons(less.records, less.owners))
    assert loose
    before = contents(folder / "pruned-edits")
    message = polypatch("revert", folder / "pruned-edits", loose[0]).refused()
    assert "pruned" in message
    assert "memory=" in message
    assert contents(folder / "pruned-edits") == before
    assert polypatch("revert", folder / "pruned-edits", "--all", "--json").json()["patches"] == 0


def test_the_edits_own_memory_is_the_default(polypatch, folder, files, tmp_path):
    """The very same patches as with the memory named; with --data, which has none, it must be."""
    own = polypatch("prune", folder, "--out", tmp_path / "own", "--quiet")
    named = polypatch("prune", folder, "--memory", files / "memory.txt", "--out", tmp_path / "named", "--quiet")
    assert (own.code, named.code) == (0, 0)
    one, other = read_artefact(tmp_path / "own"), read_artefact(tmp_path / "named")
    assert all(tensor.equal(other.tensors[name]) for name, tensor in one.tensors.items())
    assert polypatch("prune", folder, "--data", f"jsonl:{files / 'edits.jsonl'}", "--quiet").code == 0


def test_newcomers(polypatch, reweighted, files, tmp_path):
    assert "no such folder" in polypatch("prune", tmp_path / "gone").refused()
    message = polypatch("prune", reweighted, "--memory", files / "memory.txt", "--quiet").refused()
    assert "changed weights" in message
    assert {path.name for path in reweighted.iterdir()} & {"pruned-edits"} == set()


def test_in_a_real_process(folder, files):
    argv = ["prune", str(folder), "--memory", str(files / "memory.txt"), "--json"]
    ran = subprocess.run([sys.executable, "-m", "polypatch", *argv], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["after"] == len(read_artefact(folder / "pruned-edits").owners)
    assert ran.stderr == ""  # done before there was anything to say


def test_mapped_queries_are_mapped_by_the_parallel_text_of_the_run(polypatch, checkpoint, files, tmp_path):
    texts = tiny_texts(60, seed=9)
    rows = [{"en": texts[i], "de": texts[i + 1]} for i in range(0, 60, 2)]
    (tmp_path / "parallel.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    given = ("--memory", files / "memory.txt", "--parallel", tmp_path / "parallel.jsonl", "--quiet")
    data, recipe = ("--data", f"jsonl:{files / 'edits.jsonl'}"), ("--recipe", "polypatch-linear-mapped")
    assert polypatch("edit", checkpoint, *data, *recipe, "--out", tmp_path / "run", *given).code == 0
    said = polypatch("prune", tmp_path / "run", *given, "--json").json()
    assert said["after"] <= said["before"]
    assert said["changed"] == 0
    again = polypatch("prune", tmp_path / "run", "--out", tmp_path / "other", "--quiet", "--json").json()
    assert again["after"] == said["after"]  # memory and parallel text come with the edits
