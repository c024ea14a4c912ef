"""`polypatch fix` and `edit --add`: translations unasked, as for a new run, by a hub's cache of tiny models."""

import shutil

import pytest

from polypatch.data import write_jsonl
from polypatch.store.artefact import read_artefact
from polypatch.store.session import Session
from polypatch.testing import tiny_edits, tiny_model

from .conftest import PowerCut
from .test_renderings import writes  # noqa: F401
from .test_translate_unasked import ALONE, hub, languages, line, network, words  # noqa: F401

SENTENCE = "ba di bo du"


@pytest.fixture
def run(polypatch, line, tmp_path):  # noqa: F811
    """A run in English, by the default recipe; memory in English, German and French."""

    def made(*more, **options):
        argv = list(line("--translate-to", "none", *more, **options))
        del argv[argv.index("--recipe") : argv.index("--quiet")]
        done = polypatch(*argv)
        assert done.code == 0, done.err
        return tmp_path / "run"

    return made


@pytest.fixture
def more(tmp_path):
    """A file of three edits; the last has a German prompt."""
    edits = tiny_edits(23, ("en", "de"))[20:]
    write_jsonl([edit.only(["de"] if i == 2 else []) for i, edit in enumerate(edits)], tmp_path / "more.jsonl")
    return tmp_path / "more.jsonl"


def done(polypatch, *argv):
    ran = polypatch(*argv, "--quiet")
    assert ran.code in (0, 1), ran.err
    return words(ran.err)


def test_a_fix_in_one_language_is_translated_by_what_is_here(polypatch, run, hub):  # noqa: F811
    folder = run()
    hub("de")
    said = done(polypatch, "fix", folder, SENTENCE, "class-1")
    named = "de (by Helsinki-NLP/opus-mt-en-de)"
    assert f"note: the edit, which has {ALONE}: translated into {named}; --translate-to none leaves it" in said
    assert "No translator on this machine for fr: --translate-to de,fr downloads what the hub has" in said
    record = read_artefact(folder / "edits").records[-1]
    assert sorted(record.edit.prompt) == ["de", "en"]
    assert record.outcome.languages == ("en", "de")
    json = polypatch("fix", folder, "another one", "class-2", "--translate-to", "auto", "--json", "--quiet").json()
    assert [one["lang"] for one in json["texts"]] == ["en", "de"]


@pytest.mark.parametrize("how", [("--translate-to", "none"), ("--de", "du bo")])
def test_a_fix_that_is_left_as_it_is(polypatch, run, hub, how):  # noqa: F811
    folder = run()
    hub("de", "fr")
    assert "translated into" not in done(polypatch, "fix", folder, SENTENCE, "class-1", *how)
    assert languages(folder)[-1] == (["de", "en"] if "--de" in how else ["en"])


def test_without_a_translator_a_fix_stays_as_it_is(polypatch, run, hub, tmp_path):  # noqa: F811
    folder = run()
    assert "translated into" not in done(polypatch, "fix", folder, SENTENCE, "class-1")
    assert languages(folder)[-1] == ["en"]
    said = polypatch("fix", folder, "one more", "class-1", "--translator", tmp_path / "none").refused()
    assert "none: not whole on this machine, or not known to write de, fr; " in said
    assert said.endswith("--translate-to de,fr")
    named = polypatch("fix", folder, "one more", "class-1", "--de", "x", "--translator", "x").refused()
    assert "nothing for it to do" in named
    both = polypatch("fix", folder, "one more", "class-1", "--translate-to", "none", "--translator", "x").refused()
    assert both == "--translate-to none and a translator: give one of them"
    both = polypatch("fix", folder, "one more", "class-1", "--translate-to", "none", "--renderings", 2).refused()
    assert both == "--translate-to none and --renderings or --min-confidence: give one of them"
    assert len(languages(folder)) == 7


def test_a_new_models_first_fix_is_translated_too(polypatch, checkpoint, line, hub, tmp_path):  # noqa: F811
    hub("de", "fr")
    line()
    memory = ("--memory", tmp_path / "texts.jsonl")
    said = done(polypatch, "fix", checkpoint, SENTENCE, "class-1", *memory, "--out", tmp_path / "new")
    assert "de (by Helsinki-NLP/opus-mt-en-de), fr (by Helsinki-NLP/opus-mt-en-fr)" in said
    assert sorted(read_artefact(tmp_path / "new").records[0].edit.prompt) == ["de", "en", "fr"]


def test_where_the_runs_languages_were_named_no_other_is_made(polypatch, run, hub, more):  # noqa: F811
    folder = run("--languages", "en")
    hub("de", "fr")
    assert "translated into" not in done(polypatch, "fix", folder, SENTENCE, "class-1")
    assert "translated into" not in done(polypatch, "edit", folder, "--add", more)
    assert languages(folder)[6:] == [["en"], ["en"], ["en"], ["de", "en"]]


def test_a_file_of_edits_is_translated_by_what_is_here(polypatch, run, hub, more):  # noqa: F811
    folder = run()
    hub("de", "fr")
    said = done(polypatch, "edit", folder, "--add", more)
    assert f"note: 2 edits that have {ALONE}: translated into de (by Helsinki-NLP/opus-mt-en-de), fr (by " in said
    assert languages(folder)[6:] == [["de", "en", "fr"], ["de", "en", "fr"], ["de", "en"]]


def test_none_leaves_a_file_of_edits(polypatch, run, hub, more):  # noqa: F811
    folder = run()
    hub("de", "fr")
    assert "translated into" not in done(polypatch, "edit", folder, "--add", more, "--translate-to", "none")
    assert languages(folder)[6:] == [["en"], ["en"], ["de", "en"]]


@pytest.mark.parametrize("then", ["as it was", "gone", "another"])
def test_after_a_kill_the_same_command_goes_on(polypatch, run, hub, more, then, monkeypatch):  # noqa: F811
    """Edits that are made stay as they were translated, whatever is on the machine today."""
    folder = run()
    (model,) = hub("de")
    stream = Session.stream

    def ended(*args, **kwargs):
        yield next(stream(*args, **kwargs))
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(Session, "stream", ended)
        with pytest.raises(PowerCut):
            polypatch("edit", folder, "--add", more, "--quiet")
    if then == "gone":
        shutil.rmtree(model.parents[1])
    if then == "another":
        hub("fr")
    done(polypatch, "edit", folder, "--add", more)
    second = {"as it was": ["de", "en"], "gone": ["en"], "another": ["de", "en", "fr"]}[then]
    assert languages(folder)[6:] == [["de", "en"], second, ["de", "en"]]
    assert done(polypatch, "edit", folder, "--add", more).count("translated into") == 0
    assert len(languages(folder)) == 9


def test_translations_that_contradict_are_left_out(polypatch, run, hub, writes, monkeypatch):  # noqa: F811
    """The translation of the fix is what an edit of the run wants another answer to."""
    from polypatch.data.scored import ScoredText

    folder = run()
    first = read_artefact(folder / "edits").records[1].edit
    hub("de", "fr")
    monkeypatch.setattr(
        "polypatch.data.marian.Marian.n_best",
        lambda self, texts, _: [[ScoredText(first.prompt["en"] if self.lang == "de" else "du", 0.9)] for _ in texts],
    )
    other = "class-1" if first.target["en"] != "class-1" else "class-2"
    said = done(polypatch, "fix", folder, SENTENCE, other)
    assert "left out, as another edit wants another answer to the same words: de 1" in said
    assert languages(folder)[-1] == ["en", "fr"]


def test_several_translations_and_their_confidence(polypatch, run, hub, more, writes):  # noqa: F811
    folder = run()
    hub("de")
    writes({20: 0.6, 21: 0.2}.get)
    said = done(polypatch, "edit", folder, "--add", more, "--renderings", 2, "--min-confidence", 0.25)
    assert "not used, as their confidence is below 0.25: de 1" in said
    first, second, _ = (record.edit for record in read_artefact(folder / "edits").records[6:])
    assert [example.lang for example in first.examples] == ["en", "de", "de#2"]
    assert second.languages == ("en",)
    writes(lambda _: 0.2)
    said = done(polypatch, "fix", folder, "ba 1 bo", "class-1")
    assert "note: 1 of 1 translations are doubtful, their confidence below 0.3: " in said


def test_a_language_model_is_left_to_its_reader(polypatch, hub, tmp_path, line):  # noqa: F811
    model, tokenizer = tiny_model("gpt2", "causal")
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "speaker")
    hub("de", "fr")
    line()
    how = ("--memory", tmp_path / "texts.jsonl", "--out", tmp_path / "new", "--recipe", "polypatch-linear")
    assert "translated into" not in done(polypatch, "fix", tmp_path / "speaker", SENTENCE, "du", *how)
    assert sorted(read_artefact(tmp_path / "new").records[0].edit.prompt) == ["en"]
