"""What the verbs print with: results on stdout, everything else on stderr."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from polypatch.cli.shown import HarmlessConsole
from polypatch.rendering.harmless import ESCAPING, escaped, harmless, one_line

PIPED_WIDTH = 120
RHYTHM = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def stdout() -> Console:
    """The console for results; wide where nobody has a terminal or set COLUMNS."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return HarmlessConsole(width=PIPED_WIDTH if piped else None)


def say(line: str) -> None:
    """Lines on stdout: for people, or JSON, in which nothing is left to be made harmless."""
    _write(sys.stdout, harmless(line))


def _write(stream: TextIO, line: str) -> None:
    # Not typer's echo, which has its own mind about streams that are not UTF-8.
    stream.write(f"{line}\n")
    stream.flush()


def as_json(plain: Any) -> str:
    """Plain data as JSON in which no character commands a terminal."""
    return escaped(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False))


def complain(line: str) -> None:
    """One line on stderr, whatever the message looks like."""
    _write(sys.stderr, one_line(line))


def forgiving_streams() -> None:
    """Characters that stdout or stderr cannot encode are written as escapes, and never end a verb."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPING)


def loading(what: str) -> None:
    """A line at once where the next thing takes seconds; nothing where stderr is no terminal."""
    if sys.stderr.isatty():
        complain(f"loading {what} …")


class Bars:
    """Progress on stderr: bars on a terminal, now and then a line elsewhere, nothing when `quiet`."""

    def __init__(self, quiet: bool = False) -> None:
        console = HarmlessConsole(stderr=True)
        self.lines = not quiet and not console.is_terminal
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
            transient=True,
            disable=quiet or self.lines,
        )
        self.tasks: dict[object, TaskID] = {}
        self.last: dict[object, float] = {}

    def __enter__(self) -> Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def update(self, what: str, done: int, total: int, note: str = "", key: object = None) -> None:
        """So much of `what` is done. `key` tells two bars of one name apart."""
        key = what if key is None else key
        if self.lines:
            self._line(key, what, done, total, note)
            return
        if key not in self.tasks:
            self.tasks[key] = self.progress.add_task(what, total=total, note=note)
        self.progress.update(self.tasks[key], description=what, completed=done, total=total, note=note)

    def drop(self, key: object) -> None:
        """What `key` stands for is over."""
        self.last.pop(key, None)
        task = self.tasks.pop(key, None)
        if task is not None and not self.lines:
            self.progress.remove_task(task)

    def say(self, line: str) -> None:
        """One line on stderr, above the bars."""
        if self.progress.disable:
            complain(line)
        else:
            self.progress.console.print(line)

    def opening(self, what: str, done: int, total: int) -> None:
        """Progress of `BenchSpec.open`: the stages of a world that is being built share a bar."""
        key, title = (what, "encoding texts") if what == "encoding" else ("world", f"building the world: {what}")
        self.update(title, done, total, key=key)
        if done >= total and not self.lines:  # there may be more to encode later
            self.progress.remove_task(self.tasks.pop(key))

    def _line(self, key: object, what: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if done >= total:
            spoken = self.last.pop(key, now) != now and key in self.tasks
            self.tasks.pop(key, None)
        elif spoken := now - self.last.setdefault(key, now) > RHYTHM:
            self.last[key], self.tasks[key] = now, TaskID(0)
        if spoken:
            complain(f"{what}: {done} of {total}{f', {note}' if note else ''}")


class Stop:
    """Ctrl-C inside the block is remembered in `asked`, so that one edit is not cut; a second one interrupts."""

    def __init__(self, warn: Callable[[], None]) -> None:
        self.warn = warn
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self.warn()
