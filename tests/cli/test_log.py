import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polypatch.cli.shown import END, ISOLATE, shown
from polypatch.edited_model import EditedModel
from polypatch.store.artefact import read_artefact
from polypatch.store.history import history

from .conftest import FAST

OLD = next(path.parent for path in (Path(__file__).parents[1] / "fixtures" / "format-1").rglob("edit_config.json"))
FIELDS = {"id", "fold", "status", "finished", "reverted", "languages", "patches", "steps", "attempts", "seconds"}
FIELDS |= {"locality_drop", "reason", "source", "prompt", "target"}


@pytest.fixture
def log(polypatch, edited):
    return lambda *argv, run=edited: polypatch("log", run, *argv)


@pytest.fixture
def unsaved(edited, tmp_path):
    """A run that goes on still: a journal and nothing else."""
    shutil.copytree(edited, tmp_path / "run", ignore=shutil.ignore_patterns("edits", "*.json", "*.md"))
    return tmp_path / "run"


def test_the_history_of_a_run_for_people(log, edited):
    ran = log()
    assert ran.code == 0
    for record in read_artefact(edited / "edits").records:
        assert record.outcome.edit_id in ran.out
        assert record.status in ran.out
    assert "→ class-" in ran.out
    assert "UTC" in ran.out


def test_a_row_fits_a_narrow_terminal(log, monkeypatch):
    """The languages go under it, and nothing is cut."""
    wide = log().out
    monkeypatch.setenv("COLUMNS", "64")
    narrow = log().out
    rows = [line for line in narrow.splitlines() if not line.startswith("    ")]
    assert max(map(len, rows)) <= 64 < max(map(len, wide.splitlines()))
    assert "    trained on en, " in narrow
    assert "trained on" not in wide
    assert all(
        word in narrow.split() for word in wide.replace("Trained on", "").replace(",", ", ").split() if word != "–"
    )


def test_the_history_for_machines(log, edited):
    lines = log("--json").json()
    outcomes = read_artefact(edited / "edits").outcomes
    assert [line["id"] for line in lines] == [outcome.edit_id for outcome in outcomes]
    for line, outcome in zip(lines, outcomes, strict=True):
        assert set(line) == FIELDS
        assert line["status"] == outcome.status
        assert line["languages"] == list(outcome.languages)
        assert line["finished"] == outcome.finished
        assert line["prompt"].startswith("en ")


def test_journal_and_saved_edits_tell_the_same(log, edited, unsaved):
    assert log("--json", run=unsaved).json() == log("--json").json() == log("--json", run=edited / "edits").json()


def test_what_was_reverted_since(polypatch, log, edited, tmp_path):
    shutil.copytree(edited, tmp_path / "run")
    polypatch("revert", tmp_path / "run", "tiny-1")
    (line,) = log("--json", "--status", "reverted", run=tmp_path / "run").json()
    assert line["id"] == "tiny-1"
    assert line["reverted"] >= line["finished"]


def test_choosing(log, edited):
    lines = log("--json").json()

    def chosen(*argv):
        return [line["id"] for line in log("--json", *argv).json()]

    for status in {line["status"] for line in lines}:
        wanted = [line["id"] for line in lines if line["status"] == status]
        assert chosen("--status", status.replace(" ", "-")) == chosen("--status", status) == wanted
    assert chosen("--status", "taken", "--status", "taken-back", "--status", "not-needed") == chosen()
    assert chosen("--trained-on", "de") == [line["id"] for line in lines if "de" in line["languages"]]
    assert chosen("--trained-on", "sw") == []
    assert chosen("--id", "tiny-[12]") == ["tiny-1", "tiny-2"]
    assert chosen("--limit", 2) == [line["id"] for line in lines[-2:]]
    assert chosen("--since", "2001-01-01") == chosen()
    assert chosen("--since", lines[3]["finished"])[-1] == lines[-1]["id"]
    assert chosen("--since", "2999-01-01T10:00") == []
    assert "no such edits" in log("--since", "2999-01-01").out


def test_folds_are_told_apart_also_while_the_second_goes_on(polypatch, log, checkpoint, files, tmp_path):
    data = f"jsonl:{files / 'edits.jsonl'}"
    run = tmp_path / "run"
    assert polypatch("edit", checkpoint, "--data", data, "--out", run, "--folds", 2, "--no-memory", *FAST).code == 0
    saved = log("--json", run=run).json()
    assert [line["fold"] for line in saved] == [0, 0, 0, 1, 1, 1]
    assert "Fold" in log(run=run).out
    shutil.rmtree(run / "edits-1")
    assert log("--json", run=run).json() == saved
    shutil.rmtree(run / "edits-0")
    assert log("--json", run=run).json() == saved


def test_while_the_run_goes_on(polypatch, checkpoint, files, tmp_path, monkeypatch):
    seen = []

    stream = EditedModel.stream

    def watched(*args, **kwargs):
        for outcome in stream(*args, **kwargs):
            seen.append([line.record.outcome.edit_id for line in history(tmp_path / "run")])
            yield outcome

    monkeypatch.setattr(EditedModel, "stream", watched)
    data = f"jsonl:{files / 'edits.jsonl'}"
    assert polypatch("edit", checkpoint, "--data", data, "--out", tmp_path / "run", "--no-memory", *FAST).code == 0
    assert [len(ids) for ids in seen] == list(range(6))


def test_an_old_format_has_no_requests(log):
    lines = log("--json", run=OLD).json()
    assert all(line["prompt"] is None for line in lines)
    assert log(run=OLD).code == 0


def test_newcomers(log, tmp_path):
    message = log("--status", "done").refused()
    assert "done" in message
    assert "taken-back" in message
    assert "'yesterday' is no date" in log("--since", "yesterday").refused()
    assert "--limit" in log("--limit", 0).refused()
    assert "no such folder" in log(run=tmp_path / "gone").refused()
    assert "no saved edits" in log(run=tmp_path).refused()
    (tmp_path / "journal.sqlite").write_text("not a database, but long enough to look like some file or other")
    assert "journal.sqlite" in log(run=tmp_path).refused()


def test_other_verbs_say_what_to_do_with_a_run_that_was_not_finished(polypatch, unsaved):
    for verb in ("eval", "try", "explain", "revert"):
        message = polypatch(verb, unsaved, *(["tiny-1"] if verb != "eval" else [])).refused()
        assert "--resume" in message
        assert "polypatch save" in message


def test_a_tampered_journal_is_refused(log, unsaved):
    import sqlite3

    with sqlite3.connect(unsaved / "journal.sqlite") as db:
        db.execute("UPDATE edits SET entry = replace(entry, 'class-1', 'class-2')")
    assert "changed after" in log(run=unsaved).refused()


@pytest.mark.parametrize("saved", [True, False])
def test_it_answers_without_torch(edited, unsaved, saved, figure):
    code = (
        "import sys; from polypatch.cli import main\n"
        f"try: main(['log', {str(edited if saved else unsaved)!r}, '--json'])\n"
        "except SystemExit as left: assert left.code == 0\n"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    started = time.perf_counter()
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    figure("seconds of polypatch log", time.perf_counter() - started)
    assert len(json.loads(ran.stdout)) == 6


def test_texts_of_others_have_no_power_over_the_terminal():
    assert shown("a\x1b[31mb\nc") == "a\ufffd[31mb c"
    assert shown("a\u202eb") == "ab"
    assert shown(("premise", "hypothesis")) == "premise / hypothesis"
    assert shown("مرحبا بالعالم") == f"{ISOLATE}مرحبا بالعالم{END}"
    assert shown("明天早上叫我", 4) == "明天早…"
