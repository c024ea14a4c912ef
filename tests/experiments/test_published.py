"""The paper's tables: what does not add up is marked, and nothing else is."""

from statistics import fmean

import pytest

from polypatch.experiments.published import TABLE_1, TABLE_2, TABLE_3

TABLES = {"Table 1": TABLE_1, "Table 2": TABLE_2, "Table 3": TABLE_3}


@pytest.mark.parametrize("name", TABLES)
def test_an_average_is_marked_exactly_where_its_cells_do_not_give_it(name):
    table = TABLES[name]
    for recipe, row in table.rows.items():
        cells = [value for metric, value in row.items() if metric.startswith("clg.")]
        # The printed cells are rounded, so is their mean: 0.005 each.
        wrong = abs(fmean(cells) - row["clg_avg"]) > 0.01 + 1e-9
        assert ((recipe, "clg_avg") in table.slips) == wrong, (recipe, fmean(cells), row["clg_avg"])


def test_what_a_slip_says_of_an_average_is_what_the_cells_give():
    for table in TABLES.values():
        for (recipe, metric), what in table.slips.items():
            assert metric in table.rows[recipe]
            if metric == "clg_avg":
                cells = [value for name, value in table.rows[recipe].items() if name.startswith("clg.")]
                assert f"average {fmean(cells):.2f}" in what


def test_the_rows_are_those_of_the_paper():
    assert {name: len(table.rows) for name, table in TABLES.items()} == {"Table 1": 5, "Table 2": 4, "Table 3": 4}
    assert TABLE_1.rows["mpn-all"] == {
        "patches": 4598,
        "reliability": 99.29,
        "mlg": 93.05,
        "clg_avg": 96.94,
        "clg.de": 98.39,
        "clg.fr": 98.45,
        "clg.es": 98.58,
        "clg.zh": 95.53,
        "clg.ar": 95.30,
        "locality.train.accuracy": 92.31,
        "locality.test.accuracy": 77.04,
    }
    # Spot cells of the widest table, where a shift by one column would show.
    assert TABLE_2.rows["original"]["clg.th"] == 34.95
    assert TABLE_2.rows["mpn-only"]["clg.sw"] == 58.04
    assert TABLE_2.rows["fine-tuning"]["locality.test.accuracy"] == 76.51
