"""A tiny checkpoint on disk with a stream of edits, and the command line, here and in a process that is interrupted."""

from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from polypatch.cli import main
from polypatch.data import write_jsonl
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from stopping import signalled, stopped

STEPS = 60
SETTINGS = (
    *("--recipe", "mpn-all", "--set", f"max_steps={STEPS}", "--set", "views=0"),
    *("--set", "use_validation=false", "--set", "min_gain=0"),
)


@dataclass
class CommandLine:
    """`polypatch edit` on files of this test session."""

    checkpoint: Path
    files: Path

    def words(self, out, *more):
        data = ("--data", f"jsonl:{self.files / 'edits.jsonl'}", "--memory", str(self.files / "memory.txt"))
        return ["edit", str(self.checkpoint), "--out", str(out), *data, *SETTINGS, "--keep-failed", "--quiet", *more]

    def interrupted(self, out, number):
        """Given a signal in the middle of its fourth edit: (exit code, the last line of stderr)."""
        process = stopped(self.words(out), "torch.autograd:grad", 3 * STEPS + STEPS // 2)
        code, _, err = signalled(process, number)
        return code, err.strip().split("\n")[-1]

    def run(self, out, *more):
        """In this process: (exit code, what it said on stderr)"""
        with redirect_stderr(StringIO()) as err, pytest.raises(SystemExit) as left:
            main(self.words(out, *more))
        return left.value.code, err.getvalue()


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
