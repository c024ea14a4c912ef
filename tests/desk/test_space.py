"""The folder of a Space: what is in it, what is not, what it is refused for, and that it runs."""

import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cli.conftest import checkpoint, files, polypatch  # noqa: F401
from polypatch import open as open_place
from polypatch.data.memory_file import memory_file_from_plain
from polypatch.desk import Space, write_space
from polypatch.desk.space import NEEDS, PACKAGE, TORCH
from polypatch.errors import InputError
from polypatch.store.artefact import read_artefact
from polypatch.store.places import session_journal
from polypatch.store.write import write_artefact

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = '$(touch x)"; rm -rf ~\n# \u202e'
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
HOST, TOKEN = "somebody-something.hf.space", "a-token-for-a-test"


@pytest.fixture
def edits(desk, tmp_path):
    """Writes edits with their memory, as if their model were one of the hub, or another."""

    def make(model="somebody/tiny", folder=tmp_path / "saved"):
        desk.edited.fix("ba be bi", "class-1", translations={"de": "do du fa"})
        desk.edited.save_pretrained(folder, memory="texts")
        artefact = read_artefact(folder)
        return write_artefact(folder, replace(artefact, config={**artefact.config, "base_model": model}))

    return make


def lines(folder, word):
    """What the lines of the Dockerfile say that begin with a word."""
    found = (folder / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(f"{word} ") for line in found if line.startswith(f"{word} ")]


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_world_needs_nothing_but_polypatch(tmp_path):
    assert write_space(tmp_path / "s", "world", source="de") == Space("world")
    names = {path.name for path in (tmp_path / "s").iterdir()}
    assert names == {"README.md", "Dockerfile", ".dockerignore", "requirements.txt", "polypatch"}
    theirs, ours = contents(tmp_path / "s" / "polypatch"), contents(PACKAGE)
    assert theirs == {name: raw for name, raw in ours.items() if "__pycache__" not in name}
    assert "world/seed-0/model.safetensors" in theirs
    assert "world/speaking/seed-0/model.safetensors" in theirs
    assert "HF_HUB_OFFLINE=1" in lines(tmp_path / "s", "ENV")
    assert "polypatch desk world --source de --host 0.0.0.0 --port 7860" in json.loads(*lines(tmp_path / "s", "CMD"))[2]


def test_the_front_matter_is_that_of_a_docker_space(tmp_path):
    write_space(tmp_path / "s", "speaking-world")
    _, front, text = (tmp_path / "s" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    said = yaml.safe_load(front)
    assert said.keys() == {"title", "emoji", "colorFrom", "colorTo", "sdk", "app_port", "license"}
    assert (said["sdk"], said["app_port"], said["license"]) == ("docker", 7860, "apache-2.0")
    assert {said["colorFrom"], said["colorTo"]} <= {*COLOURS}
    assert "POLYPATCH_TOKEN" in text


def test_the_dockerfile_copies_what_is_there_and_docker_sees_it(tmp_path, edits):
    for folder, place in ((tmp_path / "world", "world"), (tmp_path / "with-edits", edits())):
        write_space(folder, place)
        sources = [line.split()[-2] for line in lines(folder, "COPY")]
        assert sources
        assert all((folder / source).exists() for source in sources)
        let_in = (folder / ".dockerignore").read_text(encoding="utf-8").splitlines()
        assert [line[1:] for line in let_in if line.startswith("!")] == sources


def test_what_is_installed_is_what_the_project_declares(tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["desk"]
    assert {re.split(r"[>=<]", one)[0] for one in declared} == {TORCH, *NEEDS}
    write_space(tmp_path / "s", "world")
    pinned = (tmp_path / "s" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line.partition("==")[0] for line in pinned] == list(NEEDS)
    torch = [line for line in lines(tmp_path / "s", "RUN") if "torch==" in line]
    assert all(re.fullmatch(r".+==\d[\w.]*", line) for line in [*pinned, *torch]), "no +cpu, which the index has not"
    assert len(torch) == 1


def test_edits_go_along_with_their_memory_and_without_this_machine(tmp_path, edits):
    place = edits()
    space = write_space(tmp_path / "s", place)
    there, here = read_artefact(tmp_path / "s" / "edits"), read_artefact(place)
    assert (there.records, there.memory, there.owners) == (here.records, here.memory, here.owners)
    assert (space.model, space.edits, space.offline) == ("somebody/tiny", 1, False)
    assert space.texts > 50
    assert f"{space.texts} texts of their memory" in (tmp_path / "s" / "README.md").read_text(encoding="utf-8")
    assert "HF_HUB_OFFLINE=1" not in lines(tmp_path / "s", "ENV")
    own = [str(path).encode() for path in (tmp_path, ROOT, Path.home() / ".", Path(sys.prefix)) if len(str(path)) > 5]
    found = contents(tmp_path / "s")
    assert not [name for name, raw in found.items() for path in own if path in raw]


def test_data_in_a_file_of_this_machine_stay_unsaid(tmp_path, edits):
    place = edits()
    artefact = read_artefact(place)
    source = {"spec": f"jsonl:{tmp_path}/mine.jsonl", "languages": [], "sizes": {}, "seed": 0, "parallel": ""}
    write_artefact(place, replace(artefact, config={**artefact.config, "data": source}))
    write_space(tmp_path / "s", place)
    assert read_artefact(tmp_path / "s" / "edits").data is None


def test_names_are_data(tmp_path, edits):
    write_space(tmp_path / "plain", edits())
    write_space(tmp_path / HOSTILE, edits(folder=tmp_path / f"edits {HOSTILE}"))
    for name in ("Dockerfile", "README.md", ".dockerignore", "requirements.txt"):
        assert (tmp_path / HOSTILE / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


@pytest.mark.parametrize("model", ["", "/models/mine", "../mine", "$(touch x)/mine", "a b", "a/b/c", "x\n"])
def test_a_model_that_no_hub_gives_is_refused(tmp_path, edits, model):
    with pytest.raises(InputError, match="which no hub gives"):
        write_space(tmp_path / "s", edits(model))
    assert not (tmp_path / "s").exists()


def test_a_memory_or_edits_that_are_elsewhere_are_refused(tmp_path, edits):
    place = edits()
    (tmp_path / "memory.txt").write_text("one\ntwo\n", encoding="utf-8")
    artefact = read_artefact(place)
    plain = {"path": str(tmp_path / "memory.txt"), "sha256": "0", "parts": {}}

    write_artefact(place, replace(artefact, memory=memory_file_from_plain(plain, "here")))
    with pytest.raises(InputError, match="--keep-memory texts"):
        write_space(tmp_path / "s", place)
    write_artefact(place, replace(artefact, memory=None))
    assert write_space(tmp_path / "s", place).texts == 0
    session_journal(place).mkdir()
    with pytest.raises(InputError, match="not in the folder yet"):
        write_space(tmp_path / "t", place)


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for name in ("full", "file"):
        with pytest.raises(InputError, match="not an empty folder"):
            write_space(tmp_path / name, "world")
    assert contents(tmp_path / "full") == {"mine.txt": b"mine"}
    write_space(tmp_path / "empty", "world")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "full"]


def test_half_a_folder_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("polypatch.desk.space.shutil.copytree", lambda *_, **__: (tmp_path / "no" / "where").stat())
    with pytest.raises(InputError, match="cannot be written"):
        write_space(tmp_path / "s", "world")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_cannot_be_pinned(tmp_path, monkeypatch):
    monkeypatch.setattr("polypatch.desk.space.NEEDS", ("no-such-package",))
    with pytest.raises(InputError, match="needs no-such-package"):
        write_space(tmp_path / "s", "world")


def test_the_command_says_what_goes_along(polypatch, edits, tmp_path):  # noqa: F811
    said = polypatch("desk", edits(), "--space", tmp_path / "s", "-q")
    assert said.code == 0, said.err
    assert "The sentences of 1 edit and " in said.out
    assert "a public Space shows them to everybody" in said.out
    assert "edits of somebody/tiny" in said.out


def test_the_command_refuses_what_it_cannot_do(polypatch, checkpoint, tmp_path):  # noqa: F811
    space = ("--space", tmp_path / "s", "-q")
    assert "--port does not go with --space" in polypatch("desk", "world", *space, "--port", 1).refused()
    assert "--token does not go with --space" in polypatch("desk", "world", *space, "--token", TOKEN).refused()
    assert "this is a model" in polypatch("desk", checkpoint, *space).refused()
    assert "this is a model" in polypatch("desk", "somebody/model", *space).refused()
    assert "'xx'" in polypatch("desk", "world", *space, "--source", "xx").refused()
    assert not (tmp_path / "s").exists()


def started(folder, **secrets):
    """The folder's own command, at any port and by the Dockerfile's own environment; and what it says first."""
    environment = dict(line.split("=", 1) for line in lines(folder, "ENV"))
    environment = {name: value.replace("/home/user/app", str(folder)) for name, value in environment.items()}
    environment |= {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "SPACE_HOST": HOST,
        **secrets,
    }
    shell, how, command = json.loads(*lines(folder, "CMD"))
    command = command.replace("--host 0.0.0.0 --port 7860", "--host 0.0.0.0 --port 0")
    where = [
        shell,
        how,
        command.split("exec ")[1].split(" -m ")[0] + " -c 'import polypatch; print(polypatch.__file__)'",
    ]
    ours = subprocess.run(where, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
    assert Path(ours.strip()).is_relative_to(folder), "the polypatch in the folder, and no other"
    process = subprocess.Popen(
        [shell, how, command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


def status(address, host=HOST, **headers):
    """The status of an answer, and what it says."""
    asked = urllib.request.Request(address, headers={"host": host, **headers})
    try:
        with urllib.request.urlopen(asked, timeout=60) as got:
            return got.status, got.read()
    except urllib.error.HTTPError as refused:
        return refused.code, b""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["world", "edits"])
def test_it_runs_by_its_own_command(tmp_path, what):
    place = "world"
    if what == "edits":
        edited = open_place("world")
        claim = edited.held_out["en"][0]
        said, *_ = edited.predict([claim])
        edited.fix(claim, next(label for label in edited.readout.answers if label != said))
        place = tmp_path / "saved"
        edited.save_pretrained(place, memory="texts")
    assert write_space(tmp_path / "s", place).offline
    process, said = started(tmp_path / "s", **({"POLYPATCH_TOKEN": TOKEN} if what == "edits" else {}))
    try:
        port, made = re.fullmatch(r"http://0\.0\.0\.0:(\d+)/(?:\?token=(.+))?", said).groups()
        assert (made is None) == (what == "edits"), "a token that was given is in no log"
        address = f"http://127.0.0.1:{port}"
        code, health = status(f"{address}/health")
        assert (code, json.loads(health)["edits"]) == (200, int(what == "edits"))
        assert status(f"{address}/health", host="another.example.org")[0] == 421
        for host in (HOST, "10.0.0.7:7860"):  # what asks whether the Space is ready has no token
            code, front = status(f"{address}/", host=host)
            assert (code, b'name="token"' in front, b"Ask the model" in front) == (200, True, False)
        assert status(f"{address}/history")[0] == 401
        code, page = status(f"{address}/", authorization=f"Bearer {made or TOKEN}")
        assert (code, b"Ask the model" in page) == (200, True)
    finally:
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
