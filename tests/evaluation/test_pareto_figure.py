from dataclasses import replace

import pytest

from polypatch.errors import InputError
from polypatch.evaluation import Locality, Report, aggregate
from polypatch.evaluation.pareto_figure import pareto_figure, worst_set

BASE = Report(recipe="a", clg_avg=80.0, locality={"test": Locality(1, 1, 99), "test.de": Locality(1, 1, 95)})


def test_points_stand_at_clg_and_the_worst_set():
    other = replace(BASE, recipe="b", clg_avg=90.0, locality={"test": Locality(1, 1, 97)})
    figure = pareto_figure([BASE, replace(BASE, clg_avg=84.0), other])
    (axes,) = figure.axes
    drawn = {
        container.get_label(): (container[0].get_xdata()[0], container[0].get_ydata()[0])
        for container in axes.containers
    }
    assert drawn == {"a (n = 2)": (95, 82), "b": (97, 90)}


def test_what_collapsed_is_named_and_not_drawn():
    broken = replace(BASE, recipe="broken", locality={"test": Locality(1, 1, 30)})
    (axes,) = pareto_figure([BASE, broken]).axes
    assert [container.get_label() for container in axes.containers] == ["a"]
    assert [text.get_text() for text in axes.texts] == ["not drawn: broken"]
    (alone,) = pareto_figure([broken]).axes  # unless there is nothing else
    assert len(alone.containers) == 1


def test_the_worst_set_is_that_of_the_lowest_mean():
    runs = [replace(BASE, locality={"x": Locality(1, 1, x), "y": Locality(1, 1, y)}) for x, y in ((99, 96), (91, 97))]
    (row,) = aggregate(runs)
    assert worst_set(row).mean == 95
    assert worst_set(aggregate([Report(recipe="a")])[0]) is None


def test_nothing_to_draw_is_said():
    with pytest.raises(InputError, match="no report has CLG and locality"):
        pareto_figure([Report(recipe="a")])
