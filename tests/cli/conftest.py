"""A tiny checkpoint, a file of edits for it, and `polypatch` called as a user calls it."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from polypatch.cli import main
from polypatch.data import write_jsonl
from polypatch.edited_model import EditedModel
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from xfever.tiny_marian import tiny_marian
from xfever.tiny_nllb import tiny_nllb

FAST = (
    "--recipe",
    "mpn-all",
    "--set",
    "max_steps=20",
    "--set",
    "learning_rate=0.01",  # by which some do not take
    "--set",
    "views=0",
    "--set",
    "first_validation=5",
    "--set",
    "validate_every=5",
    "--quiet",
)


@dataclass
class Ran:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    def json(self):
        """Standard output as JSON, all of it."""
        return json.loads(self.out)

    def refused(self) -> str:
        """The one line of an error; anything else fails the test."""
        assert self.code == 2, (self.code, self.err)
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        assert "Traceback" not in self.err
        assert self.out == ""
        return lines[0].removeprefix("error: ")


@pytest.fixture
def polypatch(capsys, monkeypatch, tmp_path):
    """Run a command line in this process. It finds no model in the hub's cache, whoever's machine this is."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def call(*argv) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(arg) for arg in argv])
        out, err = capsys.readouterr()
        return Ran(left.value.code, out, err)

    return call


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny random BERT with three classes, on disk."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    """edits.jsonl (six edits in en, de and sw), memory.txt and memory.jsonl."""
    folder = tmp_path_factory.mktemp("files")
    write_jsonl(tiny_edits(6, ("en", "de", "sw")), folder / "edits.jsonl")
    texts = tiny_texts(40)
    (folder / "memory.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    rows = [{"lang": ("en", "de")[i % 2], "text": text} for i, text in enumerate(texts)]
    (folder / "memory.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def edited(checkpoint, files, tmp_path_factory) -> Path:
    """The folder of a finished run; read it, do not write to it."""
    out = tmp_path_factory.mktemp("runs") / "first"
    with pytest.raises(SystemExit) as left:
        main(
            [
                *("edit", str(checkpoint), "--out", str(out), "--languages", "en,de", "--eval-languages", "sw", *FAST),
                *("--set", "memory_weight=0"),  # lets patches fire, untrained as they are
                *("--set", "max_steps=10"),  # one edit does not take
                *("--data", f"jsonl:{files / 'edits.jsonl'}", "--memory", str(files / "memory.txt")),
            ]
        )
    assert left.value.code == 0
    return out


@pytest.fixture(scope="session")
def reweighted(checkpoint, files, tmp_path_factory) -> Path:
    """The folder of a finished run that changed weights; read it, do not write to it."""
    out = tmp_path_factory.mktemp("reweighted") / "run"
    how = ("--recipe", "fine-tuning", "--set", "max_steps=3", "--set", "views=0", "--keep-failed", "--no-memory")
    with pytest.raises(SystemExit) as left:
        main(["edit", str(checkpoint), "--data", f"jsonl:{files / 'edits.jsonl'}", "--out", str(out), *how, "--quiet"])
    assert left.value.code == 0
    return out


@pytest.fixture(scope="module")
def translators(tmp_path_factory) -> Path:
    """A folder of tiny translation models: en-de and en-fr of Marian, and nllb."""
    place = tmp_path_factory.mktemp("translators")
    for seed, lang in enumerate(("de", "fr")):
        tiny_marian(place / f"en-{lang}", lang, seed=seed)
    tiny_nllb(place / "nllb")
    return place


class PowerCut(BaseException):
    """Ends a process without asking it."""


@pytest.fixture
def cut(monkeypatch):
    """Call a run that ends by `how` after so many edits."""

    def call(edit, how, after, *more, **options):
        stream = EditedModel.stream

        def ended(*args, **kwargs):
            for done, outcome in enumerate(stream(*args, **kwargs), start=1):
                if how is PowerCut and done > after:
                    raise PowerCut
                if how is KeyboardInterrupt and done == after:
                    os.kill(os.getpid(), signal.SIGINT)
                yield outcome

        with monkeypatch.context() as patched:
            patched.setattr(EditedModel, "stream", ended)
            if how is KeyboardInterrupt:
                assert edit(*more, **options).code == 130
                return
            with pytest.raises(PowerCut):
                edit(*more, **options)

    return call
