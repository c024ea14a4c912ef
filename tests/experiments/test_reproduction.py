"""What an experiment found: patterns worked out by hand, and intervals that know which edits are the same."""

from dataclasses import replace

import numpy as np
import pytest

from polypatch.evaluation import Report
from polypatch.evaluation.cells import Cells
from polypatch.experiments import EXPERIMENTS, Materials
from polypatch.experiments.reproduction import Reproduction
from polypatch.experiments.results import matrix_grids


def made(name, **numbers):
    """Reports for every job of a small experiment, the numbers by the row's name."""
    experiment = EXPERIMENTS[name]("small", Materials("model", "massive:data"))
    reports = {
        job.key: [Report(recipe=job.run.name, seed=job.run.seed, **numbers.get(job.run.name, numbers["others"]))]
        for job in experiment.jobs()
    }
    return Reproduction(experiment, reports)


OTHERS = {"patches": 10, "clg": {"de": 50.0, "ar": 40.0}, "clg_avg": 45.0}


def test_the_pattern_is_the_share_of_errors_mended():
    better = {"patches": 25, "clg": {"de": 75.0, "ar": 40.0}, "clg_avg": 57.5}
    found = made("table1", others=OTHERS, **{"mpn-only": better})
    (table,) = found.experiment.tables
    grid = found.pattern(table)
    rows = {row[0]: row[1:] for row in grid.rows}
    assert [column.name for column in grid.columns] == [
        *("Recipe", "Patches ÷ t-patcher's", "CLG errors mended, %", "de", "ar"),
    ]
    # (57.5 - 45) ÷ (100 - 45), (75 - 50) ÷ 50, nothing.
    assert rows["mpn-only"] == ("2.50", "23", "50", "0")
    assert rows["mpn-all"] == ("1.00", "0", "0", "0")
    # The paper's: 2519 ÷ 1207; (92.92 - 87.86) ÷ 12.14; (94.97 - 90.42) ÷ 9.58; (82.85 - 82.11) ÷ 17.89.
    assert rows["mpn-only, the paper's"] == ("2.09", "42", "47", "4")


def test_a_table_holds_every_seed_and_order_of_its_rows():
    found = made("massive", others=OTHERS)
    for table in found.experiment.tables:
        assert len(found.rows(table)) == 9 * len(table.rows)
    grids = [found.compared(table) for table in found.experiment.tables]
    assert [len(grid.rows) for grid in grids] == [6, 4, 4, 4]
    assert all(row[0].endswith("(n = 9)") for grid in grids for row in grid.rows)


def test_a_report_that_is_missing_is_not_passed_over():
    found = made("table3", others=OTHERS)
    (key, *_) = found.reports
    broken = replace(found, reports={name: rows for name, rows in found.reports.items() if name != key})
    with pytest.raises(KeyError):
        broken.compared(broken.experiment.tables[0])


def test_rows_that_are_corrected_in_several_languages_have_a_matrix_and_no_others():
    experiment = EXPERIMENTS["lm"]("small", Materials("model", "mzsre:data"))
    source = {"one": np.array([[True, False]] * 2), "two": np.array([[True, False], [False, True]])}
    reports = {
        job.key: [Report(recipe=job.run.name, cells=cells(source["two" if job.run.sources else "one"]))]
        for job in experiment.jobs()
    }
    found = Reproduction(experiment, reports)
    facts, apart = experiment.tables
    assert found.matrices(facts) == {}
    assert list(found.matrices(apart)) == [row.name for row in apart.rows]
    (heading, before), (_, after), _ = matrix_grids(found.matrices(apart))
    assert "unedited" in heading
    assert before.rows == (("en", "0.0", "0.0"), ("de", "0.0", "0.0"))
    assert after.rows == (("en", "100.0", "0.0"), ("de", "0.0", "100.0"))
    assert found.plain()["tables"][1]["matrices"][apart.rows[0].name]["de"]["de"] == [1, 0.0, 100.0]


def cells(source):
    """Two edits, each right in its source alone once it is made."""
    before = np.zeros((2, 2), dtype=np.int8)
    return Cells(
        ("a", "b"), ("en", "de"), frozenset(), before, source.astype(np.int8), source, source, np.ones(2, bool)
    )
