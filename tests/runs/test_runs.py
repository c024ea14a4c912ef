"""Runs: rows as data, one workbench, the same numbers in one process and in several, and nothing done twice."""

import json
from dataclasses import replace

import pytest
import torch

from polypatch.data import EditingData, write_jsonl
from polypatch.errors import ArtefactError, InputError, UnknownLabelError, UnknownRecipeError
from polypatch.model import stream
from polypatch.plain_recipes import recipe_to_plain
from polypatch.recipes import RECIPES
from polypatch.runs import BenchSpec, Encoded, Finished, Job, Processes, Run, Workbench
from polypatch.runs import execute as execute_jobs
from polypatch.runs.store import Store, as_now
from polypatch.store.identity import Identity
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

FAST = {"views": 2, "max_steps": 20, "first_validation": 4, "validate_every": 2}
RUNS = [
    Run(recipe="t-patcher", settings=FAST),
    Run(recipe="mpn-all-once", settings=FAST, order=1, seed=3, trajectory_every=4),
    Run(recipe="fine-tuning", settings={"learning_rate": 1e-2, "max_steps": 20}, folds=2),
]


def execute(runs, spec, jobs=1, out=None, on_event=None):
    """All runs on one workbench, the reports of all folds in one list."""
    found = execute_jobs([Job(spec, run) for run in runs], on=Processes(jobs), out=out, on_event=on_event)
    return [report for reports in found for report in reports]


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
    assert [report.recipe for report in in_process] == ["t-patcher", "mpn-all-once", "fine-tuning", "fine-tuning"]
    assert sum(report.edits for report in in_process[2:]) == 12


@pytest.mark.parametrize("name", ["rome", "alphaedit", "ultraedit", "t-patcher", "polypatch-linear"])
def test_runs_share_a_memory_and_what_was_worked_out_of_it_but_not_each_others_edits(name, monkeypatch):
    """A memory is made once, and a later run has the figures, and the memory, that it has on its own."""
    made, own = [], stream._memory
    monkeypatch.setattr(stream, "_memory", lambda tail, kept: made.append(kept) or own(tail, kept))
    texts = {"en": tiny_texts(24, seed=3)}
    data = EditingData("tiny", tiny_edits(8), memory=texts, validation={"en": tiny_texts(6, seed=4)})
    settings = FAST if name == "t-patcher" else {}
    runs = [Run(recipe=name, settings=settings, order=order, limit=5) for order in (1, 2, 1)]
    shared = Workbench(*tiny_model("bert"), data)
    together = [timeless(*shared.run(run)) for run in runs]
    assert len(made) == 1
    assert together == [timeless(*Workbench(*tiny_model("bert"), data).run(run)) for run in runs]
    edited = shared.attach(runs[0])
    list(edited.stream(data.edits[:4]))
    edited.unload()
    after, alone = (bench.attach(runs[1]).memory.train for bench in (shared, Workbench(*tiny_model("bert"), data)))
    assert after.used == alone.used == after.base
    if edited.patches and edited.recipe.editor.memory_copies:
        assert edited.memory.train.used > after.used
    assert torch.equal(after.rows, alone.rows)
    assert all(torch.equal(*pair) for pair in zip(after.moments.of(after), alone.moments.of(alone), strict=True))


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


def test_a_row_made_with_another_default_is_done_again(spec, tmp_path):
    job = Job(spec, RUNS[1])
    execute(RUNS[1:2], spec, out=tmp_path)
    assert Store(tmp_path).load(job) is not None
    path = tmp_path / "rows" / f"{job.key}.json"
    plain = json.loads(path.read_text())
    assert plain[0]["config"]["recipe"]["editor"]["activation_weight"] == 1.0
    plain[0]["config"]["recipe"]["editor"]["activation_weight"] = 2.0
    path.write_text(json.dumps(plain))
    assert Store(tmp_path).load(job) is None
    plain[0]["config"]["recipe"] = 3
    path.write_text(json.dumps(plain))
    assert Store(tmp_path).load(job) is None, "and one that does not say what it was"


@pytest.mark.parametrize("name", RECIPES)
def test_a_row_is_as_its_own_report_says(name):
    """Whatever the width, and what JSON makes of it."""
    built = Run(recipe=name).built()
    now = Identity(recipe_to_plain(built)).facts["editor"]
    assert as_now(now, json.loads(json.dumps(recipe_to_plain(built.at(64))))["editor"])
    for setting in now.keys() - {"name", "net"}:
        assert as_now(now, {**now, setting: "another"}) is (now[setting] is None)


def test_an_interruption_keeps_the_rows_that_were_finished(spec, tmp_path, monkeypatch):
    original = Workbench.run

    def interrupted(self, run, on_outcome=None):
        if run.recipe == "mpn-all-once":
            raise KeyboardInterrupt
        return original(self, run, on_outcome)

    monkeypatch.setattr(Workbench, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(RUNS, spec, out=tmp_path)
    assert Store(tmp_path).load(Job(spec, RUNS[0])) is not None
    assert Store(tmp_path).load(Job(spec, RUNS[1])) is None


def test_other_data_or_another_setting_is_another_row(spec):
    keys = {
        Job(which, run).key
        for which in (spec, replace(spec, seed=1))
        for run in (RUNS[0], replace(RUNS[0], settings={**FAST, "views": 0}), replace(RUNS[0], seed=1))
    }
    assert len(keys) == 6
    assert Job(replace(spec, cache_dir="x", world_dir="y", nets_dir="z"), RUNS[0]).key in keys


def test_a_run_with_a_trained_net_is_another_row_and_needs_a_folder_of_nets(spec):
    plain = Run(recipe="mend", keep_failed=True)
    trained = [replace(plain, training=training) for training in ({}, {"steps": 8})]
    assert len({Job(spec, run).key for run in (plain, *trained)}) == 3
    with pytest.raises(InputError, match="nets_dir does not say where"):
        execute(trained[:1], spec)
    with pytest.raises(ArtefactError, match="no such folder; polypatch train-editor makes one"):
        execute(trained[:1], replace(spec, nets_dir="nowhere"))


def test_a_field_at_its_default_is_not_part_of_a_rows_name(spec):
    # So that a field that a later version adds leaves all earlier rows where they are.
    assert Identity.of_settings(RUNS[0]).facts == {"recipe": "t-patcher", "settings": FAST}
    assert Job(spec, RUNS[0]).key == Job(replace(spec, half=False, sizes={}), replace(RUNS[0], folds=1, seed=0)).key


def test_a_pruned_run_has_fewer_patches_and_is_another_row(spec):
    plain = Run(recipe="polypatch-linear", title="plain")
    fewer = replace(plain, prune=True)
    assert Job(spec, plain).key != Job(spec, fewer).key
    reports = execute([plain, fewer], spec)
    assert reports[1].patches < reports[0].patches
    assert reports[1].reliability >= reports[0].reliability


def test_jobs_of_several_workbenches_in_one_grid_and_in_two_processes(spec, in_process, tmp_path):
    other = replace(spec, seed=1)
    grid = [Job(spec, RUNS[0]), Job(other, RUNS[0]), Job(spec, RUNS[0]), Job(other, RUNS[1])]
    grid += [Job(spec, RUNS[1]), Job(spec, RUNS[2])]
    said = []
    for n, out in ((1, tmp_path), (2, tmp_path / "two")):
        found = execute_jobs(grid, on=Processes(n), out=out, on_event=said.append)
        assert [timeless(r) for r in found[0]] == [timeless(r) for r in found[2]] == [timeless(in_process[0])]
        assert [len(reports) for reports in found] == [1, 1, 1, 1, 1, 2]
        assert [timeless(r) for r in (*found[4], *found[5])] == [timeless(r) for r in in_process[1:]]
    # The third is the first again: it is done once, and everyone hears of five.
    assert sorted(event.job for event in said if isinstance(event, Finished)) == sorted([0, 1, 3, 4, 5] * 2)


def test_everything_encoded_is_told_and_a_second_grid_on_the_cache_encodes_nothing(spec, tmp_path):
    cached = replace(spec, cache_dir=str(tmp_path / "queries"))
    for out, fresh in (("first", True), ("second", False)):
        said = []
        execute(RUNS[:1], cached, out=tmp_path / out, on_event=said.append)
        (encoded,) = [event for event in said if isinstance(event, Encoded)]
        assert encoded.texts > 20
        assert encoded.fresh == (encoded.texts if fresh else 0)
        assert encoded.cache.disk_bytes > 0


def test_one_fold_alone_is_that_fold(spec, in_process):
    (alone,) = execute([replace(RUNS[2], fold=1)], spec)
    row, whole = timeless(alone), timeless(in_process[3])
    assert row.pop("config")["run"]["fold"] == 1
    whole.pop("config")
    assert row == whole
    with pytest.raises(InputError, match="fold 2 of 2"):
        execute([replace(RUNS[2], fold=2)], spec)


def test_a_second_workbench_on_the_same_cache_encodes_nothing(spec, tmp_path):
    cached = replace(spec, cache_dir=str(tmp_path))
    assert cached.open().encode().fresh > 0
    assert cached.open().encode().fresh == 0


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
        ({"recipe": "romeo"}, UnknownRecipeError, "romeo"),
        ({"recipe": "t-patcher", "settings": {"learning_rat": 1}}, InputError, "learning_rat"),
        ({"recipe": "t-patcher", "k": 2}, InputError, "SourceOnly cannot be drawn so"),
        ({"recipe": "t-patcher", "limit": 0}, InputError, "limit must be a whole number at least 1 or none, not 0"),
    ],
)
def test_a_wrong_run_is_refused_before_anything_is_loaded(run, error, said, monkeypatch):
    monkeypatch.setattr(BenchSpec, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(error, match=said):
        execute([Run(**run)], BenchSpec())


def test_the_world_needs_its_own_data():
    with pytest.raises(InputError, match="world"):
        BenchSpec(data="jsonl:x").open()


def test_a_label_the_model_does_not_have_is_named(tmp_path, spec):
    write_jsonl(tiny_edits(3, classes=9), tmp_path / "edits.jsonl")
    with pytest.raises(UnknownLabelError, match="class-"):
        replace(spec, data=f"jsonl:{tmp_path / 'edits.jsonl'}").open()
