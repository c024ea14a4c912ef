"""Whole runs on a disk that fills up: one typed error, no edit before it lost, and `--resume` ends as if nothing was.

Once on a small file system of its own, where mounting is allowed, and once under a limit on the size of any one file,
which everybody may set.
"""

import os
import re
import resource
import shutil
import subprocess
from collections import Counter
from functools import partial

import pytest

from polypatch.data import load_data, write_jsonl
from polypatch.runs import Run, Workbench
from polypatch.testing import tiny_edits, tiny_model

from .running import Child, assert_readable, entries, state, warm

RUNS = {
    "patches": Run(recipe="mpn-all", settings={"views": 0, "max_steps": 3, "memory_weight": 0.0}, keep_failed=True),
    "weights": Run(recipe="fine-tuning", settings={"views": 0, "max_steps": 3}, keep_failed=True, folds=2),
}
KB = 1024


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("edits") / "edits.jsonl"
    write_jsonl(tiny_edits(8), path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        bench = Workbench(*tiny_model("bert"), load_data(f"jsonl:{path}", source="en"))
        bench.encode()
        yield warm(bench)


@pytest.fixture(scope="module", params=list(RUNS))
def case(request, spec, tmp_path_factory):
    """(spec, run, what the folder of an uninterrupted run holds, its journal)"""
    folder = tmp_path_factory.mktemp("whole") / "run"
    Child(spec, RUNS[request.param], folder, resume=False).finished()
    return spec, RUNS[request.param], state(folder), entries(folder)


def refused(child):
    """The class of the error that ended the run; ``finished`` where none did."""
    code, said = child.ended()
    if code == 0:
        return "finished"
    found = re.search(r"^polypatch\.errors\.(\w+): [^\n]+\n\Z", said, re.M)
    assert (code, bool(found)) == (1, True), said
    return found[1]


def go_on(case, folder):
    """On a healthy disk again."""
    spec, run, wanted, journal = case
    Child(spec, run, folder, resume=True).finished()
    assert state(folder) == wanted
    assert entries(folder) == journal


@pytest.mark.slow
def test_no_file_may_grow_beyond_a_size(case, tmp_path):
    spec, run, _, journal = case
    tally = Counter()
    for size in (0, 1, 5, 10, 20, 30, 40, 60, 100, 2000):
        folder = tmp_path / f"run-{size}"
        child = Child(
            *(spec, run, folder),
            resume=False,
            before=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size * KB, size * KB)),
        )
        tally[refused(child)] += 1
        assert_readable(folder, journal)
        go_on(case, folder)
    assert tally["finished"]
    assert tally["JournalError"]


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of so many kilobytes; skips where that is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def mount(kilobytes):
        options = f"{'remount,' if mounted else ''}size={kilobytes}k"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if os.geteuid() or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a file system is not allowed here")
        mounted.append(place)
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_the_disk_is_full(case, small_disk, figure):
    """From a disk that holds nothing to one that holds the run, in small steps: full at every stage of it."""
    spec, run, _, journal = case
    tally, kilobytes = Counter(), 4
    while not tally["finished"]:
        folder = small_disk(kilobytes) / f"run-{kilobytes}"
        tally[refused(Child(spec, run, folder, resume=False))] += 1
        small_disk(100_000)
        if folder.exists():
            assert_readable(folder, journal)
            go_on(case, folder)
            shutil.rmtree(folder)
        kilobytes += 12
    assert tally["JournalError"]
    assert tally.keys() - {"JournalError", "finished"}, "also after the last edit, while the results are written"
    figure("full disks: runs refused with a typed error", sum(tally.values()) - tally["finished"])


@pytest.mark.slow
def test_a_read_only_disk(case, small_disk):
    """Nothing can be written: refused, and what a finished run left there is as it was."""
    spec, run, wanted, _ = case
    folder = small_disk(100_000) / "run"
    Child(spec, run, folder, resume=False).finished()
    subprocess.run(["mount", "-o", "remount,ro", str(folder.parent)], check=True)
    try:
        child = Child(spec, run, folder, resume=True)
        assert refused(child) in ("JournalError", "InputError")
        assert state(folder) == wanted
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder.parent)], check=True)
    go_on(case, folder)
