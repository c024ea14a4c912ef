"""Experiments as data: what jobs they are, at both scales."""

import itertools
from dataclasses import replace

import pytest

from polypatch.editors.hyper_editor import HyperEditor
from polypatch.editors.widths import PUBLISHED_WIDTH
from polypatch.errors import InputError
from polypatch.experiments import EXPERIMENTS, Materials
from polypatch.experiments.demo import LIMIT
from polypatch.experiments.demo import ROWS as DEMO
from polypatch.experiments.rows import MPN
from polypatch.recipes import DEFAULT, ROWS, recipe_named
from polypatch.samplers import SourceOnly

GIVEN = Materials("model", "massive:data")
SETTINGS_OR_LENGTHS = ("ablations", "mpn-ablations", "growth", "confidence", "lm", "reach")
"""Experiments that are about those."""


@pytest.fixture(params=[(name, scale) for name in EXPERIMENTS for scale in ("small", "full")], ids="-".join)
def experiment(request):
    name, scale = request.param
    return EXPERIMENTS[name](scale, GIVEN)


def test_every_job_can_be_built_and_is_there_once(experiment):
    jobs = experiment.jobs()
    assert len({job.key for job in jobs}) == len(jobs) > 0
    for job in jobs:
        job.run.built()
        assert job.spec.seed == job.run.seed in experiment.seeds
        assert job.run.order in experiment.orders


def test_the_jobs_of_one_seed_stand_together(experiment):
    seeds = [job.spec.seed for job in experiment.jobs()]
    assert seeds == sorted(seeds)


def test_every_row_of_every_table_has_its_jobs_in_the_grid(experiment):
    keys = {job.key for job in experiment.jobs()}
    for table in experiment.tables:
        assert len({row.name for row in table.rows}) == len(table.rows)
        for row in table.rows:
            assert {job.key for job in experiment.jobs_of(row)} <= keys


def test_contrasts_name_rows_where_the_rows_are_there(experiment):
    for table in experiment.tables:
        names = {row.name for row in table.rows}
        assert any({*contrast} <= names for contrast in table.contrasts)


def test_every_row_of_the_paper_has_one_of_ours(experiment):
    for table in experiment.tables:
        if table.published is not None:
            ours = {row.name.partition(",")[0] for row in table.rows}
            assert set(table.published.rows) - {"original"} <= ours
            assert {recipe for recipe, _ in table.published.slips} <= set(table.published.rows)


def test_full_scale_is_the_published_settings_on_any_model():
    for name, make in EXPERIMENTS.items():
        if name in SETTINGS_OR_LENGTHS:
            continue
        for table in make("full", GIVEN).tables:
            for row in table.rows:
                assert row.built().at(32) == recipe_named(row.recipe).at(PUBLISHED_WIDTH)
                assert row.limit is None
                assert row.retries == 0


def test_folds_become_jobs_of_their_own():
    whole = EXPERIMENTS["table2"]("full", GIVEN)
    parts = whole.changed(folds=20)
    assert len(parts.jobs()) == 20 * len(whole.jobs())
    assert {job.run.fold for job in parts.jobs()} == set(range(20))


def test_on_the_world_a_seed_is_a_stream_of_its_own_and_elsewhere_not():
    streams = {
        name: len({e.stream_of(job) for job in e.jobs()})
        for name, e in ((name, make("small", GIVEN)) for name, make in EXPERIMENTS.items())
    }
    either = dict.fromkeys(
        ("compare", "corpus", "editors", "ablations", "mpn-ablations", "growth", "confidence", "lm", "reach"), 1
    )  # the data that are named
    assert streams == {"table1": 3, "table2": 1, "table3": 3, "massive": 1} | either


def test_an_editors_two_rows_differ_in_the_sampler_and_the_trigger_alone():
    """So that the gain is theirs. Transformer-Patcher's rows are the other tables' own, so that runs can be shared."""
    facts = Materials("a", "facts-once:b")
    for given, other in ((Materials(), "table1"), (GIVEN, "massive"), (facts, "lm")):
        experiment = EXPERIMENTS["editors"]("small", given)
        rows = {row.recipe: row for table in experiment.tables for row in table.rows}
        for better, plain in itertools.chain.from_iterable(table.contrasts for table in experiment.tables):
            assert rows[better] == replace(rows[plain], recipe=better)
            if not better.startswith("lime"):  # which has masks beside
                assert rows[better].built().editor == rows[plain].built().editor
        known = {row for one in EXPERIMENTS[other]("small", given).tables for row in map(repr, one.rows)}
        assert {repr(rows["t-patcher"]), repr(rows["mpn-all-once"])} <= known


def test_editors_that_need_a_net_are_trained_one_and_no_others():
    for given in (Materials(), GIVEN, Materials("a", "facts-once:b"), Materials("a", "mzsre:b")):
        rows = [row for table in EXPERIMENTS["editors"]("small", given).tables for row in table.rows]
        trained = [row.recipe for row in rows if row.training is not None]
        assert trained == [row.recipe for row in rows if isinstance(row.built().editor, HyperEditor)]
        assert set(trained) == {name for name, row in ROWS.items() if issubclass(row.editor_kind(), HyperEditor)}


def test_one_table_alone():
    whole = EXPERIMENTS["massive"]("small", GIVEN)
    one = whole.only(whole.tables[1].title.upper())
    assert one.tables == whole.tables[1:2]
    assert {job.key for job in one.jobs()} < {job.key for job in whole.jobs()}
    assert whole.only("") == whole
    with pytest.raises(
        InputError, match="massive: no table is called 'x'; there are '6 edit languages, English memory'"
    ):
        whole.only("x")


def test_the_demos_rows_are_those_of_table_1_on_one_seed():
    rows = [row for row in EXPERIMENTS["table1"]("small", GIVEN).tables[0].rows if row.recipe not in MPN]
    assert [replace(row, order=0, trajectory_every=0, limit=LIMIT) for row in rows] == list(DEMO[:-1])
    assert DEMO[-1].recipe == DEFAULT


def test_the_table_of_language_models_names_its_layers_and_speaks_the_languages_of_its_data():
    facts = EXPERIMENTS["lm"]("small", Materials("a", "facts-once:b"))
    (table,) = facts.tables
    below = [row for row in table.rows if row.layer is not None]
    assert below
    assert all(row.built().layer == row.layer and f"layer {row.layer}" in row.name for row in below)
    assert len({row.name for row in table.rows}) == len(table.rows)
    assert {contrast.better for contrast in table.contrasts} <= {row.name for row in table.rows}
    assert all(row.memory_languages == facts.spec.languages for row in table.rows)


def test_questions_that_no_model_was_taught_have_fewer_rows_and_a_matrix_where_there_are_many_languages():
    mzsre, mlake = (EXPERIMENTS["lm"]("small", Materials("a", f"{data}:b")) for data in ("mzsre", "mlake"))
    assert [row.memory_languages for row in mlake.tables[0].rows] == [()] * len(mlake.tables[0].rows)  # it has none
    assert len(mlake.spec.languages) == 5
    _, apart = mzsre.tables
    assert all(row.sources == mzsre.spec.languages and row.limit % len(row.sources) == 0 for row in apart.rows)
    alone, drawn = (row.built().sampler for row in apart.rows)
    assert (alone, drawn.k) == (SourceOnly(), 1)
    assert len(mzsre.jobs()) == sum(len(table.rows) for table in mzsre.tables)
