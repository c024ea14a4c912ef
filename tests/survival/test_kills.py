"""Runs that are killed at random moments, and resumed, end like one that was never interrupted.

POLYPATCH_KILLS=200 is the claim of docs and release notes; the suite does fewer.
"""

import os
import shutil
import signal
import sys
import time
from collections import Counter

import pytest

from polypatch.artefact import read_artefact
from polypatch.cli.console import Bars, StoppedError
from polypatch.cli.editing import edit_and_record
from polypatch.data import load_data, write_jsonl
from polypatch.experiments.settings import WORLD
from polypatch.experiments.table1 import LANGUAGES
from polypatch.runs import BenchSpec, Run, Workbench
from polypatch.testing import tiny_edits, tiny_model

from .running import Child, a_moment, assert_readable, entries, seeded, state, warm

KILLS = int(os.environ.get("POLYPATCH_KILLS", "24"))
COMMON = {
    "languages": LANGUAGES,
    "order": 0,
    "limit": 12,
    "retries": 1,
    "trajectory_every": 5,
    "allow_contradictions": True,
}
RUNS = {
    "mpn-all": Run(recipe="mpn-all", settings=WORLD, **COMMON),
    "t-patcher, guarded": Run(
        recipe="t-patcher", settings=WORLD, wrong_in_all=True, max_locality_drop=0.5, **{**COMMON, "limit": 8}
    ),
    "mpn-only, two folds": Run(recipe="mpn-only", settings=WORLD, folds=2, **COMMON),
    "fine-tuning": Run(
        recipe="fine-tuning", settings={"views": 0, "max_steps": 5}, wrong_in_all=True, keep_failed=True, **COMMON
    ),
}
COLD = "mpn-only, two folds"
"""Encodes its texts in every process anew, as the command line does without --cache-dir."""


@pytest.fixture(scope="module")
def specs(quiet_tokenizers):
    """Open workbenches of the world: one with all texts encoded, one with none."""
    cold, ready = BenchSpec().open(), BenchSpec().open()
    ready.encode()
    return {name: warm(cold if name == COLD else ready) for name in RUNS}


@pytest.fixture(scope="module")
def quiet_tokenizers():
    """Their threads do not survive a fork."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        yield


@pytest.mark.slow
def test_killed_runs_end_like_uninterrupted_ones(specs, tmp_path, figure):
    wanted, journals, seconds = {}, {}, {}
    for name, run in RUNS.items():
        folder = tmp_path / name
        seconds[name] = Child(specs[name], run, folder, resume=False).finished()
        wanted[name], journals[name] = state(folder), entries(folder)
        assert sum(record.outcome.triggered for fold in journals[name].values() for record, _, _ in fold) >= 2
    tally, kills, number, started = Counter(), 0, 0, time.perf_counter()
    while kills < KILLS:
        name = list(RUNS)[number % len(RUNS)]
        folder, rng = tmp_path / f"run-{number}", seeded("kills", number)
        done, more = 0, True
        while more and kills < KILLS:
            child = Child(specs[name], RUNS[name], folder, resume=folder.exists())
            if rng.random() < 0.7:
                hit = child.killed_after(a_moment(rng, seconds[name]))
            else:
                hit = child.killed_at_change(folder, rng.randint(1, 20))
            kills += hit
            left = assert_readable(folder, journals[name]) if folder.exists() else 0
            assert left >= done, "an edit was lost that was on disk"
            tally["killed while editing" if left < RUNS[name].limit else "killed after the last edit"] += hit
            done, more = left, hit and rng.random() < 0.75
        Child(specs[name], RUNS[name], folder, resume=True).finished()
        found = state(folder)
        assert found.keys() == wanted[name].keys(), "files are missing, or litter is left"
        assert found == wanted[name]
        assert entries(folder) == journals[name]
        number += 1
    assert tally["killed while editing"]
    figure(
        f"{kills} kills of {number} runs on the world: share during the edits", tally["killed while editing"] / kills
    )
    figure(f"{kills} kills of {number} runs on the world: seconds", time.perf_counter() - started)


# --- at every single file operation ---------------------------------------------------------------------------------

TINY = Run(
    recipe="mpn-all",
    settings={"views": 0, "max_steps": 4, "memory_weight": 0.0},
    languages=("en", "de", "fr"),
    folds=2,
    keep_failed=True,
)
EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "sqlite3.connect", "os.truncate"}


@pytest.fixture(scope="module")
def tiny_spec(quiet_tokenizers, tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "edits.jsonl"
    write_jsonl(tiny_edits(5), path)
    bench = Workbench(*tiny_model("bert"), load_data(f"jsonl:{path}", source="en"))
    bench.encode()
    return warm(bench)


def dying_at(number, folder):
    """Called before a run: the process kills itself just before its `number`-th operation on a file in `folder`."""
    counted = [0]

    def hook(event, args):
        if event in EVENTS and args and str(folder) in str(args[0]):
            counted[0] += 1
            if counted[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    return lambda: sys.addaudithook(hook)


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["a first run", "a finished run, resumed"])
def test_killed_at_every_operation_on_a_file(tiny_spec, tmp_path, figure, again):
    """Also where a kill hardly ever falls by chance: between two renames, in the middle of removing a folder."""
    Child(tiny_spec, TINY, tmp_path / "whole", resume=False).finished()
    wanted, journal = state(tmp_path / "whole"), entries(tmp_path / "whole")
    number = 0
    while True:
        number += 1
        folder = tmp_path / f"run-{number}"
        if again:
            shutil.copytree(tmp_path / "whole", folder)
        child = Child(tiny_spec, TINY, folder, resume=again, before=dying_at(number, folder))
        if child.wait() == 0:
            break
        assert_readable(folder, journal)
        Child(tiny_spec, TINY, folder, resume=True).finished()
        assert state(folder) == wanted, f"killed before operation {number} on a file"
        assert entries(folder) == journal
    assert number > 30
    figure(f"kills at operations on files, {'resumed' if again else 'first'} run", number - 1)


# --- the real command line ------------------------------------------------------------------------------------------


def interrupted(command_line, out, number, edits=2):
    """`polypatch edit`, given a signal once its journal holds so many edits: (exit code, its last line)."""
    process = command_line.begin(out)
    while len(entries(out).get(0, ())) < edits:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(number)
    err = process.communicate(timeout=120)[1]
    return process.returncode, err.strip().split("\n")[-1]


def resumed(command_line, out, whole_run):
    """`--resume`, and then everything but times is as in the run that was never interrupted."""
    before = entries(out)[0]
    code, err = command_line.run(out, "--resume")
    assert (code, err) == (0, "")
    after = entries(out)[0]
    assert after == entries(whole_run)[0]
    assert after[: len(before)] == before
    found, wanted = state(out), state(whole_run)
    for plain in (found, wanted):  # the command names its own folder
        for row in (*plain["report.json"], *plain["edits/report.json"]):
            row.get("config", {}).pop("command", None)
    assert found == wanted
    return len(before)


def test_a_command_that_is_killed(command_line, whole_run, tmp_path):
    code, err = interrupted(command_line, tmp_path / "run", signal.SIGKILL)
    assert (code, err) == (-signal.SIGKILL, "")
    assert not (tmp_path / "run" / "edits").exists()
    assert_readable(tmp_path / "run", entries(whole_run))
    code, err = command_line.run(tmp_path / "run")
    assert code == 2, "without --resume nothing is thrown away"
    assert "--resume" in err
    assert 2 <= resumed(command_line, tmp_path / "run", whole_run) < 8


def test_a_command_that_gets_ctrl_c(command_line, whole_run, tmp_path):
    code, err = interrupted(command_line, tmp_path / "run", signal.SIGINT)
    assert code == 130
    assert "--resume goes on" in err
    kept = read_artefact(tmp_path / "run" / "edits")
    assert 2 <= len(kept.records) < 8
    assert f"{len(kept.records)} of 8 edits are kept" in err
    assert resumed(command_line, tmp_path / "run", whole_run) == len(kept.records)


def test_ctrl_c_after_the_last_edit_says_how_to_go_on(tiny_spec, tmp_path, monkeypatch):
    """While the edits are measured: they are in the journal, and no word says that nothing was written."""
    Child(tiny_spec, TINY, tmp_path / "whole", resume=False).finished()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Workbench, "report", interrupted)
        with pytest.raises(StoppedError, match="--resume goes on"):
            edit_and_record(tiny_spec, TINY, tmp_path / "run", Bars(quiet=True), command="polypatch edit")
    assert_readable(tmp_path / "run", entries(tmp_path / "whole"))
    Child(tiny_spec, TINY, tmp_path / "run", resume=True).finished()
    assert state(tmp_path / "run") == state(tmp_path / "whole")
