"""Runs that are killed at random moments, and resumed, end like one that was never interrupted.

POLYPATCH_KILLS=200 does more of them.
"""

import os
import shutil
import signal
import time
from collections import Counter

import pytest

from polypatch.cli.console import Bars
from polypatch.cli.edit_watcher import EditWatcher
from polypatch.data import EditingData, load_data, write_jsonl
from polypatch.edits import Labelled
from polypatch.errors import StoppedError
from polypatch.experiments.settings import WORLD
from polypatch.runs import Run, Workbench
from polypatch.runs.record import RunRequest, record_run
from polypatch.sites.readouts.readout import ReadoutSettings
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from speaking import speaker, speaking_edits

from .running import Child, a_moment, assert_readable, dying_after, dying_at, entries, seeded, state, warm

KILLS = int(os.environ.get("POLYPATCH_KILLS", "13"))
LANGUAGES = ("en", "de", "fr")
COMMON = {"languages": LANGUAGES, "retries": 1, "trajectory_every": 5}
TRAINED = {**WORLD, "max_steps": 60}
RUNS = {
    "mpn-all": Run(recipe="mpn-all", settings=TRAINED, **COMMON),
    "t-patcher, guarded": Run(
        recipe="t-patcher", settings=TRAINED, wrong_in_all=True, max_locality_drop=20, limit=8, **COMMON
    ),
    "mpn-only, two folds": Run(recipe="mpn-only", settings=TRAINED, folds=2, **COMMON),
    "fine-tuning": Run(recipe="fine-tuning", settings={"views": 0, "max_steps": 5}, keep_failed=True, **COMMON),
    "a language model": Run(recipe="grace-mpn", settings={"max_steps": 10}, keep_failed=True, languages=LANGUAGES),
}
COLD = "mpn-only, two folds"
"""Encodes its texts in every process anew, as the command line does without --cache-dir."""


def some_data(edits, texts=30):
    """Edits, and around them everything that a run may watch."""
    answers = [edit.target["en"] for edit in edits]
    near = {
        name: tuple(Labelled(text, answers[i % 3]) for i, text in enumerate(tiny_texts(texts * 2 // 3, seed=seed)))
        for seed, name in enumerate(("train", "test", "train.de", "test.de"), start=10)
    }
    memory, validation = (
        {lang: tiny_texts(texts, seed=n) for n, lang in enumerate(LANGUAGES, start=k)} for k in (20, 30)
    )
    return EditingData("made", tuple(edits), memory, validation, near)


@pytest.fixture(scope="module")
def specs(quiet_tokenizers):
    """Open workbenches: one with all texts encoded, one with none; and one of a model that writes."""
    cold, ready = (Workbench(*tiny_model("bert"), some_data(tiny_edits(12, LANGUAGES))) for _ in range(2))
    writes = Workbench(*speaker(), some_data(speaking_edits(3), texts=6), readout=ReadoutSettings(None, 4))
    ready.encode()
    writes.encode()
    own = {COLD: cold, "a language model": writes}
    return {name: warm(own.get(name, ready)) for name in RUNS}


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
            by_the_clock = rng.random() < 0.7
            dying = dying_after(a_moment(rng, seconds[name])) if by_the_clock else dying_at(rng.randint(1, 40), folder)
            hit = Child(specs[name], RUNS[name], folder, resume=folder.exists(), before=dying).killed()
            kills += hit
            left = assert_readable(folder, journals[name]) if folder.exists() else 0
            assert left >= done, "an edit was lost that was on disk"
            tally["while editing" if left < sum(map(len, journals[name].values())) else "after the last edit"] += hit
            done, more = left, hit and rng.random() < 0.75
        Child(specs[name], RUNS[name], folder, resume=True).finished()
        found = state(folder)
        assert found.keys() == wanted[name].keys(), "files are missing, or litter is left"
        assert found == wanted[name]
        assert entries(folder) == journals[name]
        number += 1
        assert number < 10 * KILLS, "hardly any kill comes in time"
    assert tally["while editing"]
    figure(f"{kills} kills of {number} runs: share during the edits", tally["while editing"] / kills)
    figure(f"{kills} kills of {number} runs: seconds", time.perf_counter() - started)


# --- at every single file operation ---------------------------------------------------------------------------------

TINY = Run(
    recipe="mpn-all",
    settings={"views": 0, "max_steps": 4, "memory_weight": 0.0},
    languages=("en", "de", "fr"),
    folds=2,
    keep_failed=True,
)


@pytest.fixture(scope="module")
def tiny_spec(quiet_tokenizers, tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "edits.jsonl"
    write_jsonl(tiny_edits(5), path)
    bench = Workbench(*tiny_model("bert"), load_data(f"jsonl:{path}", source="en"))
    bench.encode()
    return warm(bench)


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
        if not child.killed():
            break
        assert_readable(folder, journal)
        Child(tiny_spec, TINY, folder, resume=True).finished()
        assert state(folder) == wanted, f"killed before operation {number} on a file"
        assert entries(folder) == journal
    assert number > 30
    figure(f"kills at operations on files, {'resumed' if again else 'first'} run", number - 1)


# --- the real command line ------------------------------------------------------------------------------------------


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
    code, err = command_line.interrupted(tmp_path / "run", signal.SIGKILL)
    assert (code, err) == (-signal.SIGKILL, "")
    assert not (tmp_path / "run" / "edits").exists()
    assert_readable(tmp_path / "run", entries(whole_run))
    code, err = command_line.run(tmp_path / "run")
    assert code == 2, "without --resume nothing is thrown away"
    assert "--resume" in err
    assert 2 <= resumed(command_line, tmp_path / "run", whole_run) < 8


def test_a_command_that_gets_ctrl_c(command_line, whole_run, tmp_path):
    code, err = command_line.interrupted(tmp_path / "run", signal.SIGINT)
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
        how = {"folder": tmp_path / "run", "no_memory": True, "command": "polypatch edit"}
        request, watcher = RunRequest(spec=tiny_spec, run=TINY, **how), EditWatcher(Bars(quiet=True))
        with pytest.raises(StoppedError, match="--resume goes on"):
            record_run(request, watcher)
    assert_readable(tmp_path / "run", entries(tmp_path / "whole"))
    Child(tiny_spec, TINY, tmp_path / "run", resume=True).finished()
    assert state(tmp_path / "run") == state(tmp_path / "whole")
