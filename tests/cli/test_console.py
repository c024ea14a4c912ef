"""Progress where there is no terminal, and Ctrl-C."""

import os
import signal

import pytest

from polypatch.cli import console


def test_without_a_terminal_a_long_task_says_a_line_now_and_then(capsys, monkeypatch):
    now = iter(range(0, 100, 4))
    monkeypatch.setattr("polypatch.cli.console.time.monotonic", lambda: next(now))
    with console.Bars() as bars:
        for done in range(1, 9):
            bars.update("editing", done, 8, note="3 patches")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["editing: 4 of 8, 3 patches", "editing: 7 of 8, 3 patches", "editing: 8 of 8, 3 patches"]


def test_a_short_task_and_a_quiet_one_say_nothing(capsys, monkeypatch):
    with console.Bars() as bars:
        bars.update("encoding", 1, 2)
        bars.update("encoding", 2, 2)
    now = iter(range(0, 1000, 60))
    monkeypatch.setattr("polypatch.cli.console.time.monotonic", lambda: next(now))
    with console.Bars(quiet=True) as bars:
        for done in range(1, 9):
            bars.update("editing", done, 8)
    assert capsys.readouterr().err == ""


def test_a_second_ctrl_c_interrupts():
    heard = []
    with console.Stop(lambda: heard.append("once")) as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        assert heard == ["once"]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_on_a_terminal_there_are_bars_and_lines_above_them(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    with console.Bars() as bars:
        bars.opening("pre-training", 1, 2)
        bars.opening("encoding", 2, 2)
        bars.opening("encoding", 1, 9)
        bars.update("t-patcher", 3, 4, note="2 patches")
        bars.say("note: [no] markup")
        assert set(bars.tasks) == {"world", "encoding", "t-patcher"}
    shown = capsys.readouterr()
    assert shown.out == ""
    for word in ("building the world: pre-training", "3/4", "2 patches", "note: [no] markup"):
        assert word in shown.err


def test_loading_is_said_at_once_on_a_terminal_and_nowhere_else(monkeypatch, capsys):
    """Torch and a model take seconds; a pipe, a log file and --quiet get nothing."""
    from polypatch.cli.prepare import prepare

    prepare()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    prepare(quiet=True)
    assert capsys.readouterr().err == ""
    prepare()
    assert capsys.readouterr().err == "loading torch and the model …\n"
