import json
import shutil

import pytest

from polypatch.data import read_jsonl, write_jsonl
from polypatch.edited_model import EditedModel
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

from .conftest import FAST

LAX = ("--min-reliability", 0, "--max-locality-drop", 100)


@pytest.fixture
def check(polypatch, edited, files):
    def call(*more, folder=edited / "edits", probe=files / "memory.txt"):
        return polypatch("check", folder, "--probe", probe, "--quiet", *more)

    return call


def rows(verdict):
    return {check["check"]: check for check in verdict["checks"]}


def test_a_pass(check):
    ran = check(*LAX)
    assert ran.code == 0, ran.out
    for word in (
        "intact, of this model",
        "reliability",
        "locality drop en",
        "contradictions",
        "Elsewhere: ",
        "other answers changed",
        "all passed",
    ):
        assert word in ran.out
    verdict = check(*LAX, "--json").json()
    assert verdict["ok"]
    assert set(verdict) == {"ok", "checks", "wrong", "unsure", "not_taken", "contradictions", "cost"}
    assert all(set(row) == {"check", "value", "required", "ok", "note"} for row in verdict["checks"])


def test_the_numbers_are_the_librarys(check, edited, files):
    verdict = check(*LAX, "--json").json()
    artefact = read_artefact(edited / "edits")
    model = EditedModel.from_pretrained(edited / "edits")
    counted = [r for r in artefact.records if r.status in ("taken", "not needed")]
    right = [model.predict(r.edit.prompt["en"]) == r.edit.target_in("en") for r in counted]
    texts = (files / "memory.txt").read_text(encoding="utf-8").splitlines()
    before, after = model.predict_before_after(texts)
    model.unload()
    assert rows(verdict)["reliability"]["value"] == pytest.approx(100 * sum(right) / len(right), abs=0.01)
    drop = 100 * float((before != after).mean())
    assert rows(verdict)["locality drop en"]["value"] == pytest.approx(drop, abs=0.01)
    assert set(verdict["not_taken"]) == {r.outcome.edit_id for r in artefact.records} - {
        r.outcome.edit_id for r in counted
    }
    assert len(verdict["wrong"]) == right.count(False)


def test_locality_over_its_budget_fails_with_1(check):
    verdict = check("--json", "--max-locality-drop", 0, "--min-reliability", 0)
    assert verdict.code == 1
    assert verdict.err == ""
    row = rows(verdict.json())["locality drop en"]
    assert not row["ok"]
    assert row["value"] > 0
    ran = check("--max-locality-drop", 0, "--min-reliability", 0)
    assert ran.code == 1
    assert "FAILED" in ran.out
    assert "1 failed" in ran.out
    # exactly at the limit is within it
    assert check("--max-locality-drop", row["value"], "--min-reliability", 0).code == 0


def test_edits_that_did_not_take_count_only_when_strict(check):
    assert check("--max-locality-drop", 100, "--min-reliability", 0).code == 0
    lax, strict = (check(*LAX, *more, "--json").json() for more in ((), ("--strict",)))
    assert lax["not_taken"]
    assert "of 6" not in rows(lax)["reliability"]["note"]
    assert "of 6" in rows(strict)["reliability"]["note"]
    failing = check("--max-locality-drop", 100, "--strict", "--json")
    assert failing.code == 1
    assert set(failing.json()["wrong"][0]) == {"edit", "lang", "text", "target", "answer"}


def test_clg_where_it_is_required(check, files):
    assert "CLG" not in rows(check(*LAX, "--json").json())
    row = rows(check(*LAX, "--min-clg", 0, "--json").json())["CLG"]
    assert row["ok"]
    assert row["note"].startswith("de ")
    data = ("--data", f"jsonl:{files / 'edits.jsonl'}")
    assert "sw " in rows(check(*LAX, "--min-clg", 0, *data, "--json").json())["CLG"]["note"]
    assert check(*LAX, "--min-clg", 100, *data, "--strict").code == 1


def test_every_prompt_must_be_as_sure_as_required(check, edited):
    assert "confidence" not in rows(check(*LAX, "--json").json())
    model = EditedModel.from_pretrained(edited / "edits")
    asked = [r.edit for r in read_artefact(edited / "edits").records if r.status in ("taken", "not needed")]
    sure = {
        (edit.id, lang): 100 * float(model.probabilities([edit.prompt[lang]])[0][model.class_of(edit.target_in(lang))])
        for edit in asked
        for lang in edit.languages
    }
    model.unload()
    least = round(sorted(sure.values())[2], 1)
    below = {key for key, value in sure.items() if value < least}
    assert 0 < len(below) < len(sure)
    verdict = check(*LAX, "--min-confidence", least, "--json")
    assert verdict.code == 1
    row = rows(verdict.json())["confidence"]
    assert row["value"] == pytest.approx(min(sure.values()), abs=0.01)
    assert row["note"].startswith(f"{len(below)} of {len(sure)} prompts below")
    unsure = verdict.json()["unsure"]
    assert {(one["edit"], one["lang"]) for one in unsure} == below
    assert [one["confidence"] for one in unsure] == sorted(one["confidence"] for one in unsure)
    assert check(*LAX, "--min-confidence", row["value"]).code == 0
    assert "Less sure than required" in check(*LAX, "--min-confidence", least).out


def test_every_language_has_its_row_and_labels_give_accuracies(check, tmp_path):
    lines = [
        {"lang": ("en", "de")[i % 2], "text": text, **({"label": "class-1"} if i % 2 else {})}
        for i, text in enumerate(tiny_texts(30, seed=1))
    ]
    (tmp_path / "probe.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    found = rows(check(*LAX, "--json", probe=tmp_path / "probe.jsonl").json())
    assert "of 15 answers changed" in found["locality drop en"]["note"]
    assert "accuracy" not in found["locality drop en"]["note"]
    assert "accuracy" in found["locality drop de"]["note"]


def test_texts_of_the_edits_are_no_probes(check, files, tmp_path):
    prompts = [edit.prompt["en"] for edit in read_jsonl(files / "edits.jsonl")]
    (tmp_path / "probe.txt").write_text("\n".join([*prompts, *tiny_texts(3)]), encoding="utf-8")
    assert (
        "of 3 answers" in rows(check(*LAX, "--json", probe=tmp_path / "probe.txt").json())["locality drop en"]["note"]
    )
    (tmp_path / "probe.txt").write_text("\n".join(prompts), encoding="utf-8")
    assert "should not change" in check(probe=tmp_path / "probe.txt").refused()


def test_damage_and_another_model_fail_the_first_check(check, edited, tmp_path):
    shutil.copytree(edited / "edits", tmp_path / "edits")
    raw = bytearray((tmp_path / "edits" / "edits.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "edits" / "edits.safetensors").write_bytes(raw)
    ran = check("--json", folder=tmp_path / "edits")
    assert ran.code == 1
    (row,) = ran.json()["checks"]
    assert "changed after" in row["note"]
    model, tokenizer = tiny_model("bert", seed=1)
    model.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    ran = check("--json", "--model", tmp_path / "other")
    assert ran.code == 1
    assert "other weights" in ran.json()["checks"][0]["note"]


def test_contradictions_are_named_and_fail_when_strict(check, polypatch, checkpoint, tmp_path):
    one, two = tiny_edits(2, ("en", "de"))
    other = next(label for label in ("class-0", "class-1") if label != one.target["en"])
    two = type(two)("contrary", dict(one.prompt), {"en": other})
    write_jsonl([one, two], tmp_path / "edits.jsonl")
    data = ("--data", f"jsonl:{tmp_path / 'edits.jsonl'}", "--allow-contradictions", "--no-memory", *FAST)
    assert polypatch("edit", checkpoint, "--out", tmp_path / "run", *data).code == 0
    ran = check(*LAX, folder=tmp_path / "run")
    assert ran.code == 0
    assert "Contradictions: 1" in ran.out
    verdict = check(*LAX, "--strict", "--json", folder=tmp_path / "run")
    assert verdict.code == 1
    assert "contrary" in verdict.json()["contradictions"][0]
    assert not rows(verdict.json())["contradictions"]["ok"]


def test_reverted_edits_are_not_asked_about(check, polypatch, edited, tmp_path):
    shutil.copytree(edited / "edits", tmp_path / "edits")
    assert polypatch("revert", tmp_path / "edits", "--all").code == 0
    ran = check("--max-locality-drop", 0, "--json", folder=tmp_path / "edits")
    assert ran.code == 0
    assert rows(ran.json())["reliability"]["value"] is None
    assert rows(ran.json())["locality drop en"]["value"] == 0


def test_newcomers(check, polypatch, edited, tmp_path):
    assert "--probe" in polypatch("check", edited).refused()
    assert "no such file" in check(probe=tmp_path / "gone.txt").refused()
    (tmp_path / "empty.txt").touch()
    assert "holds no texts" in check(probe=tmp_path / "empty.txt").refused()
    assert "no saved edits" in check(folder=tmp_path).refused()
    assert "--min-reliability" in check("--min-reliability", 101).refused()
    for line, said in (
        ('{"lang": "en", "text": "a", "label": 3}', "label"),
        ('{"lang": "en", "text": "a", "label": "class-9"}', "class-9"),
        ('["en"]', "row 1"),
    ):
        (tmp_path / "probe.jsonl").write_text(f"{line}\n")
        assert said in check(probe=tmp_path / "probe.jsonl").refused()
    (tmp_path / "probe.jsonl").write_text('{"lang": "en", "text": "a", "label": "class-1"}\n' * 2)
    assert check(*LAX, probe=tmp_path / "probe.jsonl").code == 0
    with (tmp_path / "probe.jsonl").open("a") as file:
        file.write('{"lang": "en", "text": "a", "label": "class-2"}\n')
    assert "row 3" in check(probe=tmp_path / "probe.jsonl").refused()
