"""The examples in every verb's help: the verb accepts them, and those that need no hub and no hour are run."""

import io
import json
import re
import shlex
import shutil
from dataclasses import replace

import pytest
import typer

from polypatch.cli.app import app
from polypatch.data import write_jsonl
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

MARKUP = re.compile(r"\[dim\].*?\[/\]|\[/?(?:bold)?\]|\[bold\]")


def commands(group, path=()):
    """Every verb, groups opened, with its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


VERBS = dict(commands(typer.main.get_command(app)))


def examples(text):
    """The command lines of an epilog, without its markup."""
    joined = re.sub(r"\\\n\s*", " ", MARKUP.sub("", text or ""))
    return [shlex.split(line, comments=True) for line in joined.splitlines() if line.strip().startswith("polypatch ")]


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_example_is_accepted_by_its_verb(path):
    """Parsed as typed, without being run: unknown options, missing arguments and values of a wrong type are errors."""
    verb = VERBS[path]
    found = examples(verb.epilog)
    assert found, "a verb without an example"
    for words in found:
        assert tuple(words[1 : 1 + len(path)]) == path, words
        with verb.make_context(" ".join(words[: 1 + len(path)]), words[1 + len(path) :]) as context:
            assert context.args == []


NOT_RUN = {
    "massive:": "MASSIVE is not among the tests' own data",
    "--translate-to": "needs a translator",
    "--push-to-hub": "needs a hub",
    "polypatch data": "needs FEVER and translators",
    "polypatch reproduce": "takes hours",
    "polypatch train new:small": "needs XNLI",
    "polypatch train my-encoder": "needs an encoder and its data",
    "polypatch world build": "takes minutes",
    "my-llm": "needs a language model that knows capitals; tests/cli/test_language_model.py fixes another",
    "polypatch desk": "listens until it is stopped; tests/desk runs it",
    "polypatch serve": "likewise",
    "polypatch demo": "takes a minute; tests/test_demo.py runs it",
}
"""Part of an example -> why it is only parsed."""

IN_TURN = (
    *(
        "train-editor",
        "edit",
        "save",
        "eval",
        "check",
        "fix",
        "predict",
        "try",
        "explain",
        "ls",
        "log",
        "merge",
        "prune",
        "world",
        "train",
    ),
    "revert",
)
"""Each verb after those whose folders it reads."""

ALL = [words for verb in VERBS.values() for words in examples(verb.epilog)]
RUN = [words for words in ALL if not any(part in " ".join(words) for part in NOT_RUN)]


def material(folder):
    """The files that the examples name."""
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(folder / "my-model")
    tokenizer.save_pretrained(folder / "my-model")
    names = ("fever-17", "fever-23", "fever-4", "fever-5")
    edits = tiny_edits(4, ("en", "de", "ar"))
    write_jsonl([replace(edit, id=name) for edit, name in zip(edits, names, strict=True)], folder / "edits.jsonl")
    write_jsonl(tiny_edits(2, ("en", "de", "ar"), seed=5), folder / "more.jsonl")
    texts = tiny_texts(40)
    (folder / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    rows = "".join(json.dumps({"lang": ("en", "de")[i % 2], "text": text}) + "\n" for i, text in enumerate(texts))
    for name in ("texts.jsonl", "probe.jsonl"):
        (folder / name).write_text(rows, encoding="utf-8")


def test_nothing_is_left_out_that_could_be_run():
    assert {words[1] for words in RUN} == set(IN_TURN)
    assert len(RUN) > 30
    assert all(any(part in " ".join(words) for words in ALL) for part in NOT_RUN)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::polypatch.errors.PolypatchWarning")
def test_the_examples_do_what_they_say(polypatch, tmp_path, monkeypatch):
    """In one folder, one after another; only a gate may say no."""
    material(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("a line\n\n"))
    for words in sorted(RUN, key=lambda words: IN_TURN.index("fix" if "--add" in words else words[1])):
        if words[1] == "save" and not (tmp_path / "runs" / "folded").exists():
            shutil.copytree(tmp_path / "runs" / "first" / "edits", tmp_path / "runs" / "folded" / "edits-0")
        if words[1:3] == ["revert", "my-edits"]:  # the one before took back what this one names
            shutil.rmtree(tmp_path / "my-edits")
            shutil.copytree(tmp_path / "runs" / "folded" / "edits-0", tmp_path / "my-edits")
        ran = polypatch(*words[1:])
        assert ran.code in ((0, 1) if words[1] == "check" else (0,)), (" ".join(words), ran.out, ran.err)
        assert "Traceback" not in ran.err
