"""The README is run: its Python as it stands, its command lines as far as their options."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import polypatch as pp
from pages import blocks_of, require_shown

README = Path(__file__).resolve().parents[1] / "README.md"


PYTHON = README.parent / "docs" / "python.md"
COMMANDS = README.parent / "docs" / "commands.md"


def blocks(language, page=README):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_first_lines_of_python_print_what_stands_below_them(capsys):
    (code,), (printed,) = blocks("python"), blocks("text")
    exec(compile(code, str(README), "exec"), {})
    assert capsys.readouterr().out == printed


@pytest.mark.slow
def test_the_python_runs_and_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    code, _ = blocks("python", PYTHON)
    exec(compile(code, str(PYTHON), "exec"), names)
    edited, edits, report = names["edited"], names["edits"], names["report"]
    assert report.reliability >= 95
    assert report.clg_avg > report.original.clg_avg
    assert names["table"].startswith("| Recipe")
    saved = sum(file.stat().st_size for file in (tmp_path / "my-edits").iterdir())
    assert saved < 5_000_000
    assert len(edited.records) == len(edits)
    assert edits[0].id not in edited.outcomes
    assert names["why"].answer.label == names["answer"]
    edited.unload()


@pytest.mark.slow
def test_the_lines_on_language_models_print_what_stands_below_them(capsys):
    with torch.random.fork_rng():
        block = blocks_of(PYTHON)[-1]
        names = {"pp": pp}
        exec(compile(block["code"], str(PYTHON), "exec"), names)
        require_shown(PYTHON, [block], [capsys.readouterr().out])
        names["edited"].unload()


def test_the_verbs_and_options_exist():
    from polypatch.cli.app import app

    for block in (*blocks("bash"), *blocks("bash", COMMANDS)):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["polypatch"]:
                continue
            verb = words[1 : 3 if words[1] in ("world", "data") else 2]
            shown = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
            assert shown.exit_code == 0, line
            for option in (word for word in words if word.startswith("--")):
                assert option in shown.output, f"{option} of: {line}"


def test_the_make_targets_exist():
    targets = (README.parent / "Makefile").read_text(encoding="utf-8")
    named = {
        words[1] for block in blocks("bash") for words in map(str.split, block.splitlines()) if words[:1] == ["make"]
    }
    assert named == {"demo", "test"}
    for target in named:
        assert re.search(rf"^{target}:", targets, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "page",
    [README, README.parent / "CONTRIBUTING.md", *sorted((README.parent / "docs").rglob("*.md"))],
    ids=lambda page: page.relative_to(README.parent).as_posix(),
)
def test_every_link_and_every_picture_is_a_file(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!http)([^)#]+)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for target in targets:
        assert (page.parent / target).exists(), target
