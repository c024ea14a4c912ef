"""The world's verbs and the demo, on a world so small that it knows nothing."""

import json
from functools import partial

import pytest

from polypatch.store.artefact import read_artefact
from polypatch.world import WorldConfig
from polypatch.world.speaking import SpeakingConfig

TINY = partial(
    WorldConfig,
    persons=8,
    films=6,
    companies=6,
    edit_facts=40,
    test_facts=8,
    val_facts=6,
    vocabulary=1500,
    hidden=32,
    heads=2,
    pretrain_steps=3,
    pretrain_batch=10,
    epochs=1,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture(autouse=True)
def tiny_world(monkeypatch, cache):
    monkeypatch.setenv("POLYPATCH_CACHE", str(cache))
    for module in ("polypatch.world.build", "polypatch.world.load", "polypatch.world"):
        monkeypatch.setattr(f"{module}.WorldConfig", TINY)


def test_a_world_is_built_once_and_again_by_force(polypatch, tmp_path):
    place = ("--cache-dir", tmp_path, "--seed", 5, "--quiet")
    first = polypatch("world", "build", *place, "--json").json()
    assert first["new"]
    assert not polypatch("world", "build", *place, "--json").json()["new"]
    assert "--force" in polypatch("world", "build", *place).out
    assert polypatch("world", "build", *place, "--force", "--json").json()["new"]


def test_a_cache_that_cannot_be_written(polypatch, tmp_path):
    (tmp_path / "file").touch()
    assert "cannot write" in polypatch("world", "build", "--cache-dir", tmp_path / "file", "--quiet").refused()


def test_a_world_on_show(polypatch):
    ran = polypatch("world", "show", "--edits", 2, "--quiet")
    assert ran.code == 0, ran.err
    for word in ("Right before any edit", "locality train", "SUPPORTS", "ar", "The model says"):
        assert word in ran.out
    shown = polypatch("world", "show", "--edits", 2, "--json").json()
    assert len(shown["examples"]) == 2
    assert set(shown["examples"][0]["prompt"]) == set(shown["accuracy"])


def test_the_world_is_edited_measured_and_tried_without_naming_model_or_data(polypatch, tmp_path):
    out = tmp_path / "run"
    ran = polypatch(
        "edit", "world", "--out", out, "--limit", 3, "--set", "max_steps=5", "--json", "--languages", "en,de"
    )
    assert ran.code == 0, ran.err
    assert set(ran.json()[1]["clg"]) == {"de", "fr", "es", "zh", "ar"}
    assert ran.json()[1]["clg_never"] is not None
    again = polypatch("eval", out, "--json")
    assert again.json()[1]["clg"] == ran.json()[1]["clg"]
    first = read_artefact(out / "edits").outcomes[0].edit_id
    tried = polypatch("try", out, "--edit", first, "--json")
    assert [answer["lang"] for answer in tried.json()] == ["en", "de", "fr", "es", "zh", "ar"]
    assert "'xx'" in polypatch("edit", "world", "--out", tmp_path / "b", "--languages", "en,xx").refused()


@pytest.fixture
def tiny_speaking(monkeypatch):
    facts = WorldConfig(persons=6, films=3, companies=3, exceptions=0.8, outdated=0.2, undocumented=0.2)
    numbers = {"vocabulary": 1200, "hidden": 32, "heads": 2, "layers": 2, "steps": 4, "batch": 8}
    tiny = partial(SpeakingConfig, facts=facts, locality_facts=8, validation_facts=4, **numbers)
    for module in ("build", "load"):
        monkeypatch.setattr(f"polypatch.world.speaking.{module}.SpeakingConfig", tiny)
    monkeypatch.setattr("polypatch.world.speaking.SpeakingConfig", tiny)


def test_a_speaking_world_is_built_and_shown(polypatch, tiny_speaking, tmp_path):
    place = ("--speaking", "--cache-dir", tmp_path, "--seed", 5, "--quiet")
    assert polypatch("world", "build", *place, "--json").json()["new"]
    assert not polypatch("world", "build", *place, "--json").json()["new"]
    ran = polypatch("world", "show", *place, "--edits", 1)
    assert ran.code == 0, ran.err
    for word in ("Right before any edit", "known, another wording", "locality reworded", "ar", "It should say"):
        assert word in ran.out
    shown = polypatch("world", "show", *place, "--edits", 1, "--json").json()
    assert shown["facts"]["wrong"] + shown["facts"]["unknown"] == shown["counts"]["edits"]
    assert set(shown["examples"][0]["says"]) == set(shown["matches"]["known"])


def test_the_speaking_world_that_comes_with_polypatch_is_not_built_again(polypatch):
    assert "comes with polypatch" in polypatch("world", "build", "--speaking").out
    assert "--cache-dir" in polypatch("world", "build", "--speaking", "--force").refused()


@pytest.fixture
def short_rows(monkeypatch):
    from dataclasses import replace

    from polypatch.cli.prepare import SAME_EVERYWHERE

    for name, value in SAME_EVERYWHERE.items():  # the demo sets them, and later tests should not inherit that
        monkeypatch.setenv(name, value)
    from polypatch.experiments.demo import ROWS

    quick = {"max_steps": 5}
    rows = [replace(run, settings=quick if run.recipe == "polypatch" else {**quick, "views": 0}) for run in ROWS]
    monkeypatch.setattr("polypatch.experiments.demo.ROWS", tuple(rows))


def test_the_demo_writes_the_table_and_the_picture(polypatch, short_rows, tmp_path):
    out = tmp_path / "demo"
    ran = polypatch("demo", "--out", out, "--limit", 4, "--jobs", 1, "--quiet")
    assert ran.code == 0, ran.err
    recipes = ["original", "fine-tuning", "t-patcher", "mpn-only-once", "mpn-all-once", "polypatch"]
    rows = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [row["recipe"] for row in rows] == recipes
    assert (out / "clg.png").read_bytes().startswith(b"\x89PNG")
    assert not (out / "rows").exists()
    for word in ("4 edits", "What mpn-all-once gains over t-patcher", "Locality", "Seconds per edit"):
        assert word in ran.out
        assert word in (out / "report.md").read_text(encoding="utf-8")
        assert word in (out / "report.html").read_text(encoding="utf-8")
    assert f"To read in a browser: {out / 'report.html'}" in ran.out
    again = polypatch("demo", "--out", out, "--limit", 4, "--jobs", 1, "--json").json()
    assert set(again) == {"table", "gain", "the world that speaks"}
    assert [row["recipe"] for row in again["the world that speaks"]] == ["original", "polypatch"]
    assert [row["clg"] for row in again["table"]] == [row["clg"] for row in rows]


def test_an_interrupted_demo_goes_on_where_it_stopped(polypatch, short_rows, tmp_path, monkeypatch):
    from polypatch.runs import Workbench

    done, run = [], Workbench.run

    def counted(self, wanted, on_outcome=None):
        if len(done) == 3:
            done.append("stopped")
            raise KeyboardInterrupt
        done.append(wanted.name)
        return run(self, wanted, on_outcome)

    monkeypatch.setattr(Workbench, "run", counted)
    argv = ("demo", "--out", tmp_path, "--limit", 4, "--jobs", 1, "--quiet")
    ran = polypatch(*argv)
    assert ran.code == 130
    assert "the same command goes on" in ran.err
    assert polypatch(*argv).code == 0
    assert len(done) == 3 + 1 + 2
