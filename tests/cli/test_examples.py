"""The examples in every verb's help: all of them are commands that the verb accepts, with the options it has."""

import re
import shlex

import pytest
import typer

from polypatch.cli.app import app

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
