"""A tiny checkpoint on disk with a stream of edits, and the command line as a process of its own."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from polypatch.data import write_jsonl
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

SLOW_EDITS = (
    *("--recipe", "mpn-all", "--set", "max_steps=400", "--set", "views=0"),
    *("--set", "use_validation=false", "--set", "min_gain=0"),
)


@dataclass
class CommandLine:
    """`polypatch edit` on files of this test session."""

    checkpoint: Path
    files: Path

    def words(self, out, *more):
        data = ("--data", f"jsonl:{self.files / 'edits.jsonl'}", "--memory", str(self.files / "memory.txt"))
        return ["edit", str(self.checkpoint), "--out", str(out), *data, *SLOW_EDITS, "--keep-failed", "--quiet", *more]

    def begin(self, out, *more):
        command = [sys.executable, "-m", "polypatch", *self.words(out, *more)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, out, *more):
        """(exit code, what it said on stderr)"""
        process = self.begin(out, *more)
        err = process.communicate(timeout=300)[1]
        return process.returncode, err


@pytest.fixture(scope="session")
def command_line(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-bert")
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(folder / "checkpoint")
    tokenizer.save_pretrained(folder / "checkpoint")
    write_jsonl(tiny_edits(8), folder / "edits.jsonl")
    (folder / "memory.txt").write_text("".join(f"{text}\n" for text in tiny_texts(40)), encoding="utf-8")
    return CommandLine(folder / "checkpoint", folder)


@pytest.fixture(scope="session")
def whole_run(command_line, tmp_path_factory):
    """The folder of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    code, err = command_line.run(out)
    assert code == 0, err
    return out
