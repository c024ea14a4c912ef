"""Edits made in other languages than their own, in turn."""

from polypatch.edits import Edit
from polypatch.evaluation import matrix
from polypatch.runs import Run
from polypatch.runs.source import made_in

FULL = Edit("full", {"en": "a", "de": "b", "fr": "c"}, {"en": "x", "de": "y", "fr": "z"})
HALF = Edit("half", {"en": "a", "fr": "c"}, {"en": "x", "fr": "z"})
LABEL = Edit("label", {"en": "a", "de": "b"}, {"en": "class-1"})


def test_the_languages_take_turns_and_an_edit_without_one_goes_to_the_next():
    made = made_in([FULL, HALF, FULL, LABEL, LABEL, HALF], ("en", "de", "fr"))
    assert [edit.source for edit in made] == ["en", "fr", "fr", "en", "de", "fr"]
    assert made[2].target == FULL.target
    assert made[4].target_in("de") == "class-1"
    assert made_in([HALF], ("ru", "de")) == [HALF]
    assert made_in([FULL, HALF], ()) == [FULL, HALF]


def test_a_run_in_turn_has_a_matrix_whose_diagonal_is_its_reliability(spec):
    bench = spec.open()
    languages = ("en", "de", "fr")
    run = Run(recipe="polypatch-linear-one", k=0, sources=languages)
    (report,) = bench.run(run)
    found = matrix([report])
    assert found.sources == found.languages == languages
    assert found.cells.tolist() == [[4] * 3] * 3
    assert found.after.diagonal().mean() == report.reliability == 100
    assert not (report.cells.trained & ~report.cells.source).any()  # one language alone
    assert bench.stream(Run(recipe="polypatch")) == list(bench.data.edits)
