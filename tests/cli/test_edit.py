import json
import os
import signal

import pytest

from polypatch.artefact import read_artefact
from polypatch.evaluation import load_cells, load_reports
from polypatch.sequence import edit_stream

from .conftest import FAST

KEYS = {"recipe", "seed", "patches", "reliability", "mlg", "clg", "clg_avg", "clg_seen", "clg_unseen"}
KEYS |= {"clg_never", "clg_rephrase", "locality", "seconds_per_edit"}
EXTRAS = {"edits", "triggered", "success_rate", "retries", "seconds_total", "source_errors", "when"}
EXTRAS |= {"trajectory", "config", "original"}


@pytest.fixture
def edit(polypatch, checkpoint, files, tmp_path):
    def call(*more, data=f"jsonl:{files / 'edits.jsonl'}", out=tmp_path / "run"):
        return polypatch("edit", checkpoint, "--data", data, "--out", out, *FAST, *more)

    return call


def test_a_run_leaves_a_report_for_people_one_for_machines_the_cells_and_the_edits(edited):
    rows = json.loads((edited / "report.json").read_text(encoding="utf-8"))
    assert [row["recipe"] for row in rows] == ["original", "mpn-all"]
    assert set(rows[1]) == KEYS | EXTRAS
    assert set(rows[1]["clg"]) == {"de", "sw"}
    cells = load_cells(edited / "cells.json")
    assert cells.languages == ("en", "de", "sw")
    assert cells.sampled == {"en", "de"}
    artefact = read_artefact(edited / "edits")
    assert len(artefact.outcomes) == 6
    assert rows[1]["patches"] == len(artefact.owners)
    report = (edited / "report.md").read_text(encoding="utf-8")
    assert "polypatch edit" in report
    assert "| original" in report
    assert "* memory: en 32" in report  # a fifth of the 40 texts is held out
    assert "only measured: sw" in report


def test_the_evaluation_language_is_never_trained_on(edited):
    for outcome in read_artefact(edited / "edits").outcomes:
        assert "sw" not in outcome.languages
    assert load_reports(edited / "report.json")[1].clg_never is not None


def test_json_is_all_that_stdout_holds_and_is_the_file(edit, tmp_path):
    ran = edit("--json")
    assert ran.code == 0
    assert ran.json() == json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))


def test_without_json_the_table_and_the_place_are_printed(edit, tmp_path):
    ran = edit("--recipe", "t-patcher")
    assert ran.code == 0
    assert "t-patcher" in ran.out
    assert "original" in ran.out
    assert f"Written to {tmp_path / 'run'}: cells.json, report.json, report.md, edits\n" in ran.out


def test_data_without_memory_are_edited_with_a_word_of_warning(edit):
    assert "no memory" in edit().err


def test_a_memory_in_several_languages_is_used_in_all_of_them(edit, files, tmp_path):
    assert edit("--memory", files / "memory.jsonl").code == 0
    assert "* memory: en 16, de 16" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")


def test_folds_are_edited_apart_and_averaged(edit, tmp_path):
    ran = edit("--folds", 2, "--trajectory-every", 1)
    assert ran.code == 0
    names = {path.name for path in (tmp_path / "run").iterdir()}
    expected = {"edits-0", "edits-1", "cells-0.json", "cells-1.json", "report.json", "report.md", "trajectory.png"}
    expected |= {"journal.sqlite", ".journal.lock"}
    assert names == expected
    assert "(n = 2)" in ran.out


def test_settings_and_redraw_reach_the_editor(edit, tmp_path):
    assert edit("--set", "learning_rate=0.5", "--set", "use_validation=false", "--redraw", "per_edit").code == 0
    told = read_artefact(tmp_path / "run" / "edits").config["settings"]["recipe"]
    assert (told["editor"]["learning_rate"], told["editor"]["max_steps"]) == (0.5, 20)
    assert told["editor"]["use_validation"] is False
    assert told["sampler"]["redraw"] == "per_edit"


def test_limit_order_and_wrong_in_all_choose_the_edits(edit):
    assert edit("--limit", 2, "--order", 1, "--json").json()[1]["edits"] == 2
    rows = edit("--wrong-in-all", "--json", "--overwrite").json()
    assert rows[0]["reliability"] == 0
    assert rows[0]["clg"] == {"de": 0, "sw": 0}


def test_results_are_replaced_only_when_asked(edit, tmp_path):
    assert edit("--folds", 2).code == 0
    before = (tmp_path / "run" / "report.json").read_bytes()
    assert "--overwrite" in edit().refused()
    assert (tmp_path / "run" / "report.json").read_bytes() == before
    assert edit("--overwrite").code == 0
    assert not (tmp_path / "run" / "edits-0").exists()


def test_other_files_in_the_folder_stay(edit, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert edit("--overwrite").code == 0
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_ctrl_c_ends_the_edit_at_hand_and_keeps_what_was_made(edit, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        for done, outcome in enumerate(edit_stream(*args, **kwargs), start=1):
            if done == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield outcome

    monkeypatch.setattr("polypatch.runs.workbench.edit_stream", interrupted)
    before = signal.getsignal(signal.SIGINT)
    ran = edit()
    assert ran.code == 130
    assert "2 of 6 edits are kept" in ran.err.splitlines()[-1]
    assert signal.getsignal(signal.SIGINT) is before
    assert len(read_artefact(tmp_path / "run" / "edits").outcomes) == 2
    assert not (tmp_path / "run" / "report.json").exists()
    assert "holds results (edits)" in edit().refused()


def test_the_cache_is_used_by_the_next_run(edit, tmp_path):
    assert edit("--cache", tmp_path / "cache").code == 0
    assert list((tmp_path / "cache").rglob("*.safetensors"))
    assert edit("--cache", tmp_path / "cache", "--overwrite").code == 0


@pytest.mark.real
def test_a_real_checkpoint_on_massive(polypatch, shared, tmp_path):
    ran = polypatch(
        *("edit", shared / "models" / "mini-mbert-massive", "--data", f"massive:{shared / 'data' / 'massive'}"),
        *("--languages", "en,de", "--eval-languages", "sw", "--limit", 12, "--out", tmp_path / "run", "--json"),
        *("--set", "max_steps=50", "--set", "learning_rate=3e-2", "--set", "first_validation=25"),
        *("--size", "memory=300", "--size", "validation=60", "--size", "locality_test=50"),
    )
    assert ran.code == 0, ran.err
    original, mpn = ran.json()
    assert (original["recipe"], mpn["recipe"]) == ("original", "mpn-all")
    assert mpn["reliability"] > original["reliability"]
    assert set(mpn["clg"]) == {"de", "sw"}
    assert set(mpn["locality"]) == {"test", "test.de", "test.sw"}
