"""The table that a reader looks at first: its column of what stayed in the source language."""

from polypatch.evaluation import Report
from polypatch.evaluation.metrics import Locality
from polypatch.experiments.summary import summary


def row_of(**sets):
    """The row of a report with these agreements, by set, as text by column."""
    locality = {name.replace("_", "."): Locality(0, 0, agreement) for name, agreement in sets.items()}
    report = Report("rome", reliability=50.0, locality=locality, kilobytes_per_edit=3.25, seconds_per_edit=0.5)
    grid = summary([report])
    return dict(zip([column.name for column in grid.columns], grid.rows[-1], strict=True))


def test_what_stayed_in_the_source_is_the_test_set_or_the_first_there_is():
    assert row_of(train=90.0, test=80.0, test_de=70.0)["as before, en"] == "80.0"
    assert row_of(known=95.0, known_de=60.0)["as before, en"] == "95.0"
    assert row_of()["as before, en"] == "–"


def test_an_edit_s_seconds_and_kilobytes_are_there():
    shown = row_of(test=80.0)
    assert (shown["s/edit"], shown["kB/edit"]) == ("0.5", "3.2")
