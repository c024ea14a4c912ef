"""`polypatch edit --translate-to`: a file of edits in one language, tiny translation models."""

import json
import shlex
import signal
from pathlib import Path

import pytest

from polypatch.data import write_jsonl
from polypatch.data.marian import Marian
from polypatch.data.multilingual import Multilingual
from polypatch.evaluation import load_reports
from polypatch.store.artefact import read_artefact
from polypatch.testing import tiny_edits
from stopping import signalled, stopped

from .conftest import FAST, PowerCut

FACT = "machine-translated prompts"


@pytest.fixture(scope="module")
def templates(translators):
    """A template of Marian folders, and an NLLB folder."""
    return translators / "{source}-{lang}", translators / "nllb"


@pytest.fixture
def english(tmp_path):
    """Six edits in English; the first has a German prompt."""
    edits = [edit.only(["de"] if i == 0 else []) for i, edit in enumerate(tiny_edits(6, ("en", "de")))]
    write_jsonl(edits, tmp_path / "english.jsonl")
    return edits


@pytest.fixture
def line(checkpoint, templates, english, tmp_path):
    """A command line; contradictions are allowed, because random models write one sentence for several."""

    def made(*more, out=tmp_path / "run", translator=templates[0], to="de,fr"):
        data = ("--data", f"jsonl:{tmp_path / 'english.jsonl'}")
        named = ("--translator", translator) if translator else ()
        return (
            "edit",
            checkpoint,
            *data,
            "--no-memory",
            "--out",
            out,
            "--translate-to",
            to,
            *named,
            *FAST,
            "--allow-contradictions",
            *more,
        )

    return made


@pytest.fixture
def calls(monkeypatch):
    """What was translated, batch by batch; `stop_at` interrupts before that batch."""
    seen = []
    seen_stop = {"at": None}

    def watched(own):
        def call(self, batch, count):
            if len(seen) == seen_stop["at"]:
                raise KeyboardInterrupt
            seen.append((self.lang, tuple(batch)))
            return own(self, batch, count)

        return call

    for kind in (Marian, Multilingual):
        monkeypatch.setattr(kind, "n_best", watched(kind.n_best))
    return seen, seen_stop


def prompts(folder):
    return {record.edit.id: dict(record.edit.prompt) for record in read_artefact(folder / "edits").records}


def same(one, other):
    assert prompts(one) == prompts(other)
    assert (one / "edits" / "edits.safetensors").read_bytes() == (other / "edits" / "edits.safetensors").read_bytes()


@pytest.mark.parametrize("kind", ["marian", "nllb"])
def test_edits_are_made_with_the_prompts_that_were_translated(polypatch, line, templates, english, kind, tmp_path):
    ran = polypatch(*line("--json", translator=templates[kind == "nllb"]))
    assert ran.code == 0, ran.err
    assert set(ran.json()[1]["clg"]) == {"de", "fr"}
    made = prompts(tmp_path / "run")
    assert all(set(one) == {"en", "de", "fr"} and all(map(str.strip, one.values())) for one in made.values())
    assert made[english[0].id]["de"] == english[0].prompt["de"]
    report = load_reports(tmp_path / "run" / "report.json")[1]
    assert report.config[FACT].startswith("de 5, fr 6 (")
    assert f"* {FACT}: de 5, fr 6 (" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    used = {lang for outcome in read_artefact(tmp_path / "run" / "edits").outcomes for lang in outcome.languages}
    assert used <= {"en", "de", "fr"}


def test_languages_that_are_named_need_not_be_in_the_data(polypatch, line, tmp_path):
    ran = polypatch(*line("--languages", "en,de", "--eval-languages", "fr", "--json"))
    assert ran.code == 0, ran.err
    for outcome in read_artefact(tmp_path / "run" / "edits").outcomes:
        assert "fr" not in outcome.languages
    assert polypatch(*line("--languages", "en", "--overwrite")).code == 0
    assert set(next(reversed(prompts(tmp_path / "run").values()))) == {"en", "de", "fr"}
    message = polypatch(*line("--languages", "en,sw", out=tmp_path / "other")).refused()
    assert "no text in 'sw'" in message


def test_only_what_will_be_edited_is_translated(polypatch, line, calls):
    assert polypatch(*line("--limit", 2, "--order", 1)).code == 0
    assert sum(len(batch) for lang, batch in calls[0] if lang == "fr") == 2


def test_which_edits_are_wrong_in_all_languages_depends_on_the_translations(polypatch, line, tmp_path):
    ran = polypatch(*line("--wrong-in-all", "--folds", 2, "--json"))
    assert ran.code == 0, ran.err
    row = ran.json()[0]
    assert row["reliability"] == 0
    assert row["clg"] == {"de": 0, "fr": 0}
    assert f"* {FACT}: de 5, fr 6 (" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")


def test_a_cache_of_ones_own_is_used_again(polypatch, line, calls, tmp_path):
    cache = ("--translation-cache", tmp_path / "mine.sqlite")
    assert polypatch(*line(*cache)).code == 0
    done = len(calls[0])
    assert done > 0
    assert polypatch(*line(*cache, out=tmp_path / "again")).code == 0
    assert len(calls[0]) == done
    same(tmp_path / "run", tmp_path / "again")
    assert not (tmp_path / "run" / "translations.sqlite").exists()


def test_ctrl_c_while_translating_keeps_the_batches_before(polypatch, line, calls, tmp_path):
    seen, stop = calls
    stop["at"] = 1
    ran = polypatch(*line())
    assert ran.code == 130
    assert f"every finished batch is in {tmp_path / 'run' / 'translations.sqlite'}" in ran.err.splitlines()[-1]
    stop["at"] = None
    assert polypatch(*line()).code == 0  # nothing was edited, so there is nothing to resume
    assert [lang for lang, _ in seen] == ["de", "fr"]
    assert polypatch(*line(out=tmp_path / "whole")).code == 0
    same(tmp_path / "run", tmp_path / "whole")


def test_a_resumed_run_has_the_same_prompts_and_ends_alike(polypatch, line, calls, cut, tmp_path):
    assert polypatch(*line(out=tmp_path / "whole")).code == 0
    cut(lambda: polypatch(*line()), PowerCut, 2)
    before = len(calls[0])
    assert polypatch(*line("--resume")).code == 0
    assert len(calls[0]) == before
    same(tmp_path / "run", tmp_path / "whole")


def test_another_translator_is_another_run(polypatch, line, templates):
    assert polypatch(*line()).code == 0
    ran = polypatch(*line("--resume", translator=templates[1]))
    assert ran.code == 2
    # Long values are cut, and how long these are depends on where the test runs.
    assert f"belongs to another run: {FACT} was de 5, fr 6 (" in ran.err.splitlines()[-1]


def test_errors_are_one_line_and_leave_nothing(polypatch, line, templates, checkpoint, files, tmp_path, monkeypatch):
    def refused(*more, **options):
        return polypatch(*line(*more, **options)).refused()

    assert "no such folder" in refused(translator=tmp_path / "none" / "{lang}")
    assert "'bert'; translation needs" in refused(translator=checkpoint)
    assert "knows no language 'sw'; name its code" in refused(to="sw", translator=templates[1])
    assert "'German' is not a lower-case ISO 639" in refused(to="German")
    assert "knows no language 'xx'" in refused("--translator-code", "de=xx", translator=templates[1])
    assert "--translator-code 'de': expected NAME=VALUE" in refused("--translator-code", "de")
    assert "put {source} and {lang} into the name" in refused(
        translator=str(templates[0]).format(source="en", lang="de")
    )
    without = [word for word in line() if word not in ("--translate-to", "de,fr")]
    assert "--translate-to" in polypatch(*without).refused()
    alone = [word for word in without if word not in ("--translator", templates[0])]
    assert "--translate-to" in polypatch(*alone, "--translation-cache", tmp_path / "mine.sqlite").refused()
    monkeypatch.setattr("polypatch.data.seq2seq.EXTRA", ("no_such_package",))
    assert "pip install 'polypatch[translate]'" in refused()
    assert not (tmp_path / "run").exists()


def test_the_command_lines_of_the_documents_run(
    polypatch, checkpoint, templates, english, files, tmp_path, monkeypatch
):
    text = (Path(__file__).resolve().parents[2] / "docs" / "recipe.md").read_text(encoding="utf-8")
    lines = [
        shlex.split(line)
        for line in text.replace("\\\n", " ").splitlines()
        if line.startswith("polypatch") and "--translate-to de" in line
    ]
    assert len(lines) == 2
    monkeypatch.setattr("polypatch.cli.translating.OPUS", str(templates[0]))
    here = {"MODEL": checkpoint, "jsonl:english.jsonl": f"jsonl:{tmp_path / 'english.jsonl'}"}
    here["texts.jsonl"] = files / "memory.jsonl"
    here["facebook/nllb-200-distilled-600M"] = templates[1]
    for i, (program, *words) in enumerate(lines):
        assert program == "polypatch"
        ran = polypatch(*(here.get(word, word) for word in words[:-1]), tmp_path / str(i), "--allow-contradictions")
        assert ran.code == 0, ran.err


@pytest.mark.slow
def test_a_real_process_is_interrupted_and_its_command_goes_on(polypatch, line, tmp_path):
    """Ctrl-C amid the translations, a kill amid the edits: the same command ends as if neither had been."""
    assert polypatch(*line(out=tmp_path / "whole")).code == 0
    code, _, err = signalled(stopped(line(), "polypatch.data.marian:Marian.n_best", 2), signal.SIGINT)
    assert code == 130, err
    code, _, err = signalled(stopped(line("--resume"), "torch.autograd:grad", 30), signal.SIGKILL)
    assert code == -signal.SIGKILL, err
    finished = polypatch(*line("--resume"))
    assert finished.code == 0, finished.err
    same(tmp_path / "run", tmp_path / "whole")
    assert json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))[1]["edits"] == 6
