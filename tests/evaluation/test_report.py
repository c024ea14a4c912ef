import json
import math
from dataclasses import replace

import pytest

from polypatch.errors import DataError
from polypatch.evaluation import Locality, Report, evaluate, load_reports, save_reports
from polypatch.outcomes import TrajectoryPoint

from .fakes import EDITS, LOCALITY, golden

KEYS = [
    *("recipe", "seed", "patches", "reliability", "mlg", "clg", "clg_avg", "clg_seen", "clg_unseen", "clg_never"),
    *("clg_rephrase", "locality", "seconds_per_edit"),
]


@pytest.fixture
def report():
    points = [TrajectoryPoint(2, 1, 50.0, {"train": 75.0}), TrajectoryPoint(4, 2)]
    return evaluate(golden(trajectory=points), EDITS, LOCALITY, config={"lr": 0.01, "note": "a"})


def test_a_row_begins_with_the_agreed_keys(report):
    row = report.to_row()
    assert list(row)[: len(KEYS)] == KEYS
    assert row["locality"]["train"] == {"accuracy": 50, "retention": pytest.approx(200 / 3), "agreement": 25}
    assert {"edits", "triggered", "success_rate", "retries", "trajectory", "config"} <= set(row)
    assert "cells" not in row


def test_a_row_round_trips_through_json(report):
    again = Report.from_row(json.loads(report.to_json()))
    assert again == report
    assert again.original == report.original
    assert again.to_row() == report.to_row()


def test_nan_never_appears_in_json():
    broken = Report(
        "r",
        reliability=math.nan,
        clg={"de": math.inf},
        locality={"t": Locality(math.nan, None, 1.0)},
        trajectory=(TrajectoryPoint(1, 1, math.nan, {"t": math.nan}),),
        config={"x": [math.nan], "path": object},
    )
    text = broken.to_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    row = json.loads(text)
    assert row["reliability"] is None
    assert row["trajectory"][0]["locality"] == {"t": None}


def test_files_round_trip(report, tmp_path):
    path = save_reports([report, replace(report, seed=1)], tmp_path / "results" / "rows.json")
    assert load_reports(path) == (report, replace(report, seed=1))
    assert [entry.name for entry in path.parent.iterdir()] == ["rows.json"]


def test_a_file_with_one_row(report, tmp_path):
    path = tmp_path / "row.json"
    path.write_text(report.to_json(), encoding="utf-8")
    assert load_reports(path) == (report,)


def test_a_failed_write_leaves_the_old_file(report, tmp_path, monkeypatch):
    path = save_reports([report], tmp_path / "rows.json")
    before = path.read_bytes()

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        save_reports([], path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.json"]


@pytest.mark.parametrize("content", ["{", "3", '"x"', "[3]", '[{"recipe": "x"}]', '{"locality": 1}'])
def test_broken_files_are_named(content, tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(content)
    with pytest.raises(DataError):
        load_reports(path)


def test_unknown_fields_are_ignored(report):
    assert Report.from_row({**report.to_row(), "from the future": 1}) == report
