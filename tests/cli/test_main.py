import json
import os
import subprocess
import sys
import time

import pytest

import polypatch.cli
from polypatch import __version__
from polypatch.errors import DataError

SINGLE = (
    *("edit", "eval", "try", "explain", "check", "log", "save", "revert", "prune", "merge", "train", "ls", "demo"),
    *("reproduce", "fix", "predict", "desk", "serve", "train-editor"),
)
VERBS = [*((verb,) for verb in SINGLE), ("world", "build"), ("world", "show"), ("data", "xfever-edit")]


def shell(*argv, **env):
    return subprocess.run(
        [sys.executable, "-m", "polypatch", *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "COLUMNS": "100", "OMP_NUM_THREADS": "1", **env},
    )


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_shows_examples(polypatch, verb):
    ran = polypatch(*verb, "--help")
    assert ran.code == 0
    assert "Examples" in ran.out
    assert 1 <= ran.out.count(f"polypatch {' '.join(verb)} ") + ran.out.count(f"polypatch {' '.join(verb)}\n") <= 8


def test_no_verb_is_left_out():
    names = {name for verb in VERBS for name in verb}
    assert {command.name for command in polypatch.cli.app.registered_commands} <= names


def test_help_without_a_verb(polypatch):
    for argv in ((), ("--help",), ("-h",)):
        ran = polypatch(*argv)
        assert ran.code == 0
        assert "demo" in ran.out
    assert "build" in polypatch("world").out


def test_version(polypatch):
    assert polypatch("--version").out == f"polypatch {__version__}\n"


def test_help_does_not_wait_for_torch(figure):
    code = (
        "import sys, polypatch.cli; print(sorted({'torch', 'transformers', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    started = time.perf_counter()
    assert shell("--help").returncode == 0
    figure("seconds of polypatch --help", time.perf_counter() - started)


def test_an_error_is_one_line_in_a_real_process(tmp_path):
    ran = shell("edit", "my-model", "--out", tmp_path / "run")
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith("error: ")


def test_a_whole_run_in_a_real_process(checkpoint, files, tmp_path):
    data = f"jsonl:{files / 'edits.jsonl'}"
    ran = shell(
        "edit",
        checkpoint,
        "--data",
        data,
        "--out",
        tmp_path,
        "--no-memory",
        "--limit",
        2,
        "--recipe",
        "polypatch-linear",
        "--json",
    )
    assert ran.returncode == 0, ran.stderr
    assert len(json.loads(ran.stdout)) == 2
    assert ran.stderr.startswith("note: no memory")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (DataError("file\nrow 2: [en] is\tempty"), 2, "error: file row 2: [en] is empty\n"),
        (KeyboardInterrupt(), 130, "stopped: nothing was written\n"),
    ],
)
def test_what_a_verb_raises_becomes_one_line(polypatch, monkeypatch, raised, code, line):
    def fail(*_):
        raise raised

    monkeypatch.setattr("polypatch.cli.tables.all_tables", fail)
    ran = polypatch("ls")
    assert (ran.code, ran.err, ran.out) == (code, line, "")


def test_a_bug_is_not_hidden(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("polypatch.cli.tables.all_tables", fail)
    with pytest.raises(ZeroDivisionError):
        polypatch.cli.main(["ls"])
