"""The page that every run writes, and the answers beside it."""

import json

from polypatch.evaluation import load_cells, load_reports
from polypatch.evaluation.in_words import in_words, made_in_words
from polypatch.store.artefact import read_artefact


def answers(folder, name="answers.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def test_a_run_writes_a_page_with_the_words_of_the_command_line(edited):
    page = (edited / "report.html").read_text(encoding="utf-8")
    (report,) = [row for row in load_reports(edited / "report.json") if row.recipe == "mpn-all"]
    assert f"{made_in_words(read_artefact(edited / 'edits').outcomes)}." in page
    assert in_words([report]) in page  # what changed elsewhere
    for figure in (report.reliability, report.clg["de"], report.clg["sw"], report.clg_avg):
        assert f"<td>{figure:.1f}</td>" in page
    assert "polypatch edit" in page
    assert "All 6 edits, before and after" in page


def test_the_answers_are_those_of_the_cells_and_stand_on_the_page(edited):
    page, cells = (edited / "report.html").read_text(encoding="utf-8"), load_cells(edited / "cells.json")
    found = answers(edited)
    assert len(found) == (cells.before >= 0).sum() == 18
    for one in found:
        at = cells.edits.index(one["edit"]), cells.languages.index(one["lang"])
        assert (one["right_before"], one["right_after"]) == (cells.before[at] == 1, cells.after[at] == 1)
        assert (one["after"] == one["wanted"]) is one["right_after"]
        assert (one["before"] == one["wanted"]) is one["right_before"]
        assert f">{one['prompt']}</td>" in page


def test_eval_writes_the_same_answers(polypatch, edited, files, tmp_path):
    ran = polypatch("eval", edited, "--data", f"jsonl:{files / 'edits.jsonl'}", "--out", tmp_path / "again", "--quiet")
    assert ran.code == 0
    assert answers(tmp_path / "again") == answers(edited)
    assert "edits from" in (tmp_path / "again" / "report.html").read_text(encoding="utf-8")
    assert f"To read in a browser: {tmp_path / 'again' / 'report.html'}\n" in ran.out
