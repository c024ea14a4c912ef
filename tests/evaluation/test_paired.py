from dataclasses import replace

import numpy as np
import pytest

from polypatch.errors import DataError, InputError
from polypatch.evaluation import evaluate, load_cells, save_cells
from polypatch.evaluation.paired import gain

from .fakes import ANSWERS, EDITS, OUTCOMES, golden, outcome

# B: e1 de wrong, e1 fr right, e2 de wrong, e3 de wrong, zh as before; it was trained on other languages
B_ANSWERS = {
    **ANSWERS,
    "e1 de": ("no", "no"),
    "e1 fr": ("yes", "yes"),
    "e2 de": ("no", "no"),
    "e3 de": ("no", "yes"),
    "e2 zh": ("no", "no"),
}
B_OUTCOMES = {**OUTCOMES, "e1": outcome("e1", "en"), "e3": outcome("e3", "en", "de")}


@pytest.fixture
def a():
    return evaluate(golden(), EDITS)


@pytest.fixture
def b():
    edited = replace(golden(), answers=B_ANSWERS, outcomes=B_OUTCOMES, recipe_name="t-patcher")
    return evaluate(edited, EDITS)


def test_golden_gain_split_by_what_a_was_trained_on(a, b):
    splits = gain(a, b).splits
    assert {name: (split.cells, split.won, split.lost) for name, split in splits.items()} == {
        "all": (8, 4, 1),
        "seen": (1, 1, 0),  # e1 de
        "unseen": (2, 1, 1),  # e1 fr lost, e2 de won
        "never": (3, 1, 0),  # zh: e2 won
        "untriggered": (2, 1, 0),  # e3 de won, e3 fr equal
    }
    assert splits["all"].gain == 37.5
    assert splits["unseen"].gain == 0
    assert (splits["seen"].before, splits["seen"].a, splits["seen"].b) == (0, 100, 0)


def test_the_parts_make_the_whole(a, b):
    whole, *parts = gain(a, b).splits.values()
    for name in ("cells", "won", "lost"):
        assert sum(getattr(part, name) for part in parts) == getattr(whole, name)


def test_gain_is_the_difference_of_the_two_clgs(a, b):
    for split in gain(a, b).splits.values():
        assert split.gain == pytest.approx(split.a - split.b)


def test_a_recipe_gains_nothing_on_itself(a):
    assert all(split.gain == 0 for split in gain(a, a).splits.values())


def test_only_shared_cells_count(a, b):
    fewer = evaluate(replace(golden(), answers=B_ANSWERS), EDITS[::-1][:3], languages=["zh", "de"])
    assert gain(a, fewer).splits["all"].cells == 4  # e2 de, e2 zh, e3 de, e4 zh
    assert gain(fewer, a).splits["all"].won == 0


def test_a_split_without_cells_is_undefined(a):
    report = replace(a, cells=replace(a.cells, triggered=np.zeros_like(a.cells.triggered)))
    split = gain(report, report).splits["seen"]
    assert (split.cells, split.gain, split.a) == (0, None, None)
    assert "seen" not in gain(report, report).to_markdown().replace("unseen", "")


def test_tables(a, b):
    lines = gain(a, b).to_markdown().splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        *("CLG cells", "n", "original", "t-patcher", "mpn-all", "gain", "95 %", "won", "lost"),
    ]
    assert len({line.count("|") for line in lines}) == 1
    assert "+37.5" in lines[2]
    assert len(gain(a, b).to_console().grid.rows) == 5


def test_two_unedited_models_cannot_be_compared(a, b):
    other = replace(b, cells=replace(b.cells, before=1 - b.cells.before))
    with pytest.raises(InputError, match="different unedited models"):
        gain(a, other)


def test_nothing_in_common(a):
    other = replace(a, cells=replace(a.cells, edits=("w", "x", "y", "z")))
    with pytest.raises(InputError, match=r"no .* cell in common"):
        gain(a, other)


def test_a_report_without_cells_says_what_to_do(a):
    with pytest.raises(InputError, match="evaluate again"):
        gain(a, replace(a, cells=None))


def test_cells_round_trip(a, b, tmp_path):
    cells = load_cells(save_cells(a.cells, tmp_path / "cells.json"))
    assert gain(replace(a, cells=cells), b) == gain(a, b)
    assert (cells.edits, cells.languages, cells.sampled) == (a.cells.edits, a.cells.languages, a.cells.sampled)
    for name in ("before", "after", "source", "trained", "triggered"):
        assert np.array_equal(getattr(cells, name), getattr(a.cells, name))


@pytest.mark.parametrize(
    ("old", "new"), [('"before"', '"befor"'), ('"10', '"1x'), ('"triggered": "1', '"triggered": "'), ("{", "")]
)
def test_broken_cells_are_named(a, tmp_path, old, new):
    path = save_cells(a.cells, tmp_path / "cells.json")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=r"cells\.json"):
        load_cells(path)


def test_orders_of_one_stream_are_no_further_edits(a, b):
    # Three times the same edits say no more than once; three times as many would.
    alone = gain(a, b).splits["all"]
    orders = gain([a] * 3, [b] * 3, ["stream"] * 3).splits["all"]
    apart = gain([a] * 3, [b] * 3).splits["all"]
    assert (orders.cells, orders.won, orders.gain) == (3 * alone.cells, 3 * alone.won, alone.gain)
    assert orders.interval == alone.interval
    assert apart.interval[1] - apart.interval[0] < alone.interval[1] - alone.interval[0]


def test_two_streams_whose_edits_have_the_same_ids_are_two(a, b):
    assert (
        gain([a] * 2, [b] * 2, ["one", "other"]).splits["all"].interval == gain([a] * 2, [b] * 2).splits["all"].interval
    )
    with pytest.raises(InputError, match="2 reports against 2, of 1 streams"):
        gain([a] * 2, [b] * 2, ["one"])
