"""The README is run: its Python as it stands, its command lines as far as their options."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_python_runs_and_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    (code,) = blocks("python")
    exec(compile(code, str(README), "exec"), names)
    edited, edits, report = names["edited"], names["edits"], names["report"]
    assert report.reliability >= 95
    assert report.clg_avg > report.original.clg_avg
    assert names["table"].startswith("| Recipe")
    saved = sum(file.stat().st_size for file in (tmp_path / "my-edits").iterdir())
    assert saved < 500_000
    assert len(edited.records) == len(edits)
    assert edits[0].id not in edited.outcomes
    assert names["why"].answer.label == names["answer"]
    edited.unload()


def test_the_verbs_and_options_exist():
    from polypatch.cli.app import app

    for block in blocks("bash"):
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


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\((?!http)([^)#]+)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
