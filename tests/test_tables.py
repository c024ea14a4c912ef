"""The tables of the pages: those of every editor are what their figures say, to the digit."""

import json
import re

import pytest

import every_editor


@pytest.fixture
def sets():
    return json.loads(every_editor.FIGURES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", ["TABLES", "SUMMARY"])
def test_the_pages_of_every_editor_show_its_figures(sets, page):
    made = {"TABLES": every_editor.tables_page, "SUMMARY": every_editor.summary_page}[page]
    text = getattr(every_editor, page).read_text(encoding="utf-8")
    assert made(text, sets) == text
    # A figure that somebody changed by hand is put right again.
    digit = list(re.finditer(r"(?<= \+)\d(?=\.\d)", text))[-1].start()
    other = f"{text[:digit]}{9 - int(text[digit])}{text[digit + 1 :]}"
    assert other != text
    assert made(other, sets) == text


def test_every_editor_is_in_every_set(sets):
    assert set(sets) == {f"{data}/{stream}" for data in every_editor.DATA for stream in every_editor.STREAMS}
    for figures in sets.values():
        assert list(figures["rows"]) == list(every_editor.ORDER)
        assert set(figures["gains"]) == {f"{better} over {name}" for better, name in every_editor.PAIRS}
        assert all("unseen" in gain for gain in figures["gains"].values())
        assert all("reliability" in row for row in figures["rows"].values())


def test_reports_of_other_grids_are_not_joined(tmp_path):
    for name, orders in (("a", [0]), ("b", [0, 1])):
        (tmp_path / name).write_text(json.dumps({"seeds": [0], "orders": orders, "tables": []}), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"these have \[\(1, 1\), \(1, 2\)\]"):
        every_editor.collected([tmp_path / "a", tmp_path / "b"])
