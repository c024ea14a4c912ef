"""Tables on a terminal: at any width every number and every label is there, whole."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from polypatch.rendering.grid import Column, Grid

WORDS = st.text("abcdefghij-λ語", min_size=1, max_size=16)
LABELS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
NUMBERS = st.one_of(
    st.floats(-1e4, 1e4).map("{:.1f}".format),
    st.tuples(st.floats(0, 100), st.floats(0, 20)).map(lambda pair: "{:.1f} ± {:.1f}".format(*pair)),
    st.sampled_from(["–", "100.0", "+4.3 [+3.7, +4.9]", "100.0†"]),
)


@st.composite
def grids(draw):
    stubs, others, rows = draw(st.integers(1, 3)), draw(st.integers(0, 10)), draw(st.integers(0, 5))
    groups = st.sampled_from(["", "CLG", "Locality"])
    columns = [Column("" if i < stubs else draw(groups), draw(LABELS)) for i in range(stubs + others)]
    body = [tuple(draw(LABELS if i < stubs else NUMBERS) for i in range(stubs + others)) for _ in range(rows)]
    return Grid(tuple(columns), tuple(body), stubs=stubs, breaks=frozenset(range(0, rows, 3)))


def printed(grid, width):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(grid.to_console())
    return [line.rstrip() for line in capture.get().splitlines()]


@given(grids(), st.integers(60, 140))
def test_every_number_and_every_word_of_a_label_is_printed_whole(grid, width):
    """As often as it stands in the grid, and never over two lines; no line is longer than the terminal is wide."""
    lines = printed(grid, width)
    assert all(Console(width=width).measure(line).maximum <= width for line in lines)
    found = Counter(re.split(r" {2,}|\n", "\n".join(lines)))
    numbers = Counter(cell for row in grid.rows for cell in row[grid.stubs :])
    assert not numbers - found
    words = Counter("\n".join(lines).split())
    labels = [str(cell) for row in grid.rows for cell in row[: grid.stubs]]
    labels += [part for column in grid.columns for part in (column.name,) if grid.rows]
    assert not Counter(word for label in labels for word in label.split()) - words
    assert "…" not in words


TABLE_1 = Grid(
    (
        *(Column("", name) for name in ("Recipe", "Patches", "Reliability", "MLG")),
        *(Column("CLG", name) for name in ("de", "fr", "es", "zh", "ar", "Avg", "seen", "unseen", "rephrase")),
        *(Column("Locality", name) for name in ("train", "test")),
        Column("", "s/edit"),
    ),
    tuple((name, *["100.0"] * 15) for name in ("original", "fine-tuning", "t-patcher", "mpn-all-once", "polypatch")),
)


@pytest.mark.parametrize(("width", "first"), [(80, ["Recipe", "original"]), (160, ["CLG", "Locality"])])
def test_a_narrow_terminal_turns_the_table_on_its_side(width, first):
    assert printed(TABLE_1, width)[0].split()[:2] == first


def test_a_table_too_wide_either_way_becomes_several_with_the_labels_in_each():
    rows = [("train", f"mpn-{n}", *["100.0 ± 10.5"] * 14) for n in range(9)]
    lines = printed(Grid(TABLE_1.columns, tuple(rows), stubs=2), 80)  # two columns of labels: it has no other side
    assert sum(line.split()[:2] == ["train", "mpn-8"] for line in lines) == 4
