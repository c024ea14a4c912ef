"""A language model by the verbs: corrected, asked, explained, checked, taken back, pruned, merged, gone on with."""

import json
from dataclasses import replace

import pytest
from transformers import AutoModelForCausalLM

from polypatch.data import write_jsonl
from polypatch.evaluation import load_reports
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_texts
from polypatch.testing.bits import same_tensors
from speaking import speaker, speaking_edits

ONE, *OTHERS = speaking_edits(4, seed=1)
FIX = (ONE.prompt["en"], ONE.target["en"], "--de", ONE.prompt["de"], "--answer", f"de={ONE.target['de']}")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speaker")
    for part in speaker():
        part.save_pretrained(folder / "model")
    rows = [{"lang": lang, "text": text} for i, lang in enumerate(("en", "de")) for text in tiny_texts(20, seed=i)]
    (folder / "memory.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    write_jsonl(OTHERS, folder / "more.jsonl")
    return folder


@pytest.fixture
def fixed(base, polypatch, tmp_path):
    memory = ("--memory", base / "memory.jsonl")
    where = ("--id", "one", "--out", tmp_path / "edits", "--quiet", "--json")
    done = polypatch("fix", base / "model", *FIX, *memory, "--recipe", "polypatch-linear", *where).json()
    assert [one["after"]["label"] for one in done["texts"]] == [ONE.target["en"], ONE.target["de"]]
    assert done["holds"]
    return tmp_path / "edits"


def test_one_correction_and_what_it_does(fixed, base, polypatch, tmp_path):
    (asked,) = polypatch("try", fixed, ONE.prompt["en"], "--json").json()
    assert asked["after"]["label"] == ONE.target["en"] != asked["before"]["label"]
    assert asked["firing"][0]["edit"] == "one"
    (why,) = polypatch("explain", fixed, ONE.prompt["en"], "--json").json()
    assert [one["token"] for one in why["tokens"]][-1] == "[SEP]"
    assert why["causes"][0]["without"] != why["answer"]
    assert {fired["edit"] for token in why["tokens"] for fired in token["firing"]} == {"one"}
    assert "Token" in polypatch("explain", fixed, ONE.prompt["en"]).out
    (tmp_path / "ask.txt").write_text(f"{ONE.prompt['en']}\n")
    (said,) = polypatch("predict", fixed, tmp_path / "ask.txt", "--json").json()
    assert said["label"] == ONE.target["en"]
    assert "has none" in polypatch("predict", fixed, tmp_path / "ask.txt", "--all-classes", "--json").refused()
    (bare,) = polypatch("predict", base / "model", tmp_path / "ask.txt", "--json").json()
    assert bare["label"] == asked["before"]["label"]
    limits = ("--max-locality-drop", 100, "--min-clg", 100)
    assert polypatch("check", fixed, "--probe", base / "memory.jsonl", *limits).code == 0
    assert ONE.target["en"] in polypatch("log", fixed).out


class Longer:
    """Translators of any two languages, which put a word behind every text."""

    name, fingerprint = "longer", "longer"

    def __init__(self, *_, **__):
        pass

    def sure(self, *_):
        return self

    def named(self, *_):
        return self.name

    def __call__(self, *given):
        return self if len(given) == 2 else [f"{text} ba" for text in given[0]]


def test_answers_are_translated_with_their_prompts(base, polypatch, tmp_path, monkeypatch):
    for place in ("cli.translating", "cli.unasked", "data.translators"):
        monkeypatch.setattr(f"polypatch.{place}.Models", Longer)
    how = ("--memory", base / "memory.jsonl", "--translate-to", "de", "--quiet", "--json")
    done = polypatch("fix", base / "model", *FIX[:2], *how, "--out", tmp_path / "edits").json()
    made = {"en": ONE.target["en"], "de": f"{ONE.target['en']} ba"}
    assert {one["lang"]: one["wanted"] for one in done["texts"]} == made
    (record,) = read_artefact(tmp_path / "edits").records
    assert (record.edit.target, record.edit.prompt["de"]) == (made, f"{FIX[0]} ba")
    one, two = (edit.only([]) for edit in OTHERS[:2])  # with answers, which stay
    three = replace(OTHERS[2], target={"en": OTHERS[2].target["en"]})  # with a prompt, which stays
    write_jsonl([one, replace(two, target={"en": two.target["en"]}), three], tmp_path / "english.jsonl")
    ran = polypatch(
        "edit", base / "model", "--data", f"jsonl:{tmp_path}/english.jsonl", *how, "--out", tmp_path / "run"
    )
    assert ran.code == 0, ran.err
    config = load_reports(tmp_path / "run" / "report.json")[1].config
    counts = [config[f"machine-translated {what}"] for what in ("prompts", "answers")]
    assert counts == ["de 2 (longer)", "de 2 (longer)"]
    unasked = [word for word in how if word not in ("--translate-to", "de")]
    ran = polypatch(
        "edit", base / "model", "--data", f"jsonl:{tmp_path}/english.jsonl", *unasked, "--out", tmp_path / "unasked"
    )
    assert ran.code == 0, ran.err
    assert "machine-translated prompts" not in load_reports(tmp_path / "unasked" / "report.json")[1].config
    records = {record.edit.id: record.edit for record in read_artefact(tmp_path / "run" / "edits").records}
    translations = {two.id: f"{two.target['en']} ba", three.id: f"{three.target['en']} ba"}
    assert {key: edit.target["de"] for key, edit in records.items()} == {one.id: one.target["de"], **translations}
    assert records[three.id].prompt["de"] == three.prompt["de"]


def test_more_are_added_then_some_taken_back_pruned_and_merged(fixed, base, polypatch, tmp_path):
    added = polypatch("edit", fixed, "--add", f"jsonl:{base / 'more.jsonl'}", "--json", "--quiet")
    assert [one["edit_id"] for one in added.json()["outcomes"]] == [edit.id for edit in OTHERS]
    assert polypatch("prune", fixed, "--out", tmp_path / "fewer", "--quiet").code == 0
    assert polypatch("merge", fixed, "--out", tmp_path / "merged", "--quiet").code == 0
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert merged.generation_config.eos_token_id == speaker()[0].generation_config.eos_token_id
    for edit in (*OTHERS, ONE):
        assert polypatch("revert", fixed, "one" if edit is ONE else edit.id).code == 0
    (asked,) = polypatch("try", fixed, ONE.prompt["en"], "--json").json()
    assert asked["after"] == asked["before"]
    assert not asked["firing"]


def test_a_run_is_measured_and_opened_again(base, polypatch, tmp_path):
    edit = ("edit", base / "model", "--data", f"jsonl:{base / 'more.jsonl'}", "--memory", base / "memory.jsonl")
    ran = polypatch(*edit, "--out", tmp_path / "run", "--answer-tokens", 6, "--limit", 2, "--quiet")
    assert ran.code == 0, ran.err
    assert json.loads((tmp_path / "run" / "edits" / "edit_config.json").read_text())["settings"]["most"] == 6
    *_, again = polypatch("eval", tmp_path / "run", "--json", "--quiet").json()
    *_, first = json.loads((tmp_path / "run" / "report.json").read_text())
    assert again["reliability"] == first["reliability"]


def test_what_does_not_go_is_refused(fixed, base, checkpoint, files, polypatch, tmp_path):
    lacking = ("fix", fixed, "en ba", "bi", "--de", "de ba")
    assert "add --answer de=… to the command" in polypatch(*lacking, "--quiet").refused()
    out = ("--memory", base / "memory.jsonl", "--out", tmp_path / "new", "--quiet")
    assert "no chat template" in polypatch("fix", base / "model", "en ba", "bi", "--chat", *out).refused()
    assert "--chat: saved edits have their own" in polypatch("fix", fixed, "en ba", "bi", "--chat").refused()
    (tmp_path / "ask.txt").write_text("ba\n")
    told = polypatch("predict", fixed, tmp_path / "ask.txt", "--answer-tokens", 4).refused()
    assert "--answer-tokens: saved edits" in told
    assert "classifier" in polypatch("predict", checkpoint, tmp_path / "ask.txt", "--chat", "--quiet").refused()


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(base, polypatch, cut, tmp_path):
    def edit(out, *more):
        how = ("--data", f"jsonl:{base / 'more.jsonl'}", "--memory", base / "memory.jsonl", "--quiet")
        return polypatch("edit", base / "model", *how, "--out", tmp_path / out, *more)

    cut(edit, KeyboardInterrupt, 1, "stopped")
    assert edit("stopped", "--resume").code == edit("whole").code == 0
    stopped, whole = (read_artefact(tmp_path / out / "edits") for out in ("stopped", "whole"))
    assert same_tensors(stopped.tensors, whole.tensors)
    assert [one.timeless() for one in stopped.outcomes] == [one.timeless() for one in whole.outcomes]
