"""Sentence lengths and the paper's Figure 3."""

import pytest

from polypatch.data.lengths import length, lengths, mean, unit
from polypatch.edits import Edit
from polypatch.errors import InputError
from polypatch.evaluation.length_figure import length_figure


@pytest.mark.parametrize(
    ("text", "lang", "count"),
    [
        ("The bridge of Lund was built in 1880.", "en", 8),
        ("  Zwei\tWörter\n", "de", 2),
        ("بُني الجسر عام 1880.", "ar", 4),
        ("隆德的桥建于1880年。", "zh", 8),
        ("Nikolaj Coster-Waldau与福克斯合作。", "zh", 9),
        ("橋", "zh", 1),
        ("", "en", 0),
    ],
)
def test_length(text, lang, count):
    assert length(text, lang) == count


def test_units():
    assert {lang: unit(lang) for lang in ("en", "ar", "zh")} == {"en": "words", "ar": "words", "zh": "characters"}


def test_lengths_of_edits():
    edits = [
        Edit("1", {"en": "one two", "zh": "一二三"}, {"en": "x"}),
        Edit("2", {"en": ("a b", "c d e")}, {"en": "x"}),
    ]
    assert lengths(edits) == {"en": [2, 5], "zh": [3]}
    assert mean([2, 5]) == 3.5
    assert str(mean([])) == "nan"


def test_the_figure_has_a_line_and_a_mean_per_language():
    values = {"en": [3, 3, 4, 200], "zh": [9, 10, 10, 10] * 30, "ar": []}
    figure = length_figure(values, units={"zh": "characters"}, paper={"en": 8.2})
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "en  52.5 (paper 8.2)",
        "zh (characters)  9.8",
    ]
    english = axes.get_lines()[0]
    assert list(english.get_ydata()[:3]) == [50, 25, 0]
    assert sum(english.get_ydata()) == pytest.approx(100)
    assert axes.get_xlim() == (0, 201)
    long = length_figure({"en": [3] * 199 + [500]}).axes[0]
    assert long.get_xlim() == (0, 4)


def test_nothing_to_draw():
    with pytest.raises(InputError, match="no sentence in any language"):
        length_figure({"en": []})
