"""A model that writes freely, through evaluate(), report, tables and words; all figures counted by hand."""

import gzip
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from transformers import AutoModelForCausalLM, AutoTokenizer

import polypatch as pp
from polypatch.data import EditingData
from polypatch.edits import Edit, Labelled
from polypatch.evaluation import Report, evaluate, matrix, matrix_grid, source_errors, wrong_everywhere
from polypatch.evaluation.in_words import LEGEND, in_words, legend
from polypatch.evaluation.match import exact
from polypatch.evaluation.spelling import Spelling
from polypatch.evaluation.tables import answers_grid, locality_grid, results_grid
from polypatch.runs.writable import writable
from polypatch.sites import UNCHANGED

from .fakes import EDITS, LOCALITY, FakeEdited, FakeReadout, golden, outcome

SEA = Edit(
    "sea",
    {"en": "which sea?", "de": "welches Meer?", "zh": "哪个海?", "ru": "какое море?", "vi": "biển nào?"},
    {"en": "the Baltic Sea", "de": "die Ostsee", "zh": "波罗的海", "ru": "Балтийское море"},  # no target in Vietnamese
    rephrases={
        "en": ("Which sea", "name the sea", "and the sea?"),  # the first is the prompt
        "de": ("Welches Meer?", "wie heißt das Meer?"),
    },
)
YEAR = Edit(
    "year", {"en": "what year?", "de": "welches Jahr?", "ru": "какой год?"}, {"en": "1912", "de": "1912", "ru": "1912"}
)
RIVER = Edit("river", {"ru": "какая река?", "en": "which river?"}, {"ru": "Волга", "en": "Volga"}, source="ru")
SAID = {
    # source: exact before 1 of 3, after 2 of 3; F1 before (1/2 + 1 + 0) / 3, after (1 + 1 + 2/3) / 3
    "which sea?": ("the Black Sea", "Baltic Sea."),
    "what year?": ("1912", "in 1912"),
    "какая река?": ("Rhein", "Волга"),
    # parallel
    "welches Meer?": ("Schwarzes Meer", "Baltic Sea"),  # after: in English
    "哪个海?": ("black black black black", "波罗的海。"),  # before: Latin letters, in circles
    "какое море?": ("Чёрное море", "Ostsee"),  # after: in German
    "welches Jahr?": ("1911", "1912"),
    "какой год?": ("1912", "1912"),
    "which river?": ("Volga", "the Volga"),
    # other wordings
    "name the sea": ("Black Sea", "the BALTIC sea"),
    "and the sea?": ("Black Sea", "Black Sea"),
    "wie heißt das Meer?": ("Nordsee", "Ostsee"),
    # elsewhere: accuracy 2 of 3 before, 2 of 3 after, as before 1 of 3
    "capital?": ("Paris", "Paris"),
    "largest?": ("the Sun", "Sun"),
    "fastest?": ("a car", "a horse"),
    "Hauptstadt?": ("Paris", "Das Paris"),
}
KNOWN = {
    "known": [Labelled("capital?", "Paris"), Labelled("largest?", "The sun"), Labelled("fastest?", "cheetah")],
    "known.de": [Labelled("Hauptstadt?", "Paris")],
}
OUTCOMES = {
    "sea": outcome("sea", "en", "zh"),
    "year": outcome("year", triggered=False),
    "river": outcome("river", "ru"),
}
STREAM = (SEA, YEAR, RIVER)


def writing(**changes):
    return FakeEdited(SAID, OUTCOMES, labels={}, sampled_languages=("en", "zh"), **changes)


@pytest.fixture(scope="module")
def report():
    measured = evaluate(writing(), STREAM, KNOWN)
    return replace(measured, perplexity={"en": (20.0, 21.0), "de": (30.0, 36.0)})


def test_right_is_an_exact_match_of_normal_forms(report):
    assert report.reliability == pytest.approx(200 / 3)
    assert report.original.reliability == pytest.approx(100 / 3)
    assert report.clg == {"de": 50, "zh": 100, "ru": 50, "en": 100}
    assert report.original.clg == {"de": 0, "zh": 0, "ru": 50, "en": 100}
    assert report.source_errors == 2


def test_f1_beside_it(report):
    assert report.f1 == pytest.approx(100 * (1 + 2 / 3 + 1) / 3)
    assert report.original.f1 == pytest.approx(100 * (1 / 2 + 1 + 0) / 3)
    assert report.f1_clg == {"de": 50, "zh": 100, "ru": 50, "en": 100}
    assert report.original.f1_clg["ru"] == pytest.approx(100 * (1 / 2 + 1) / 2)


def test_confusion_and_repetition(report):
    assert report.confusion == {"de": 50, "zh": 0, "ru": 50, "en": 0}
    assert report.original.confusion == {"de": 0, "zh": 100, "ru": 0, "en": 0}
    assert (report.repetition, report.original.repetition) == (0, pytest.approx(100 / 9))


def test_what_does_not_count_is_counted_apart(report):
    assert report.mlg == 50  # of two
    assert report.clg_rephrase == 100  # of one
    assert report.left_out == {"rephrase_is_prompt": 2, "no_target_in_language": 1}
    assert "vi" not in report.clg


def test_three_localities(report):
    assert report.locality["known"] == (pytest.approx(200 / 3), 100, pytest.approx(100 / 3))
    assert report.locality["known.de"] == (100, 100, 0)  # the article is German: right still, but another string
    assert report.cost.languages == {"en": (3, 2), "de": (1, 1)}


def test_aliases_are_right_too():
    names = {"en": ("Mare Balticum",), "de": ("Baltisches Meer",)}
    edit = Edit("a", {"en": "q", "de": "f"}, {"en": "Baltic Sea", "de": "Ostsee"}, aliases=names)
    said = {"q": ("Black Sea", "mare balticum"), "f": ("Baltisches Meer", "Mare Balticum")}
    found = evaluate(FakeEdited(said, labels={}), [edit])
    assert (found.reliability, found.f1, found.original.f1) == (100, 100, 50)
    assert (found.clg, found.original.clg) == ({"de": 0}, {"de": 100})
    assert found.confusion == {"de": 100}


def test_what_the_tokenizer_cannot_write_is_no_error():
    """A target with accents, of a model that can write none; and one longer than its answers."""
    edit = Edit("a", {"es": "¿?", "de": "?"}, {"es": "Perú", "de": "x" * 41}, source="es")
    said = {"¿?": ("perú!", "PERU"), "?": ("peru", "x" * 41)}
    found = evaluate(FakeEdited(said, labels={}), [edit], {"known.es": [Labelled("¿?", "Perú")]})
    assert (found.reliability, found.original.reliability, found.f1) == (100, 100, 100)
    assert (found.clg, found.original.confusion) == ({"de": 100}, {"de": 100})
    assert found.locality["known.es"] == (100, 100, 0)


def test_a_report_round_trips(report):
    full = replace(report, teacher_forced={"en": (10.0, None)})
    again = Report.from_row(json.loads(full.to_json()))
    assert again == full
    assert again.to_row() == full.to_row()
    assert again.original.f1 == report.original.f1


def test_a_classifier_writes_nothing_of_it():
    found = evaluate(golden(), EDITS, LOCALITY)
    new = {"f1", "f1_clg", "confusion", "repetition", "perplexity", "teacher_forced", "left_out", "sources"}
    assert not new & found.to_row().keys()
    assert not new & found.original.to_row().keys()
    assert not answers_grid([found]).rows
    assert legend([found]) == LEGEND
    assert [line.split()[0] for line in in_words([found]).splitlines()[1:]] == ["Where", "Elsewhere:"]


def test_a_zero_is_written():
    nothing = evaluate(FakeEdited({"what year?": ("1", "2")}, labels={}), [YEAR.only([])])
    assert nothing.to_row()["f1"] == 0


def test_tables(report):
    forced = {"en": (50.0, 75.0), "de": (10.0, 20.0), "zh": (30.0, 60.0)}
    before = replace(report.original, sources=("en",))
    one = replace(report, sources=("en",), teacher_forced=forced, original=before)  # as if it had one source
    header = [column.title for column in results_grid([one]).columns]
    beside = slice(header.index("F1 source"), header.index("Repetition"))
    assert header[beside] == ["F1 source", "F1 CLG", "Teacher-forced source", "Teacher-forced CLG", "Confusion"]
    assert [row[beside][2:4] for row in results_grid([one]).rows] == [("50.0", "20.0"), ("75.0", "40.0")]
    of_two_sources = [column.title for column in results_grid([replace(report, teacher_forced=forced)]).columns]
    assert "Teacher-forced source" not in of_two_sources
    grid = answers_grid([one])
    assert [column.title for column in grid.columns] == [
        *("Language", "Recipe", "EM", "F1", "Teacher-forced", "Confusion", "Perplexity"),
    ]
    assert grid.rows[:4] == (
        ("en", "original", "33.3", "50.0", "50.0", "0.0", "20.0"),
        ("en", "mpn-all", "66.7", "88.9", "75.0", "0.0", "21.0"),
        ("de", "original", "0.0", "0.0", "10.0", "0.0", "30.0"),
        ("de", "mpn-all", "50.0", "50.0", "20.0", "50.0", "36.0"),
    )
    assert len(one.to_markdown().split("\n\n")) == 3
    assert locality_grid([one]).rows


@pytest.mark.parametrize("width", [40, 80, 100])
def test_tables_fit_the_terminal(report, width):
    console = Console(width=width, file=io.StringIO())
    for grid in (results_grid([report]), answers_grid([report]), matrix_grid(matrix([report]))):
        console.print(grid.to_console())
    assert max(map(len, console.file.getvalue().splitlines())) <= width


def test_words(report):
    full = replace(report, sources=("en",), teacher_forced={"en": (10.0, 90.0), "de": (20.0, 80.0)})
    assert in_words([full]).splitlines() == [
        "4 wrong sentences are right now, in 4 languages; 2 are still wrong; 1 that was right is wrong now.",
        "Where an edit was not trained: 50.0 % of its translations are right, 50.0 % before the edits.",
        "Elsewhere: 75.0 % of 4 other answers changed (de 100.0, en 66.7).",
        "Teacher-forced, 85.0 % of the targets' tokens are right; generated, 58.3 % of the answers.",
        "In the wrong language: 25.0 % of the answers, 25.0 % before the edits.",
        "Perplexity of plain text: 27.5, 24.5 before the edits (most in de: 36.0, 30.0 before).",
        "Not counted: 2 rephrases that equal their prompt, 1 question without a target in its language.",
    ]
    for word in ("EM (exact match)", "Confusion:", "Perplexity:", "Teacher-forced:"):
        assert word in legend([full])


def test_the_matrix_is_by_source(report):
    found = matrix([report])
    assert found.sources == ("en", "ru")
    assert found.languages == ("en", "ru", "de", "zh", "vi")
    assert found.cells.tolist() == [[2, 2, 2, 1, 0], [1, 1, 0, 0, 0]]
    np.testing.assert_array_equal(found.after, [[50, 50, 50, 100, np.nan], [100, 100, np.nan, np.nan, np.nan]])
    assert matrix_grid(found, original=True).rows == (
        ("en", "50.0", "50.0", "0.0", "0.0", "–"),
        ("ru", "100.0", "0.0", *"–––"),
    )
    assert found.plain()["ru"] == {"en": [1, 100.0, 100.0], "ru": [1, 0.0, 100.0]}


def test_subsets_of_generated_answers():
    said = {text: before for text, (before, _) in SAID.items()} | {"what year?": "1912."}
    assert wrong_everywhere(STREAM, said, ["en", "de"], readout=FakeReadout()) == (SEA,)
    assert source_errors(STREAM, said, readout=FakeReadout()) == 2
    assert source_errors(STREAM, said) == 3


@pytest.mark.real
@pytest.mark.slow
def test_on_a_real_model_right_is_what_its_rows_say(shared, figure):
    """Its tokenizer loses accents and parts marks from words: without its spelling of them many would be missed."""
    folder = shared / "models" / "mini-lm"
    with gzip.open(folder / "facts.jsonl.gz", "rt", encoding="utf-8") as lines:
        facts = [fact for fact in map(json.loads, lines) if fact["kind"] == "known"][:12]
    edits = [
        Edit(str(i), {lang: fact["prompt"][lang][0] for lang in fact["covered"]}, fact["answer"])
        for i, fact in enumerate(facts)
    ]
    edited = pp.attach(
        AutoModelForCausalLM.from_pretrained(folder),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        memory={"en": ["what is the weather like"]},
    )
    known = writable(EditingData("facts", tuple(edits), {}, {}, {}), edited.readout).edits
    examples = [example for edit in known for example in edit.examples]
    said = edited.answers_before_after([example.text for example in examples]).after
    pairs, spelling = list(zip(said, examples, strict=True)), Spelling(edited.readout)
    generated = sum(exact(answer, spelling([one.target]), one.lang) for answer, one in pairs)
    unspelled = sum(exact(answer, [one.target], one.lang) for answer, one in pairs)
    by_rows = sum(edited.tail.asked.right(edited.ask(examples), UNCHANGED))
    figure("real answers that are right", generated / len(examples))
    figure("the same without the model's spelling", unspelled / len(examples))
    assert by_rows - 2 <= generated <= by_rows  # a target of characters that it does not know reads as nothing
    assert unspelled < 0.9 * generated
    assert generated > 0.5 * len(examples)
