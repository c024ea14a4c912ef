import json
import os
import signal

import pytest
from filelock import FileLock

from polypatch.data import write_jsonl
from polypatch.edited_model import EditedModel
from polypatch.evaluation import load_cells, load_reports
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_edits, tiny_texts

from .conftest import FAST, PowerCut

KEYS = {"recipe", "seed", "patches", "reliability", "mlg", "clg", "clg_avg", "clg_seen", "clg_unseen"}
KEYS |= {"clg_never", "clg_rephrase", "locality", "seconds_per_edit"}
EXTRAS = {
    "confidence",
    "below_half",
    "below_half_kept",
    "cost",
    "edits",
    "triggered",
    "success_rate",
    "retries",
    "seconds_total",
    "source_errors",
    "when",
}
EXTRAS |= {"trajectory", "config", "original", "kilobytes_per_edit"}


@pytest.fixture
def edit(polypatch, checkpoint, files, tmp_path):
    def call(*more, data=f"jsonl:{files / 'edits.jsonl'}", out=tmp_path / "run"):
        without = () if "--memory" in more else ("--no-memory",)
        return polypatch("edit", checkpoint, "--data", data, "--out", out, *FAST, *without, *more)

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
    assert "* memory: en 28" in report  # of 40 texts a tenth is held out, a fifth of the rest watches
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
    files = "answers.jsonl, cells.json, report.html, report.json, report.md, edits"
    assert f"Written to {tmp_path / 'run'}: {files}\n" in ran.out
    assert f"To read in a browser: {tmp_path / 'run' / 'report.html'}\n" in ran.out


def test_data_without_memory_are_refused_unless_that_is_meant(edit, polypatch, checkpoint, files, tmp_path):
    data = ("--data", f"jsonl:{files / 'edits.jsonl'}", "--out", tmp_path / "run", "--quiet")
    message = polypatch("edit", checkpoint, *data).refused()
    assert "--memory FILE" in message
    assert "--no-memory" in message
    assert not (tmp_path / "run").exists()
    assert "give one of them" in edit("--memory", files / "memory.txt", "--no-memory").refused()
    ran = edit()
    assert "note: no memory" in ran.err
    assert "Elsewhere: what changed elsewhere is not known: there are no held-out texts." in ran.out


def test_a_run_ends_with_what_changed_elsewhere(edit, files, tmp_path):
    """On every tenth text of the memory; 36 of its 40 are what edits are trained and watched with."""
    ran = edit("--memory", files / "memory.txt", "--set", "memory_weight=0")
    (cost,) = [report.cost for report in load_reports(tmp_path / "run" / "report.json") if report.cost is not None]
    assert cost.languages["en"].rows == 4
    assert f"Elsewhere: {cost}." in ran.out
    assert "right now" in ran.out
    assert "MLG (multilingual generality)" in ran.out
    assert f"Elsewhere: {cost}." in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")


def test_edits_known_in_one_language_are_named(edit, files, tmp_path):
    assert "a prompt in one language only" not in edit().err
    said = edit("--languages", "en", "--eval-languages", "de", out=tmp_path / "other").err
    assert "6 of 6 edits have a prompt in one language only" in said
    assert "--translate-to" in said


def test_texts_that_are_cut_are_named(polypatch, checkpoint, files, tmp_path):
    (tmp_path / "long.jsonl").write_text(
        json.dumps({"id": "a", "text": "ba " * 70, "label": "class-1", "translations": {"de": "bo"}}), encoding="utf-8"
    )
    memory = ("--memory", files / "memory.txt", "--recipe", "polypatch-linear")
    ran = polypatch("edit", checkpoint, "--data", tmp_path / "long.jsonl", *memory, "--out", tmp_path / "run")
    assert "note: the text of edit 'a' in 'en' is longer than the 64 tokens" in " ".join(ran.err.split())


def test_a_memory_in_several_languages_is_used_in_all_of_them(edit, files, tmp_path):
    assert edit("--memory", files / "memory.jsonl").code == 0
    assert "* memory: en 14, de 14" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")


def test_a_file_of_parallel_text_is_what_queries_are_mapped_by(polypatch, checkpoint, files, tmp_path):
    texts = tiny_texts(90, seed=9)
    rows = [{"en": texts[i], "de": texts[i + 1], "th": texts[i + 2]} for i in range(0, 90, 3)]
    (tmp_path / "parallel.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = ("--data", f"jsonl:{files / 'edits.jsonl'}", "--memory", files / "memory.jsonl", "--quiet")
    argv = ("edit", checkpoint, *data, "--recipe", "polypatch-linear-mapped", "--out", tmp_path / "run")
    assert "by parallel text, and the data have none" in polypatch(*argv).refused()
    given = ("--parallel", tmp_path / "parallel.jsonl")
    assert "no use for parallel text" in polypatch(*argv, *given, "--recipe", "polypatch-linear").refused()
    ran = polypatch(*argv, *given, "--json")
    assert ran.code == 0, ran.err
    log = polypatch("log", tmp_path / "run", "--status", "taken", "--json").json()
    assert log
    assert all(set(one["languages"]) <= {"en", "~de", "~th"} for one in log)
    assert any("~th" in one["languages"] for one in log)


def test_folds_are_edited_apart_and_averaged(edit, tmp_path):
    ran = edit("--folds", 2, "--trajectory-every", 1)
    assert ran.code == 0
    names = {path.name for path in (tmp_path / "run").iterdir()}
    expected = {"edits-0", "edits-1", "cells-0.json", "cells-1.json", "report.json", "report.md", "trajectory.png"}
    expected |= {"journal.sqlite", ".journal.lock", "report.html", "answers-0.jsonl", "answers-1.jsonl"}
    assert names == expected
    assert "(n = 2)" in ran.out


def test_settings_reach_the_editor(edit, tmp_path):
    assert edit("--set", "learning_rate=0.5", "--set", "use_validation=false").code == 0
    told = read_artefact(tmp_path / "run" / "edits").config["settings"]["recipe"]
    assert (told["editor"]["learning_rate"], told["editor"]["max_steps"]) == (0.5, 20)
    assert told["editor"]["use_validation"] is False


def test_a_tuple_of_numbers_is_a_setting(polypatch, checkpoint, files, tmp_path):
    ran = polypatch(
        "edit",
        checkpoint,
        "--data",
        f"jsonl:{files / 'edits.jsonl'}",
        "--out",
        tmp_path / "run",
        "--no-memory",
        "--recipe",
        "polypatch-linear",
        "--set",
        "places=0.5,0.9",
    )
    assert ran.code == 0
    assert read_artefact(tmp_path / "run" / "edits").config["settings"]["recipe"]["editor"]["places"] == [0.5, 0.9]


def test_settings_by_width_are_written_down_and_failures_name_them(edit, tmp_path):
    """Said once, after five failures; the same settings are in the report, so that the run can be made again."""
    write_jsonl(tiny_edits(12, ("en", "de")), tmp_path / "more.jsonl")
    ran = edit("--set", "learning_rate=1e-9", data=f"jsonl:{tmp_path / 'more.jsonl'}")
    assert ran.err.count("edits that needed a change did not take") == 1
    (said,) = (line for line in ran.err.splitlines() if "settings for a model 32 wide" in line)
    assert said.startswith("note: 5 of the first ")
    assert "--set learning_rate=0.24 --set first_validation=30" in said
    assert "--set example_repeat" not in said  # which is as it should be
    report = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert "learning_rate=1e-09" in report
    assert "example_repeat=1, views=0" in report


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
    stream = EditedModel.stream

    def interrupted(*args, **kwargs):
        for done, outcome in enumerate(stream(*args, **kwargs), start=1):
            if done == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield outcome

    monkeypatch.setattr(EditedModel, "stream", interrupted)
    before = signal.getsignal(signal.SIGINT)
    ran = edit()
    assert ran.code == 130
    assert "2 of 6 edits are kept" in ran.err.splitlines()[-1]
    assert signal.getsignal(signal.SIGINT) is before
    assert len(read_artefact(tmp_path / "run" / "edits").outcomes) == 2
    assert not (tmp_path / "run" / "report.json").exists()
    assert "holds results (edits)" in edit().refused()


@pytest.mark.parametrize("how", [KeyboardInterrupt, PowerCut])
@pytest.mark.parametrize("more", [(), ("--folds", "2"), ("--trajectory-every", "2")], ids=" ".join)
def test_a_resumed_run_ends_as_one_that_was_never_interrupted(edit, cut, tmp_path, how, more):
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert edit(*more, out=whole).code == 0
    cut(edit, how, 2, *more)
    assert edit(*more, "--resume").code == 0
    for path in whole.glob("edits*"):
        one, other = path / "edits.safetensors", run / path.name / "edits.safetensors"
        assert one.read_bytes() == other.read_bytes()
        records = [read_artefact(folder).records for folder in (path, run / path.name)]
        timeless = [[(r.edit, r.outcome.timeless()) for r in one] for one in records]
        assert timeless[0] == timeless[1]
    one, other = (load_reports(folder / "report.json") for folder in (whole, run))
    assert [(row.reliability, row.mlg, row.clg, row.patches) for row in one] == [
        (row.reliability, row.mlg, row.clg, row.patches) for row in other
    ]
    assert [row.trajectory for row in one] == [row.trajectory for row in other]


def test_a_resumed_run_learns_nothing_again(edit, cut, monkeypatch):
    cut(edit, PowerCut, 4)
    learned = []

    stream = EditedModel.stream

    def counted(*args, **kwargs):
        for outcome in stream(*args, **kwargs):
            learned.append(outcome.edit_id)
            yield outcome

    monkeypatch.setattr(EditedModel, "stream", counted)
    assert edit("--resume").code == 0
    assert len(learned) == 2
    assert edit("--resume").code == 0
    assert len(learned) == 2


def test_a_run_is_resumed_by_its_own_command_only(edit, cut, files, tmp_path):
    memory = ("--memory", files / "memory.txt")
    cut(edit, PowerCut, 2, *memory)
    message = edit("--resume", "--limit", 3, *memory).refused()
    assert "belongs to another run: limit was null and is 3 now" in message
    assert "seed was 0 and is 7 now" in edit("--resume", "--seed", 7, *memory).refused()
    rows = (files / "edits.jsonl").read_text(encoding="utf-8").replace("class-0", "class-1")
    (tmp_path / "other.jsonl").write_text(rows, encoding="utf-8")
    assert "edits was" in edit("--resume", *memory, data=f"jsonl:{tmp_path / 'other.jsonl'}").refused()
    assert "memory" in edit("--resume", "--memory", files / "memory.jsonl").refused()
    assert edit("--resume", *memory).code == 0


def test_a_begun_run_is_neither_lost_nor_mixed_up_by_accident(edit, cut, files, tmp_path):
    memory = ("--memory", files / "memory.txt")
    cut(edit, PowerCut, 2, *memory)
    assert "--resume" in edit().refused()
    assert "give one of them" in edit("--resume", "--overwrite").refused()
    with FileLock(tmp_path / "run" / ".journal.lock"):
        assert "another process" in edit("--resume", *memory).refused()
        assert "another process" in edit("--overwrite", *memory).refused()
    assert edit("--resume", *memory).code == 0


def test_resume_in_a_new_folder_begins(edit, tmp_path):
    assert edit("--resume").code == 0
    assert (tmp_path / "run" / "report.json").is_file()


def test_an_edit_that_costs_more_than_its_budget_is_taken_back_and_reported(edit, files, tmp_path):
    argv = ("--set", "memory_weight=0", "--probe", files / "memory.txt", "--json")
    free = edit(*argv[:2], "--json", out=tmp_path / "free").json()[1]
    assert free["patches"] > 0
    assert edit("--max-locality-drop", 0, *argv).code == 0
    outcomes = read_artefact(tmp_path / "run" / "edits").outcomes
    over = [one for one in outcomes if one.status == "taken back" and one.locality_drop and one.locality_drop > 0]
    assert over
    assert all("taken back" in one.failure for one in over)
    assert all(one.locality_drop <= 0 for one in outcomes if one.status == "taken")
    report = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert all(one.edit_id in report for one in over)
    assert "did not take" in report
    assert "--max-locality-drop" in edit("--probe", files / "memory.txt", out=tmp_path / "third").refused()


def test_edits_that_contradict_each_other_are_refused_by_name(edit, tmp_path):
    one, two, three = tiny_edits(3, ("en", "de"))
    other = next(label for label in ("class-0", "class-1") if label != one.target["en"])
    contrary = type(two)("contrary", {"en": "something else", "de": one.prompt["de"]}, {"en": other})
    write_jsonl([one, two, contrary, three], tmp_path / "edits.jsonl")
    data = f"jsonl:{tmp_path / 'edits.jsonl'}"
    ran = edit(data=data)
    assert ran.code == 2
    message = ran.err.splitlines()[-1]
    assert message.startswith("error: ")
    assert one.id in message
    assert "contrary" in message
    assert not (tmp_path / "run" / "edits").exists()
    allowed = edit("--allow-contradictions", "--overwrite", data=data)
    assert allowed.code == 0, allowed.err
    assert "note: contradiction" in allowed.err
    assert len(read_artefact(tmp_path / "run" / "edits").outcomes) == 4


def test_the_cache_is_used_by_the_next_run(edit, tmp_path):
    assert edit("--cache", tmp_path / "cache").code == 0
    assert list((tmp_path / "cache").rglob("*.safetensors"))
    assert edit("--cache", tmp_path / "cache", "--overwrite").code == 0


@pytest.mark.real
def test_a_real_checkpoint_on_massive(polypatch, shared, tmp_path):
    ran = polypatch(
        *("edit", shared / "models" / "mini-mbert-massive", "--data", f"massive:{shared / 'data' / 'massive'}"),
        *("--languages", "en,de", "--eval-languages", "sw", "--limit", 12, "--out", tmp_path / "run", "--json"),
        *(
            "--size",
            "memory=300",
            "--size",
            "validation=60",
            "--size",
            "locality_test=50",
            "--size",
            "locality_train=0",
        ),
    )
    assert ran.code == 0, ran.err
    original, edited = ran.json()
    # The default: no setting is needed, and nothing else moves.
    assert (original["recipe"], edited["recipe"]) == ("original", "polypatch")
    assert edited["reliability"] == 100.0 > original["reliability"]
    assert set(edited["clg"]) == {"de", "sw"}
    assert set(edited["locality"]) == {"test", "test.de", "test.sw"}
    assert min(measured["agreement"] for measured in edited["locality"].values()) >= 98
