"""Runs in forked processes that are killed; what is in a run's folder, without times; and whether it is readable."""

import json
import os
import random
import signal
import sys
import traceback
import warnings
from dataclasses import replace
from functools import partial

from polypatch.cli.console import Bars
from polypatch.cli.edit_watcher import EditWatcher
from polypatch.errors import JournalError
from polypatch.runs import BenchSpec
from polypatch.runs.record import RunRequest, record_run
from polypatch.store.artefact import read_artefact
from polypatch.store.journal import read_journal

TIMES = {"seconds", "finished", "seconds_per_edit", "seconds_total"}
CHECKSUMS = {"checksum", "checksums"}


class Warm(BenchSpec):
    """A spec whose workbench is open: a forked process starts editing at once."""

    def open(self, progress=None):
        return vars(self)["bench"]


def warm(bench):
    spec = Warm()
    vars(spec)["bench"] = bench
    return spec


class Forked:
    """A forked process that calls `work`."""

    def __init__(self, work, before=None):
        self.reading, writing = os.pipe()  # not a file: its disk may be full
        with warnings.catch_warnings():  # newer Pythons warn of forks beside threads; there is one thread that matters
            warnings.simplefilter("ignore")
            self.pid = os.fork()
        if self.pid == 0:
            self._work(writing, work, before)
        os.close(writing)

    def _work(self, writing, work, before):
        code = 1
        try:
            sys.stdout = sys.stderr = os.fdopen(writing, "w")
            if before is not None:
                before()
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def ended(self):
        """(exit code, what it said)"""
        with os.fdopen(self.reading) as pipe:
            said = pipe.read()
        _, status, used = os.wait4(self.pid, 0)
        self.seconds = used.ru_utime + used.ru_stime
        return os.waitstatus_to_exitcode(status), said

    def killed(self):
        """Whether it was; a run that fails by itself fails the test."""
        code, said = self.ended()
        assert code in (0, -signal.SIGKILL, -signal.SIGPROF), f"exit code {code}: {said}"
        return code != 0

    def finished(self):
        """Returns the seconds of a processor it took."""
        assert not self.killed()
        return self.seconds


class Child(Forked):
    """One that does a run, as the command line does it."""

    def __init__(self, spec, run, folder, *, resume, before=None):
        def work():
            bare = not spec.open().data.memory
            how = {"no_memory": bare, "command": "polypatch edit", "resume": resume}
            record_run(RunRequest(spec=spec, run=run, folder=folder, **how), EditWatcher(Bars(quiet=True)))

        super().__init__(work, before)


def dying_after(seconds):
    """Called before a run: the kernel ends the process when it has used a processor for so long.

    By its own clock and not by the wall's: beside other processes the moment is the same.
    """
    return partial(signal.setitimer, signal.ITIMER_PROF, max(seconds, 1e-3))


EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "sqlite3.connect", "os.truncate"}


def dying_at(number, folder):
    """Called before a run: the process kills itself just before its `number`-th operation on a file in `folder`."""
    counted = [0]

    def hook(event, args):
        if event in EVENTS and args and str(folder) in str(args[0]):
            counted[0] += 1
            if counted[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    return lambda: sys.addaudithook(hook)


def timeless(plain):
    """Plain data without times, and without the checksums that cover them."""
    if isinstance(plain, dict):
        return {k: timeless(v) for k, v in plain.items() if k not in TIMES | CHECKSUMS}
    return [timeless(item) for item in plain] if isinstance(plain, list) else plain


def state(folder):
    """Everything that two equal runs agree on: names of all files, bytes of tensors and figures, the rest as data."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name, raw = str(path.relative_to(folder)), path.read_bytes()
        if path.suffix in (".safetensors", ".png"):
            found[name] = raw
        elif path.suffix == ".json":
            found[name] = timeless(json.loads(raw))
        elif path.suffix == ".jsonl":
            found[name] = [timeless(json.loads(line)) for line in raw.decode().split("\n") if line]
        else:
            found[name] = None
    return found


def entries(folder):
    """The journal by fold, without times and with tensors as bytes; nothing where there is none yet."""
    try:
        folds = read_journal(folder)[1]
    except JournalError as error:
        if "no journal" in str(error) or "before its first edit" in str(error):
            return {}
        raise
    return {fold: [entry_state(entry) for entry in found] for fold, found in folds.items()}


def entry_state(entry):
    tensors = entry.tensors and {name: tensor.numpy().tobytes() for name, tensor in entry.tensors.items()}
    record = replace(entry.record, outcome=entry.record.outcome.timeless())
    return record, tensors, entry.point


def assert_readable(folder, reference):
    """After a kill: the journal holds the first edits of the reference's, and saved edits load. Returns how many."""
    done = 0
    for fold, found in entries(folder).items():
        whole = reference[fold][: len(found)]
        assert [(record, point) for record, _, point in found] == [(record, point) for record, _, point in whole]
        # Of changed weights the journal keeps the latest only, which the reference has let go since.
        assert all(mine == theirs for (_, mine, _), (_, theirs, _) in zip(found, whole, strict=True) if mine and theirs)
        done += len(found)
    for edits in folder.glob("edits*"):
        read_artefact(edits)
    return done


def a_moment(rng, seconds):
    """When to kill: any time of the run; or more often at its end, where files are written."""
    return rng.uniform(0, seconds) if rng.random() < 0.6 else rng.uniform(0.7, 1.05) * seconds


def seeded(*what):
    return random.Random(":".join(map(str, what)))
