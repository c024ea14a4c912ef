from dataclasses import replace

import pytest

from polypatch.errors import InputError
from polypatch.evaluation import Locality, Report
from polypatch.evaluation.growth_figure import growth_figure

LONG = Report(recipe="a, 500 edits", edits=500, reliability=99.0, patches=40, locality={"test": Locality(1, 1, 97)})
SHORT = replace(LONG, recipe="a, 100 edits", edits=100, patches=9)


def test_a_line_per_recipe_from_its_shortest_stream_to_its_longest():
    other = replace(SHORT, recipe="b, 100 edits", patches=5)
    figure = growth_figure([LONG, SHORT, replace(SHORT, patches=11), other])
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    drawn = {line.get_label(): [*map(tuple, line.get_xydata().tolist())] for line in panels["Patches"].lines}
    assert drawn == {"a": [(100, 10), (500, 40)], "b": [(100, 5)]}
    (worst, _) = panels["As before, worst set (%)"].lines
    assert worst.get_xydata().tolist() == [[100, 97], [500, 97]]
    # What no report has leaves its panel empty.
    assert [len(line.get_xdata()) for line in panels["Seconds per edit"].lines] == [0, 0]


def test_one_length_is_no_growth():
    with pytest.raises(InputError, match="equally many edits"):
        growth_figure([SHORT, replace(SHORT, recipe="b, 100 edits")])
