"""`polypatch data xfever-edit`, end to end on a made FEVER with tiny models."""

import json
import signal
from collections import Counter

import pytest

from polypatch.data import load_data, read_jsonl
from polypatch.data.fever import load_fever
from polypatch.data.translation_cache import TranslationCache
from polypatch.data.xfever import FILES, read_xfever
from polypatch.experiments.xfever_edit import FIGURE, SUMMARY
from stopping import signalled, stopped

from .conftest import LANGUAGES
from .tiny_marian import write_rows


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def contents(folder):
    return {name: (folder / name).read_bytes() for name in (*FILES, FIGURE)}


def test_the_folder(polypatch, argv, fever, tmp_path):
    out = tmp_path / "xfever"
    ran = polypatch(*argv(out, "--json"))
    assert ran.code == 0, ran.err
    assert ran.err == ""
    said = ran.json()
    split = load_fever(*fever)
    assert said["counts"] == {"train": 160, "validation": 20, "editing": 20, "test": 30} == split.counts()
    assert said["paper"] == {"train": 83972, "validation": 10496, "editing": 10496, "test": 10444}
    assert (said["edits"], said["rephrases"], said["unrephrased"], said["left_over"]) == (20, 40, 0, 0)
    assert {lang: one["paper"] for lang, one in said["languages"].items()} == {
        "en": 8.2,
        "de": 7.8,
        "fr": 8.9,
        "es": 8.8,
        "zh": 13.2,
        "ar": 7.4,
    }
    assert said["languages"]["en"]["mean"] == 8
    assert {one["unit"] for lang, one in said["languages"].items() if lang != "zh"} == {"words"}
    assert said["languages"]["zh"]["unit"] == "characters"

    edits = read_jsonl(out / "edits.jsonl")
    assert [edit.id for edit in edits] == [f"fever-{claim.id}" for claim in split.editing]
    for edit, claim in zip(edits, split.editing, strict=True):
        assert edit.languages == ("en", *LANGUAGES)
        assert (edit.prompt["en"], edit.target_in("zh")) == (claim.text, claim.label)
        assert edit.rephrases == {"en": claim.rephrases}
    for name, claims in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        assert rows(out / f"{name}.jsonl") == [{"text": claim.text, "label": claim.label} for claim in claims]
    assert (out / FIGURE).read_bytes().startswith(b"\x89PNG")
    kept = json.loads((out / SUMMARY).read_bytes())
    assert kept["finished"]
    assert kept["languages"] == said["languages"]


def test_what_people_see(polypatch, argv, tmp_path):
    ran = polypatch(*argv(tmp_path / "x", languages=("de", "zh")))
    assert ran.code == 0, ran.err
    for words in ("D_edit", "83,972", "10,444", "Mean length", "13.2", "characters", "20 edits, 40 rephrases"):
        assert words in ran.out
    shown = polypatch("data", "xfever-edit", "--help")
    assert "Examples" in shown.out
    assert "--resume" not in shown.out
    assert "xfever-edit" in polypatch("data").out


def test_memory_and_locality_share_no_text_with_what_is_edited_or_tested(polypatch, argv, tmp_path):
    out = tmp_path / "x"
    more = ("--set", "memory=70", "--set", "memory_other=9", "--set", "locality_train=12")
    assert polypatch(*argv(out, *more, languages=("de", "ar"))).code == 0
    memory = {lang: [row["text"] for row in rows(out / "memory.jsonl") if row["lang"] == lang] for lang in ("en", "de")}
    assert [len(memory["en"]), len(memory["de"])] == [70, 9]
    data = read_xfever(out)
    assert data.memory["en"] == memory["en"]
    assert (len(data.locality["train"]), len(data.locality["test"]), len(data.validation["en"])) == (12, 30, 20)
    trained = {row["text"] for row in rows(out / "train.jsonl")}
    near = {row.text for row in data.locality["train"]}
    assert near | set(memory["en"]) <= trained
    edited = {text for edit in data.edits for texts in edit.rephrases.values() for text in texts}
    edited |= {edit.prompt["en"] for edit in data.edits}
    assert not set(memory["en"]) & (near | edited | {row.text for row in data.locality["test"]})
    assert not near & edited


def test_interrupted_half_way_and_resumed_nothing_is_translated_twice(polypatch, argv, calls, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "cut"
    assert polypatch(*argv(whole, "--batch-size", 4)).code == 0
    assert len(calls) == sum(calls.values()) == 20 * 5
    calls.clear()
    calls.batches, calls.stop_at = 0, 13  # 20 edits in batches of 4: in the third of five languages
    ran = polypatch(*argv(out, "--batch-size", 4))
    assert ran.code == 130
    assert ran.err == (
        f"stopped: every finished batch is in {out / 'translations.sqlite'}; the same command goes on from there\n"
    )
    assert ran.out == ""
    with TranslationCache(out / "translations.sqlite") as cache:
        assert len(cache) == 13 * 4 == sum(calls.values())
    assert [name for name in FILES if (out / name).exists()] == []
    assert not json.loads((out / SUMMARY).read_bytes())["finished"]
    again = polypatch(*argv(out, "--batch-size", 4, "--json"))
    assert again.code == 0, again.err
    assert len(calls) == sum(calls.values()) == 100
    assert {lang: one["new"] for lang, one in again.json()["languages"].items()} == {
        "en": 0,
        "de": 0,
        "fr": 0,
        "es": 8,
        "zh": 20,
        "ar": 20,
    }
    assert contents(out) == contents(whole)


def test_the_same_command_again_translates_nothing_and_changes_nothing(polypatch, argv, calls, tmp_path):
    out = tmp_path / "x"
    assert polypatch(*argv(out)).code == 0
    before, done = contents(out), sum(calls.values())
    assert polypatch(*argv(out, "--batch-size", 3)).code == 0
    assert contents(out) == before
    assert sum(calls.values()) == done


def test_a_cache_serves_other_languages_and_other_folders(polypatch, argv, calls, tmp_path):
    cache = ("--cache", tmp_path / "shared.sqlite")
    assert polypatch(*argv(tmp_path / "a", *cache, languages=("de",))).code == 0
    assert Counter(lang for lang, _ in calls) == {"de": 20}
    assert polypatch(*argv(tmp_path / "b", *cache, languages=("de", "fr"))).code == 0
    assert Counter(lang for lang, _ in calls) == {"de": 20, "fr": 20}
    assert polypatch(*argv(tmp_path / "c", *cache, "--limit", 5, languages=("fr",))).code == 0
    assert polypatch(*argv(tmp_path / "d", *cache, "--beams", 1, "--limit", 5, languages=("fr",))).code == 0
    assert sum(calls.values()) == 45  # another search is another translation
    assert read_jsonl(tmp_path / "c" / "edits.jsonl")[4].prompt == {
        lang: text
        for lang, text in read_jsonl(tmp_path / "b" / "edits.jsonl")[4].prompt.items()
        if lang in ("en", "fr")
    }


def test_results_made_from_something_else_are_not_replaced(polypatch, argv, calls, tmp_path):
    out = tmp_path / "x"
    assert polypatch(*argv(out, languages=("de",))).code == 0
    before = contents(out)
    refused = polypatch(*argv(out, "--seed", 1, languages=("de",))).refused()
    assert "belongs to another run: choices seed was 0 and is 1 now; take another --out, or add --overwrite" in refused
    assert contents(out) == before
    assert polypatch(*argv(out, "--seed", 1, "--overwrite", languages=("de",))).code == 0
    assert contents(out) != before
    own = tmp_path / "own"
    own.mkdir()
    write_rows(own / "edits.jsonl", [{"prompt": "mine", "target_new": "x"}])
    assert "edits.jsonl, which were not made by this command" in polypatch(*argv(own)).refused()


def test_an_empty_translation_leaves_its_language_out(polypatch, argv, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "polypatch.data.marian.Marian.__call__", lambda self, batch: ["" if i else "x" for i in range(len(batch))]
    )
    ran = polypatch(*argv(tmp_path / "x", languages=("de",)))
    assert ran.code == 0, ran.err
    assert "came out empty and were left out: 19 in de" in ran.out
    assert Counter(edit.languages for edit in read_jsonl(tmp_path / "x" / "edits.jsonl")) == {
        ("en",): 19,
        ("en", "de"): 1,
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--set", "rest=drop"), "--set rest: no such choice; there are remainder, rephrases"),
        (("--set", "memory=many"), "'many' is not a whole number"),
        (("--set", "remainder=keep"), "choice remainder=keep: expected one of drop, train"),
        (("--model", "fi=x"), "--model fi=…: 'fi' is not among --languages"),
        (("--languages", "en"), "name a language to translate into"),
        (("--languages", "fi"), "--model de=…: 'de' is not among"),
        (("--device", "tpu"), "device 'tpu': not there"),
        (("--train", "none.jsonl"), "none.jsonl: no such file"),
    ],
)
def test_mistakes_are_found_before_anything_is_made(polypatch, argv, tmp_path, more, said):
    assert said in polypatch(*argv(tmp_path / "x", *more)).refused()
    assert not (tmp_path / "x").exists()


def test_what_is_written_is_what_other_verbs_read(polypatch, argv, tmp_path):
    assert polypatch(*argv(tmp_path / "x", languages=("de",))).code == 0
    data = load_data(f"jsonl:{tmp_path / 'x' / 'edits.jsonl'}", languages=["en", "de"])
    assert len(data.edits) == 20
    from polypatch.data.memory import read_memory

    assert len(read_memory(tmp_path / "x" / "memory.jsonl", "en")["en"]) == 128  # D_train less a fifth for locality


@pytest.mark.slow
@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_kills_in_a_real_process(argv, polypatch, calls, tmp_path, signal_sent):
    words = argv(tmp_path / "x", "--batch-size", 2, languages=("de", "fr"))
    process = stopped(words, "polypatch.data.marian:Marian.__call__", 8)
    code, out, err = signalled(process, signal_sent)
    if signal_sent == signal.SIGINT:
        assert (code, out) == (130, ""), err
        assert err.startswith("stopped: every finished batch is in ")
        assert err.count("\n") == 1
    else:
        assert code == -signal.SIGKILL
    with TranslationCache(tmp_path / "x" / "translations.sqlite") as cache:
        assert len(cache) == 7 * 2
    assert [name for name in FILES if (tmp_path / "x" / name).exists()] == []
    assert polypatch(*words).code == 0
    assert sum(calls.values()) == len(calls) == 40 - 7 * 2
    with TranslationCache(tmp_path / "x" / "translations.sqlite") as cache:
        assert len(cache) == 40


def test_ctrl_c_before_the_first_sentence(polypatch, argv, monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("polypatch.experiments.xfever_edit.load_fever", interrupted)
    ran = polypatch(*argv(tmp_path / "x"))
    assert ran.code == 130
    assert ran.err == "stopped: nothing was translated yet; the same command goes on from there\n"
