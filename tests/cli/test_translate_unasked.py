"""`polypatch edit --translate-to auto`, which is the default: what is on this machine, a hub's cache of tiny models."""

import json
import shutil
import socket
from dataclasses import replace

import pytest

from polypatch.data import write_jsonl
from polypatch.data.scored import ScoredText
from polypatch.evaluation import load_reports
from polypatch.store.artefact import read_artefact
from polypatch.store.journal import read_journal
from polypatch.testing import tiny_edits, tiny_texts

from .conftest import FAST, PowerCut

FACT, UNASKED = "machine-translated prompts", "translated unasked"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ALONE = "a prompt in one language only"


@pytest.fixture
def hub(translators, monkeypatch, tmp_path):
    """Puts models of these languages into the hub's cache as a download does; returns their folders."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))

    def put(*langs, commit=COMMIT, like=None):
        for lang in langs:
            repo = cache / f"models--Helsinki-NLP--opus-mt-en-{lang}"
            shutil.rmtree(repo, ignore_errors=True)
            shutil.copytree(translators / f"en-{like or lang}", repo / "snapshots" / commit)
            (repo / "refs").mkdir()
            (repo / "refs" / "main").write_text(commit, encoding="utf-8")
        return [cache / f"models--Helsinki-NLP--opus-mt-en-{lang}" / "snapshots" / commit for lang in langs]

    return put


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """Who asks for an address is refused, and found out at the end."""
    asked = []

    def refuse(*address, **_):
        asked.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert not asked


@pytest.fixture
def line(checkpoint, tmp_path):
    """A command line: five edits in English and one in German as well, a memory in English, German and French."""
    edits = [edit.only(["de"] if i == 0 else []) for i, edit in enumerate(tiny_edits(6, ("en", "de")))]
    write_jsonl(edits, tmp_path / "edits.jsonl")
    rows = [{"lang": ("en", "de", "fr")[i % 3], "text": text} for i, text in enumerate(tiny_texts(60))]
    (tmp_path / "texts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")

    def made(*more, out=tmp_path / "run", memory=("--memory", tmp_path / "texts.jsonl")):
        data = ("--data", f"jsonl:{tmp_path / 'edits.jsonl'}", *memory)
        return ("edit", checkpoint, *data, "--out", out, *FAST, "--allow-contradictions", *more)

    return made


def says(monkeypatch, write, confidence=0.9):
    """Marian models write these."""

    def n_best(self, texts, count):
        return [[ScoredText(text, confidence)] for text in write(self.lang, texts)]

    monkeypatch.setattr("polypatch.data.marian.Marian.n_best", n_best)


def languages(folder):
    """Of every edit that was made."""
    return [sorted(record.edit.prompt) for record in read_artefact(folder / "edits").records]


def same(one, other):
    prompts = [[dict(r.edit.prompt) for r in read_artefact(place / "edits").records] for place in (one, other)]
    assert prompts[0] == prompts[1]
    assert (one / "edits" / "edits.safetensors").read_bytes() == (other / "edits" / "edits.safetensors").read_bytes()


def words(text):
    return " ".join(text.split())


def ran(polypatch, line, *more, **options):
    done = polypatch(*line(*more, **options))
    assert done.code == 0, done.err
    return words(done.err)


def test_what_is_here_translates_unasked_and_is_named(polypatch, line, hub, tmp_path):
    hub("de")
    said = ran(polypatch, line)
    named = "de (by Helsinki-NLP/opus-mt-en-de)"
    assert f"note: 5 edits that have {ALONE}: translated into {named}; --translate-to none leaves it" in said
    assert "No translator on this machine for fr: --translate-to de,fr downloads what the hub has" in said
    assert said.count(ALONE) == 1
    assert languages(tmp_path / "run") == [["de", "en"]] * 6
    config = load_reports(tmp_path / "run" / "report.json")[1].config
    assert config[FACT] == "de 5 (Helsinki-NLP/opus-mt-{source}-{lang})"
    assert config[UNASKED].startswith(f"en to de by Helsinki-NLP/opus-mt-en-de@{COMMIT} ")
    assert f"* {FACT}: de 5 (" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    ran(polypatch, line, "--translate-to", "auto", out=tmp_path / "named")
    same(tmp_path / "run", tmp_path / "named")


def test_edits_with_several_languages_stay_as_they_are(polypatch, line, hub, tmp_path):
    hub("de", "fr")
    said = ran(polypatch, line)
    assert "de (by Helsinki-NLP/opus-mt-en-de), fr (by Helsinki-NLP/opus-mt-en-fr)" in said
    assert "No translator" not in said
    assert languages(tmp_path / "run") == [["de", "en"], *[["de", "en", "fr"]] * 5]


@pytest.mark.parametrize("left", ["nothing", "no weights", "no vocabulary", "a shard"])
def test_without_a_whole_model_nothing_is_translated(polypatch, line, hub, left, tmp_path, monkeypatch):
    if left != "nothing":
        (folder,) = hub("de")
        if left == "no vocabulary":
            for path in folder.glob("*.spm"):
                path.unlink()
        else:
            (folder / "model.safetensors").unlink()
        if left == "a shard":
            (folder / "model-1.safetensors").touch()
            index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    said = ran(polypatch, line)
    assert f"5 of 6 edits have {ALONE}" in said
    assert "--translate-to makes parallel prompts" in said
    assert "pip install" not in said
    assert languages(tmp_path / "run") == [["de", "en"], *[["en"]] * 5]
    ran(polypatch, line, "--translate-to", "none", out=tmp_path / "none")
    facts = [read_journal(tmp_path / run)[0] for run in ("run", "none")]
    assert facts[0] == facts[1]
    assert not facts[0].keys() & {FACT, UNASKED}
    same(tmp_path / "run", tmp_path / "none")


def test_where_the_extra_is_lacking_the_note_says_what_to_install(polypatch, line, hub, tmp_path, monkeypatch):
    hub("de", "fr")
    monkeypatch.setattr("polypatch.data.seq2seq.EXTRA", ("no_such_package",))
    assert "--translate-to makes parallel prompts (pip install 'polypatch[translate]')" in ran(polypatch, line)
    assert languages(tmp_path / "run")[1:] == [["en"]] * 5
    assert "pip install" not in ran(polypatch, line, "--translate-to", "none", "--overwrite")


def test_none_leaves_the_edits(polypatch, line, hub, tmp_path):
    hub("de", "fr")
    assert f"5 of 6 edits have {ALONE}" in ran(polypatch, line, "--translate-to", "none")
    assert languages(tmp_path / "run")[1:] == [["en"]] * 5


@pytest.mark.parametrize(
    "how",
    [
        ("--languages", "en"),
        ("--memory-languages", "en"),
        ("--set", "memory_weight=0", "--no-memory"),
        ("--recipe", "t-patcher"),
    ],
)
def test_what_asks_for_no_other_language_gets_none(polypatch, line, hub, how, tmp_path):
    hub("de", "fr")
    memory = {"memory": ()} if "--no-memory" in how else {}
    assert "translated into" not in ran(polypatch, line, *how, **memory)
    assert languages(tmp_path / "run")[1:] == [["en"]] * 5


def test_a_language_that_is_only_measured_is_not_translated_into(polypatch, line, hub, tmp_path):
    hub("de", "fr")
    said = ran(polypatch, line, "--eval-languages", "de")
    assert "note: 6 edits that have" in said
    assert languages(tmp_path / "run") == [["en", "fr"]] * 6  # what was made with; German is for the report


@pytest.mark.parametrize("then", ["as it was", "gone", "another"])
def test_a_resumed_run_has_the_texts_of_the_first_command(polypatch, line, hub, cut, then, tmp_path):
    folders = hub("de", "fr")
    ran(polypatch, line, out=tmp_path / "whole")
    cut(lambda: polypatch(*line()), PowerCut, 2)
    if then == "gone":
        for folder in folders:
            shutil.rmtree(folder.parents[1])
    if then == "another":
        hub("de", commit="f" * 40, like="fr")
    assert "translated into de (" in ran(polypatch, line, "--resume")
    same(tmp_path / "run", tmp_path / "whole")


def test_a_resumed_run_does_not_use_what_was_installed_since(polypatch, line, hub, cut, tmp_path):
    ran(polypatch, line, out=tmp_path / "whole")
    cut(lambda: polypatch(*line()), PowerCut, 2)
    hub("de", "fr")
    assert "translated into" not in ran(polypatch, line, "--resume")
    same(tmp_path / "run", tmp_path / "whole")


def test_a_resumed_run_adds_no_language(polypatch, line, hub, cut, tmp_path):
    hub("de")
    cut(lambda: polypatch(*line()), PowerCut, 2)
    hub("fr")
    assert "translated into" in ran(polypatch, line, "--resume")
    assert languages(tmp_path / "run") == [["de", "en"]] * 6


def test_texts_that_are_gone_with_their_translator_are_an_error(polypatch, line, hub, cut, tmp_path):
    (folder,) = hub("de")
    cut(lambda: polypatch(*line()), PowerCut, 2)
    shutil.rmtree(folder.parents[1])
    (tmp_path / "run" / "translations.sqlite").unlink()
    done = polypatch(*line("--resume"))
    assert done.code == 2
    assert f"opus-mt-en-de@{COMMIT} " in done.err
    assert "start the run anew with --overwrite" in words(done.err)


def test_a_translator_that_is_named(polypatch, line, translators, tmp_path):
    said = ran(polypatch, line, "--translator", translators / "nllb")
    assert f"translated into de (by {translators / 'nllb'}), fr (by {translators / 'nllb'})" in said
    # Which language a Marian model writes is not known, unless its name or a code says so.
    one = ran(polypatch, line, "--translator", translators / "en-de", out=tmp_path / "one")
    assert "translated into" not in one
    template = ("--translate-to", "auto", "--translator", translators / "{source}-{lang}")
    ran(polypatch, line, *template, out=tmp_path / "template")
    assert languages(tmp_path / "template")[1:] == [["de", "en", "fr"]] * 5


def test_options_that_contradict_each_other_are_refused(polypatch, line, hub, translators, tmp_path):
    def refused(*more, **options):
        return polypatch(*line("--translator", translators / "nllb", *more, **options)).refused()

    assert "--translate-to none and a translator" in refused("--translate-to", "none")
    assert "nothing for it to do" in refused(memory=("--no-memory",))
    assert not (tmp_path / "run").exists()


def test_a_model_that_cannot_be_read_says_how_to_go_on(polypatch, line, hub):
    (folder,) = hub("de")
    (folder / "model.safetensors").write_bytes(b"cut")
    done = polypatch(*line())
    assert done.code == 2
    assert words(done.err).endswith("--translate-to none leaves the edits as they are")


def test_translations_that_contradict_are_left_out(polypatch, line, hub, tmp_path, monkeypatch):
    """Else a run that was fine would be refused for what nobody asked for."""
    hub("de", "fr")
    says(monkeypatch, lambda lang, texts: [f"{lang} ba"] * len(texts))
    allowed = [word for word in line() if word != "--allow-contradictions"]
    done = polypatch(*allowed)
    assert done.code == 0, done.err
    said = "translations that were left out, as another edit wants another answer to the same words: de 5, fr 5"
    assert said in words(done.err)
    assert f"5 of 6 edits have {ALONE}" in words(done.err)
    assert languages(tmp_path / "run")[1:] == [["en"]] * 5
    assert load_reports(tmp_path / "run" / "report.json")[1].config[FACT] == "none"
    ran(polypatch, line, out=tmp_path / "allowed")
    assert languages(tmp_path / "allowed")[1:] == [["de", "en", "fr"]] * 5


def test_a_translation_does_not_contradict_a_prompt_that_was_given(polypatch, line, hub, tmp_path, monkeypatch):
    hub("de")
    edits = [edit.only(["de"] if i == 0 else []) for i, edit in enumerate(tiny_edits(3, ("en", "de")))]
    write_jsonl(
        [replace(edit, target={"en": f"class-{min(i, 1)}"}) for i, edit in enumerate(edits)], tmp_path / "edits.jsonl"
    )
    given = edits[0].prompt["de"]
    says(monkeypatch, lambda lang, texts: [given.upper(), "de ba"])
    assert polypatch(*(word for word in line() if word != "--allow-contradictions")).code == 0
    assert sorted(languages(tmp_path / "run")) == [["de", "en"], ["de", "en"], ["en"]]
