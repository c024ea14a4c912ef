import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from polypatch.evaluation import (
    Locality,
    Report,
    aggregate,
    console_table,
    evaluate,
    latex_table,
    locality_table,
    markdown_table,
)
from polypatch.evaluation.aggregate import values, with_original
from polypatch.evaluation.tables import agreement_grid, compared_grid, results_grid

from .fakes import EDITS, LOCALITY, golden


@pytest.fixture
def report():
    return evaluate(golden(), EDITS, LOCALITY)


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def parse(markdown):
    header, rule, *rows = [cells(line) for line in markdown.strip().splitlines()]
    assert all(re.fullmatch(r"-+:?", mark) for mark in rule)
    assert {len(row) for row in rows} == {len(header)} == {len(rule)}
    return header, rows


def latex_width(line):
    line = line.removesuffix(r" \\")
    spans = [int(span) for span in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    return len(re.split(r"(?<!\\)&", line)) + sum(span - 1 for span in spans)


def printed(table, width):
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def test_table_1_in_markdown(report):
    header, rows = parse(markdown_table([report]))
    assert header == [
        *("Recipe", "Patches", "Reliability", "MLG", "CLG de", "CLG fr", "CLG zh", "CLG Avg", "CLG seen"),
        *("CLG unseen", "CLG never", "CLG rephrase", "Confidence", "Locality train", "s/edit"),
    ]
    assert " ".join(rows[0]) == "original 0 25.0 0.0 33.3 50.0 33.3 38.9 0.0 50.0 33.3 0.0 – 75.0 –"
    assert " ".join(rows[1]) == "mpn-all 2 75.0 75.0 100.0 50.0 66.7 72.2 100.0 50.0 66.7 75.0 100.0 50.0 3.00"


def test_columns_without_a_value_are_dropped(report):
    header, _ = parse(markdown_table([replace(report, mlg=None)], original=False))
    assert "MLG" not in header


def test_the_original_stands_once_and_first(report):
    other = replace(report, recipe="t-patcher")
    _, rows = parse(markdown_table([report, other]))
    assert [row[0] for row in rows] == ["original", "mpn-all", "t-patcher"]
    assert with_original([report.original, report]) == [report.original, report]


def test_what_recipes_disagree_on_is_not_the_originals(report):
    other = replace(report, recipe="t-patcher", original=replace(report.original, clg_unseen=1.0))
    first = with_original([report, other])[0]
    assert first.clg_unseen is None
    assert first.reliability == report.original.reliability


def test_decimals(report):
    _, rows = parse(markdown_table([report], decimals=2))
    assert rows[1][6] == "66.67"


def test_the_whole_report_in_markdown_has_the_three_localities(report):
    table_1, localities = report.to_markdown().split("\n\n")
    parse(table_1)
    header, rows = parse(localities)
    assert header == ["Locality set", "Recipe", "Accuracy", "Retention", "Agreement"]
    assert rows == [
        ["train", "original", "75.0", "100.0", "100.0"],
        ["train", "mpn-all", "50.0", "66.7", "25.0"],
        ["test.de", "original", "50.0", "100.0", "100.0"],
        ["test.de", "mpn-all", "100.0", "200.0", "50.0"],
    ]


def test_latex_has_as_many_columns_in_each_row(report):
    lines = latex_table([report]).splitlines()
    columns = len(re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[0])[1])
    assert {latex_width(line) for line in lines if line.endswith(r"\\")} == {columns}
    assert report.to_latex().count(r"\begin{tabular}") == 2


def test_latex_specials_are_escaped():
    text = latex_table([Report(r"50%_of $x$ & #1 {a}~b^c\d", reliability=1.0)])
    assert r"50\%\_of \$x\$ \& \#1 \{a\}\textasciitilde{}b\textasciicircum{}c\textbackslash{}d & 0 & 1.0 \\" in text


def test_markdown_pipes_are_escaped():
    _, rows = parse(markdown_table([Report("a|b\nc", reliability=1.0)]))
    assert rows[0][0] == r"a\|b c"


def test_markup_in_a_recipe_name_is_text():
    assert "mpn[k=2]" in printed(console_table([Report("mpn[k=2]", reliability=1.0)]), 80)


@pytest.mark.parametrize("width", [40, 60, 100, 160])
def test_no_number_is_cut_off_on_a_narrow_console(report, width):
    runs = [replace(report, seed=seed, reliability=97.0 + seed) for seed in range(3)]
    text = printed(console_table(runs), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "98.0 ± 1.0" in text


def test_a_narrow_console_turns_the_table_on_its_side(report):
    lines = printed(console_table([report]), 60).splitlines()
    assert any(line.split() == ["CLG", "Avg", "38.9", "72.2"] for line in lines)
    wide = printed(console_table([report]), 160).splitlines()
    assert any(line.split()[:2] == ["Recipe", "Patches"] for line in wide)


def test_localities_on_the_console(report):
    assert "test.de" in printed(locality_table([report]), 100)


def test_mean_and_sample_deviation(report):
    runs = [replace(report, seed=i, clg_avg=value) for i, value in enumerate([98.0, 99.0, 100.0])]
    (row,) = aggregate(runs)
    assert (row.n, row.title) == (3, "mpn-all (n = 3)")
    assert (row.stats["clg_avg"].mean, row.stats["clg_avg"].sd) == (99.0, 1.0)
    _, rows = parse(markdown_table(runs, original=False))
    assert "99.0 ± 1.0" in rows[0]


def test_a_metric_that_some_runs_lack_shows_its_own_n(report):
    runs = [report, replace(report, mlg=None), replace(report, mlg=77.0)]
    _, rows = parse(markdown_table(runs, original=False))
    assert "76.0 ± 1.4 (n = 2)" in rows[0]


def test_moments_are_not_mixed(report):
    now = evaluate(golden(), EDITS, when="immediate")
    assert [row.recipe for row in aggregate([report, now])] == ["mpn-all", "mpn-all (immediate)"]


def test_folds_keep_their_own_originals(report):
    fold = replace(report, original=replace(report.original, reliability=30.0))
    rows = aggregate(with_original([report, fold]))
    assert [(row.recipe, row.n) for row in rows] == [("original", 2), ("mpn-all", 2)]


@pytest.mark.parametrize(("limit", "originals"), [(1, 2), (None, 1)])
def test_parts_of_a_stream_that_look_alike_are_each_their_own_edits(report, limit, originals):
    """Of an edit alone the unedited model has all right or nothing; the mean is over all runs all the same."""
    runs = [replace(report, config={"run": {"limit": limit, "order": order}}) for order in (0, 1, 1)]
    assert [(row.recipe, row.n) for row in aggregate(with_original(runs))] == [("original", originals), ("mpn-all", 3)]


percent = st.none() | st.floats(0, 100)


@given(percent, percent, st.dictionaries(st.sampled_from(["de", "fr"]), percent), percent)
def test_the_aggregate_of_one_report_is_itself(reliability, mlg, clg, accuracy):
    report = Report("r", 0, 3, reliability, mlg, clg, locality={"train": Locality(accuracy, None, accuracy)})
    (row,) = aggregate([report])
    assert {name: stat.mean for name, stat in row.stats.items()} == {
        name: value for name, value in values(report).items() if value is not None
    }
    assert all(stat.sd is None for stat in row.stats.values())
    assert row.title == "r"


def test_no_reports():
    assert markdown_table([]) == "| Recipe |\n| ------ |\n"
    assert aggregate([]) == ()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.00"), (0.00421, "0.0042"), (0.42, "0.42"), (3.14159, "3.14"), (12.34, "12.3"), (123.4, "123")],
)
def test_seconds_keep_their_digits(seconds, shown):
    _, rows = parse(markdown_table([Report("r", seconds_per_edit=seconds)]))
    assert rows[0][-1] == shown


def test_the_papers_rows_stand_above_ours_as_printed(report):
    anew = replace(report, recipe="mpn-all, memory in 6")
    other = replace(report, recipe="fine-tuning")
    published = {
        "original": {"patches": 0, "reliability": 88.07, "clg.de": 85.3},
        "mpn-all": {"patches": 4598, "reliability": 99.29, "clg.ar": 95.3},
    }
    grid = compared_grid([report, anew, other], published, {("mpn-all", "reliability")})
    titles = [row[0] for row in grid.rows]
    assert titles == [
        *("original, the paper's", "original", "mpn-all, the paper's", "mpn-all", "mpn-all, memory in 6"),
        "fine-tuning",
    ]
    header = [column.title for column in grid.columns]
    assert "CLG ar" not in header  # of languages that we do not have, there is nothing to compare
    printed = dict(zip(header, grid.rows[2], strict=True))
    assert (printed["Patches"], printed["Reliability"], printed["MLG"]) == ("4598", "99.29†", "–")
    assert dict(zip(header, grid.rows[0], strict=True))["CLG de"] == "85.30"
    assert grid.breaks == {1, 4, 5}
    assert grid.rows[3][1:] == results_grid([report]).rows[1][1:]


def test_agreement_by_set_and_language(report):
    moved = replace(
        report, locality={"test": Locality(50, 60, 70), "test.de": Locality(1, 2, 3), "far": Locality(4, 5, 6)}
    )
    grid = agreement_grid([moved])
    assert [column.name for column in grid.columns] == ["Answers as before, %", "source", "de"]
    assert grid.rows == (("test, mpn-all", "70.0", "3.0"), ("far, mpn-all", "6.0", "–"))
