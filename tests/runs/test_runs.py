"""Runs: rows as data, one workbench, the same numbers in one process and in several, and nothing done twice."""

from dataclasses import replace

import pytest

from polypatch.data import write_jsonl
from polypatch.errors import InputError, UnknownLabelError, UnknownRecipeError
from polypatch.runs import BenchSpec, Run, Workbench, execute
from polypatch.runs import pool as pool_module
from polypatch.testing import tiny_edits, tiny_model

FAST = {"views": 2, "max_steps": 20, "first_validation": 4, "validate_every": 2}
RUNS = [
    Run(recipe="t-patcher", settings=FAST),
    Run(recipe="mpn-all", settings=FAST, redraw="per_edit", order=1, seed=3, trajectory_every=4),
    Run(recipe="fine-tuning", settings={"learning_rate": 1e-2, "max_steps": 20}, folds=2),
]


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    write_jsonl(tiny_edits(12), folder / "edits.jsonl")
    return BenchSpec(model=str(folder / "model"), data=f"jsonl:{folder / 'edits.jsonl'}")


def timeless(report):
    row = report.to_row()
    for name in ("seconds_per_edit", "seconds_total"):
        row.pop(name)
    if row["original"]:
        row["original"] = {key: value for key, value in row["original"].items() if not key.startswith("seconds")}
    return row


@pytest.fixture(scope="module")
def in_process(spec):
    return execute(RUNS, spec)


def test_a_run_with_folds_gives_a_report_per_fold_and_every_edit_is_in_one(in_process):
    assert [report.recipe for report in in_process] == ["t-patcher", "mpn-all", "fine-tuning", "fine-tuning"]
    assert sum(report.edits for report in in_process[2:]) == 12


def test_two_processes_give_the_numbers_of_one(spec, in_process):
    assert [timeless(r) for r in execute(RUNS, spec, jobs=2)] == [timeless(r) for r in in_process]


def test_a_finished_row_is_not_done_again_and_comes_back_with_its_cells(spec, in_process, tmp_path, monkeypatch):
    execute(RUNS[:2], spec, out=tmp_path)
    done = []
    original = Workbench.run

    def counted(self, run, on_outcome=None):
        done.append(run.recipe)
        return original(self, run, on_outcome)

    monkeypatch.setattr(Workbench, "run", counted)
    again = execute(RUNS, spec, out=tmp_path)
    assert done == ["fine-tuning"]
    assert [timeless(r) for r in again] == [timeless(r) for r in in_process]
    assert (again[1].cells.after == in_process[1].cells.after).all()


def test_an_interruption_keeps_the_rows_that_were_finished(spec, tmp_path, monkeypatch):
    original = Workbench.run

    def interrupted(self, run, on_outcome=None):
        if run.recipe == "mpn-all":
            raise KeyboardInterrupt
        return original(self, run, on_outcome)

    monkeypatch.setattr(Workbench, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(RUNS, spec, out=tmp_path)
    assert pool_module._stored(tmp_path, spec, RUNS[0]) is not None
    assert pool_module._stored(tmp_path, spec, RUNS[1]) is None


def test_other_data_or_another_setting_is_another_row(spec, tmp_path):
    paths = {
        pool_module._row_path(tmp_path, which, run)
        for which in (spec, replace(spec, seed=1))
        for run in (RUNS[0], replace(RUNS[0], settings={**FAST, "views": 0}), replace(RUNS[0], seed=1))
    }
    assert len(paths) == 6
    assert pool_module._row_path(tmp_path, replace(spec, cache_dir="x"), RUNS[0]) in paths


def test_a_second_workbench_on_the_same_cache_encodes_nothing(spec, tmp_path):
    cached = replace(spec, cache_dir=str(tmp_path))
    assert cached.open().encode() > 0
    assert cached.open().encode() == 0


def test_wrong_in_all_keeps_exactly_the_edits_the_model_gets_wrong_everywhere(spec):
    bench = spec.open()
    chosen = {edit.id for edit in bench.stream(Run(recipe="t-patcher", wrong_in_all=True))}
    edited = bench.attach(RUNS[0])
    try:
        for edit in bench.data.edits:
            wrong = [edited.predict(edit.prompt[lang]) != edit.target_in(lang) for lang in edit.languages]
            assert (edit.id in chosen) == all(wrong)
    finally:
        edited.unload()


@pytest.mark.parametrize(
    ("run", "error", "said"),
    [
        (Run(recipe="rome"), UnknownRecipeError, "rome"),
        (Run(recipe="t-patcher", settings={"learning_rat": 1}), InputError, "learning_rat"),
        (Run(recipe="mpn-all", redraw="sometimes"), InputError, "sometimes"),
    ],
)
def test_a_wrong_run_is_refused_before_anything_is_loaded(run, error, said, monkeypatch):
    monkeypatch.setattr(BenchSpec, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(error, match=said):
        execute([run], BenchSpec())


def test_the_world_needs_its_own_data():
    with pytest.raises(InputError, match="world"):
        BenchSpec(data="jsonl:x").open()


def test_a_label_the_model_does_not_have_is_named(tmp_path, spec):
    write_jsonl(tiny_edits(3, classes=9), tmp_path / "edits.jsonl")
    with pytest.raises(UnknownLabelError, match="class-"):
        replace(spec, data=f"jsonl:{tmp_path / 'edits.jsonl'}").open()
