"""docs/day-two.md is run, block by block, each in a process of its own; what it prints is what stands there.

``POLYPATCH_WRITE=1 pytest tests/test_day_two.py`` writes the outputs into the file; look at the difference.
"""

import os
import subprocess
from pathlib import Path

import pytest
from transformers import pipeline

import polypatch as pp
from pages import blocks_of, require_shown
from polypatch.store.artefact import read_artefact
from polypatch.testing.bits import same_tensors
from voice_commands import CALLS, LANGUAGES, write_files
from warm import warm_bin

PAGE = Path(__file__).resolve().parents[1] / "docs" / "day-two.md"


ENVIRONMENT = {
    **os.environ,
    "COLUMNS": "80",
    "OMP_NUM_THREADS": "1",
    "TERM": "dumb",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


def run(how, code, folder, commands):
    environment = {**ENVIRONMENT, "PATH": f"{commands}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash" if how == "bash" else commands / "warm-python", "-c", code],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{code}\n{ran.stdout}"
    lines = (line.rstrip() for line in ran.stdout.splitlines())
    return "".join(f"{line}\n" for line in lines if "Loading weights" not in line and "Writing model" not in line)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder in which the page was gone through, its blocks, and what each printed."""
    folder = tmp_path_factory.mktemp("day-two")
    write_files(folder)
    blocks = blocks_of(PAGE)
    with warm_bin(tmp_path_factory.mktemp("bin"), ENVIRONMENT) as commands:
        outputs = [run(block["how"], block["code"], folder, commands) for block in blocks]
    return folder, blocks, outputs


@pytest.mark.slow
def test_what_is_printed_is_what_stands_there(done):
    _, blocks, outputs = done
    assert len(blocks) >= 12
    require_shown(PAGE, blocks, outputs)


def told(record):
    """A line of the history, however its labels were written down: once, or once per language."""
    edit = record.edit
    wanted = {lang: edit.target_in(lang) for lang in edit.prompt}
    return edit.id, edit.prompt, wanted, record.outcome.timeless(), bool(record.reverted)


@pytest.mark.slow
def test_python_and_the_command_line_end_with_the_same_edits(done):
    folder, _, _ = done
    verbs, python = read_artefact(folder / "my-edits"), read_artefact(folder / "our-edits")
    assert same_tensors(verbs.tensors, python.tensors)
    assert verbs.owners == python.owners
    assert [told(one) for one in verbs.records] == [told(one) for one in python.records]
    assert len(verbs.records) == 31
    assert [one.outcome.edit_id for one in verbs.records if one.reverted] == ["tue-8"]


@pytest.mark.slow
def test_the_merged_checkpoint_answers_as_it_was_taught_without_polypatch(done):
    """All sentences in all three languages but the one that was taken back; what the model knew it still knows."""
    folder, _, _ = done
    merged = pipeline("text-classification", model=str(folder / "voice-2"), device="cpu")
    for day, calls in CALLS.items():
        for i, (label, *texts) in enumerate(calls, start=1):
            answers = [answer["label"] for answer in merged(texts)]
            assert len(answers) == len(LANGUAGES)
            assert (answers == [label] * 3) is ((day, i) != ("tuesday", 8)), (day, texts, answers)
    probes = [probe.text for probe in pp.data.memory.read_probe(folder / "texts.jsonl", "en")]
    before = pipeline("text-classification", model=str(folder / "voice"), device="cpu")
    same = [one["label"] == other["label"] for one, other in zip(before(probes), merged(probes), strict=True)]
    assert all(same)
