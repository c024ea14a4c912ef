"""The page of a run is small: what it leaves out, what it shows first, and that it says so."""

import re
from dataclasses import replace

import pytest

from polypatch.evaluation import Locality
from polypatch.evaluation.page.document import MOST_CHARACTERS, MOST_ROWS, TableShown
from polypatch.evaluation.page.prompt_block import ROOM, spread
from polypatch.evaluation.page.run_page import MOST_FAILED, RunFacts, run_page
from polypatch.rendering.grid import labels

from .pages import LANGUAGES, Made, Taken, kinds

MEGABYTES = 2_000_000


@pytest.mark.parametrize(
    "made",
    [
        Made(1000, trajectory=200),
        Made(1000, text='"' * 500, trajectory=3),
        Made(40, tuple(f"{a}{b}" for a in "abcdefgh" for b in "abcdefghij"), text="ปลุก" * 100),
        Made(3000, ("en",), text="<"),
    ],
    ids=["six languages", "quotes", "eighty languages", "one language"],
)
def test_a_page_is_smaller_than_two_megabytes_and_says_what_it_leaves_out(made):
    page = made.bytes()
    assert len(page) < MEGABYTES
    (prompts,) = [table for table in Taken(page).tables if table[0][:2] == ["Language", "Sentence"]]
    shown = [row[0] for row in prompts if len(row) == 1]
    caption = next(line for line in page.decode().splitlines() if "before and after:" in line)
    assert re.search(rf"{len(shown):,} of {len(made.failed):,} edits", caption)
    assert "answers.jsonl" in caption
    assert len(page) > ROOM / 2, "there is room for more"


def test_what_is_right_in_the_source_alone_comes_first_then_what_failed_and_an_even_spread_of_the_rest():
    made = Made(1000, trajectory=0)
    page = made.bytes()
    (prompts,) = [table for table in Taken(page).tables if table[0][:2] == ["Language", "Sentence"]]
    shown = [int(re.match(r"edit-(\d+)", row[0])[1]) for row in prompts if len(row) == 1]
    home, failed, rest = kinds(made)
    assert len(home) > 20
    assert len(failed) > 20
    assert shown[: len(home) + len(failed)] == [*home, *failed]
    spread_out = shown[len(home) + len(failed) :]
    assert spread_out == sorted(spread_out)
    assert set(spread_out) < set(rest)
    assert len(spread_out) > 300
    tenths = [sum(i // 100 == tenth for i in spread_out) for tenth in range(10)]
    assert max(tenths) - min(tenths) <= 4  # what came first is missing among them
    said = f"first {len(home)} that are right in the source and wrong elsewhere, then {len(failed)} others that did not"
    assert said in page.decode()


def test_a_long_table_says_how_many_rows_it_leaves_out_and_where_they_are():
    locality = {f"set-{i}.{lang}": Locality(70.0, 99.0, 98.5) for i in range(200) for lang in LANGUAGES}
    report = replace(Made(1000).report, locality=locality, original=None)
    page = run_page([report], RunFacts("", {}, (), "answers.jsonl")).to_bytes()
    assert len(page) < MEGABYTES
    (table,) = [table for table in Taken(page).tables if table[0][:2] == ["Locality set", "Recipe"]]
    assert len(table) == 1 + MOST_ROWS
    assert f"… and {1200 - MOST_ROWS:,} more; report.md has all." in page.decode()
    grid = labels(("a",), [("b",)] * (MOST_ROWS + 1))
    assert "answers.jsonl has all" in TableShown("", grid, all_in="answers.jsonl").left_out
    assert TableShown("", grid, most=MOST_ROWS + 1).left_out == ""


def test_a_spread_fits_and_takes_all_where_all_fit():
    sizes = [10, 1, 1, 50, 1, 1, 1, 1, 1, 1]
    for room in range(80):
        chosen = spread(range(10), sizes, room)
        assert sum(sizes[i] for i in chosen) <= room
        assert chosen == sorted(set(chosen))
    assert spread(range(10), sizes, sum(sizes)) == list(range(10))
    assert spread([], sizes, 5) == spread([3], sizes, 49) == []


def test_long_texts_and_many_failures_are_cut():
    text = "x" * (MOST_CHARACTERS + 50)
    page = Made(7 * (MOST_FAILED + 5), ("en",), text=text).bytes().decode()
    cells = [cell for table in Taken(page.encode()).tables for row in table for cell in row]
    assert max(map(len, cells)) < MOST_CHARACTERS + 60, "and a word beside it"
    assert "… and 5 more; provenance.jsonl beside the edits has all." in page
    huge = replace(Made().report, config={"note": "y" * 3_000_000})
    page = run_page([huge], RunFacts("", {}, (), "answers.jsonl")).to_html()
    assert len(page) < MEGABYTES
    assert "… report.json has the rest" in page
