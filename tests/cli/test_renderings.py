"""`--renderings` and `--min-confidence`: several translations of a prompt, and how sure the translator was."""

import re
from statistics import fmean

import pytest

from polypatch.cli.machine_prompts import CONFIDENCE, DOUBTFUL, FACT, RENDERINGS
from polypatch.data.scored import ScoredText
from polypatch.evaluation import load_reports
from polypatch.store.artefact import read_artefact
from polypatch.store.journal import read_journal

from .conftest import PowerCut
from .test_translate_unasked import hub, languages, line, network, ran, same, words  # noqa: F401


@pytest.fixture
def writes(monkeypatch):
    """Marian models write these: of each sentence so many texts, with confidences that `sure` gives by its number."""

    def put(sure, several=3):
        def n_best(self, texts, count):
            rows = [(f"{self.lang} {' '.join(reversed(text.split()))}", sure(int(text.split()[1]))) for text in texts]
            return [
                [ScoredText(f"{text} {'ba ' * i}".strip(), value / (1 + i)) for i in range(min(count, several))]
                for text, value in rows
            ]

        monkeypatch.setattr("polypatch.data.marian.Marian.n_best", n_best)

    return put


def records(folder):
    return read_artefact(folder / "edits").records


def config(folder):
    return load_reports(folder / "report.json")[1].config


def test_edits_are_made_with_several_translations(polypatch, line, hub, tmp_path):  # noqa: F811
    hub("de")
    plain = ran(polypatch, line, out=tmp_path / "plain")
    said = ran(polypatch, line, "--renderings", 3)
    assert "translated into de" in said
    assert "translated into de" in plain
    for one, other in zip(records(tmp_path / "run"), records(tmp_path / "plain"), strict=True):
        assert one.edit.prompt == other.edit.prompt
        assert not other.edit.renderings
        assert len(one.edit.renderings.get("de", ())) <= 2
        drawn = set(one.outcome.languages)
        assert drawn <= {example.lang for example in one.edit.examples}
    several = sum(len(record.edit.renderings.get("de", ())) for record in records(tmp_path / "run"))
    assert several > 5
    assert config(tmp_path / "run")[RENDERINGS] == f"de {several} (Helsinki-NLP/opus-mt-{{source}}-{{lang}})"
    assert RENDERINGS not in config(tmp_path / "plain")
    assert any("#" in lang for record in records(tmp_path / "run") for lang in record.outcome.languages)


def test_a_resumed_run_has_the_same_texts(polypatch, line, hub, cut, tmp_path):  # noqa: F811
    hub("de", "fr")
    ran(polypatch, line, "--renderings", 3, out=tmp_path / "whole")
    cut(lambda: polypatch(*line("--renderings", 3)), PowerCut, 2)
    ran(polypatch, line, "--renderings", 3, "--resume")
    same(tmp_path / "run", tmp_path / "whole")
    pairs = zip(records(tmp_path / "run"), records(tmp_path / "whole"), strict=True)
    assert all(one.edit == other.edit and one.edit.renderings for one, other in [*pairs][1:])
    assert config(tmp_path / "run")[CONFIDENCE] == config(tmp_path / "whole")[CONFIDENCE]
    other = polypatch(*line("--renderings", 2, "--resume"))
    assert other.code == 2
    assert "belongs to another run" in other.err.splitlines()[-1]


def test_what_is_learned_from_one_of_them_says_so(polypatch, line, hub, writes, tmp_path):  # noqa: F811
    hub("de")
    writes(lambda _: 0.9)
    argv = list(line("--renderings", 2))
    del argv[argv.index("--recipe") : argv.index("--quiet")]  # the default one
    done = polypatch(*argv)
    assert done.code == 0, done.err
    record = records(tmp_path / "run")[1]
    assert record.outcome.languages == ("en", "de", "de#2")
    assert record.outcome.patches == 3
    shown = polypatch("explain", tmp_path / "run", "--edit", record.outcome.edit_id)
    assert shown.code == 0, shown.err
    assert re.search(r"^de#2  ", shown.out, re.MULTILINE)
    told = polypatch("explain", tmp_path / "run", "--edit", record.outcome.edit_id, "--lang", "de", "--json").json()
    assert [row["lang"] for row in told] == ["de", "de#2"]
    assert [row["text"] for row in told] == [record.edit.prompt["de"], *record.edit.renderings["de"]]
    assert all(row["causes"][0]["edit"] == record.outcome.edit_id for row in told)
    assert "de#2" in polypatch("log", tmp_path / "run", "--trained-on", "de").out


def test_how_sure_translations_are_is_said_and_written_down(polypatch, line, hub, writes, tmp_path):  # noqa: F811
    hub("de", "fr")
    values = {1: 0.1, 2: 0.9, 3: 0.2, 4: 0.29, 5: 0.05}
    writes(values.get)
    said = ran(polypatch, line)
    assert f"note: 8 of 10 translations are doubtful, their confidence below {DOUBTFUL}: tiny-5 in de 0.05: de " in said
    assert "; tiny-5 in fr 0.05: fr " in said
    assert said.count(" in de 0.") + said.count(" in fr 0.") == 3
    assert f"--min-confidence {DOUBTFUL} does without them" in said
    mean = f"{fmean(values.values()):.2f}"
    expected = f"de mean {mean}, least 0.05; fr mean {mean}, least 0.05"
    assert config(tmp_path / "run")[CONFIDENCE] == expected
    assert f"* {CONFIDENCE}: {expected}" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert CONFIDENCE not in read_journal(tmp_path / "run")[0]


def test_translations_that_are_not_sure_enough_are_not_used(polypatch, line, hub, writes, tmp_path):  # noqa: F811
    hub("de")
    writes({1: 0.1, 2: 0.9, 3: 0.2, 4: 0.5, 5: 0.7}.get)
    said = ran(polypatch, line, "--min-confidence", 0.45, "--renderings", 3)
    assert "note: translations that are not used, as their confidence is below 0.45: de 2" in said
    assert "doubtful" not in said
    by = {record.edit.id: record.edit for record in records(tmp_path / "run")}
    assert languages(tmp_path / "run") == [["de", "en"], ["en"], ["de", "en"], ["en"], ["de", "en"], ["de", "en"]]
    assert {name: len(edit.renderings.get("de", ())) for name, edit in by.items()} == {
        **{f"tiny-{i}": 0 for i in range(6)},
        "tiny-2": 1,
    }
    assert config(tmp_path / "run")[CONFIDENCE] == "de mean 0.70, least 0.50"
    assert config(tmp_path / "run")[FACT].startswith("de 3 (")
    for wrong in ("1.5", "-1", "much"):
        assert polypatch(*line("--min-confidence", wrong)).code == 2
    assert polypatch(*line("--renderings", 0)).code == 2


def test_a_rendering_that_contradicts_goes_alone(polypatch, line, hub, monkeypatch, tmp_path):  # noqa: F811
    hub("de")

    def n_best(self, texts, count):
        return [[ScoredText(f"de {text}", 0.9), ScoredText("ba", 0.8), ScoredText(f"{text} ba", 0.7)] for text in texts]

    monkeypatch.setattr("polypatch.data.marian.Marian.n_best", n_best)
    allowed = [word for word in line("--renderings", 3) if word != "--allow-contradictions"]
    done = polypatch(*allowed)
    assert done.code == 0, done.err
    assert "left out, as another edit wants another answer to the same words: de 5" in words(done.err)
    for record in records(tmp_path / "run"):
        if record.edit.renderings:
            assert record.edit.renderings == {"de": (f"{record.edit.prompt['en']} ba",)}
    assert sum(bool(record.edit.renderings) for record in records(tmp_path / "run")) == 5


def test_nothing_to_translate_and_something_asked_of_it(polypatch, line, hub, tmp_path):  # noqa: F811
    hub("de")
    for more in (("--renderings", 2), ("--min-confidence", 0.5)):
        said = polypatch(*line("--translate-to", "none", *more)).refused()
        assert said == "--translate-to none and --renderings or --min-confidence: give one of them"
