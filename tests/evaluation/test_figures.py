from dataclasses import replace

import pytest
from matplotlib import rcParams
from matplotlib.text import Text

from polypatch.errors import InputError
from polypatch.evaluation import Report, evaluate
from polypatch.evaluation.figures import clg_figure, panel_figure, save_figure, trajectory_figure
from polypatch.evaluation.growth_figure import growth_figure
from polypatch.evaluation.length_figure import length_figure
from polypatch.evaluation.pareto_figure import pareto_figure
from polypatch.outcomes import TrajectoryPoint
from polypatch.runs.results import RunResults

from .fakes import EDITS, LOCALITY, golden

POINTS = [TrajectoryPoint(i, i, 100.0 - i, {"train": 90.0 - i / 10, "test.de": 80.0}) for i in range(4)]


@pytest.fixture
def report():
    return evaluate(golden(trajectory=POINTS), EDITS, LOCALITY)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_languages_run_from_the_originals_best_to_its_worst(report):
    figure = clg_figure([report])
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["fr", "de", "zh", "Avg"]
    assert legend(figure) == ["original", "mpn-all"]
    assert {text.get_text() for text in axes.texts} == {"50.0", "100.0", "66.7", "72.2"}


def test_runs_of_one_recipe_are_one_dot_with_a_bar(report):
    assert legend(clg_figure([report, replace(report, seed=1)])) == ["original", "mpn-all (n = 2)"]


def test_only_the_original(report):
    assert legend(clg_figure([report.original])) == ["original"]


def test_a_run_that_lacks_a_language(report):
    assert legend(clg_figure([report, replace(report, recipe="b", clg={"de": 1.0}, original=None)]))[-1] == "b"


def test_trajectory_panels(report):
    figure = trajectory_figure([report, replace(report, recipe="b", trajectory=(TrajectoryPoint(1, 1),))])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Reliability so far (%)", "Locality train (%)", "Patches"]
    assert legend(figure) == ["mpn-all", "b"]
    low, high = figure.axes[1].get_ylim()
    assert high - low >= 5 - 1e-9
    assert figure.axes[2].get_ylim()[0] == 0


def test_trajectory_of_chosen_sets(report):
    titles = [axes.get_title(loc="left") for axes in trajectory_figure([report], ["test.de"]).axes]
    assert "Locality test.de (%)" in titles


def test_nothing_to_draw():
    with pytest.raises(InputError, match="CLG"):
        clg_figure([Report("r")])
    with pytest.raises(InputError, match="CLG"):
        clg_figure([])
    with pytest.raises(InputError, match="trajectory"):
        trajectory_figure([Report("r")])


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_figures_are_written_whole(report, tmp_path, suffix, magic):
    path = save_figure(clg_figure([report]), tmp_path / "new" / f"clg.{suffix}")
    assert path.read_bytes().startswith(magic)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_figure_is_the_same_file(report, tmp_path, suffix):
    one = save_figure(clg_figure([report]), tmp_path / f"a.{suffix}").read_bytes()
    assert one == save_figure(clg_figure([report]), tmp_path / f"b.{suffix}").read_bytes()


FORMULA = r"$\foo$"
"""What is a name here, and a mistake to who takes it for mathematics."""


def drawn(report):
    """Every picture, with the formula wherever a name is the user's."""
    named = replace(report, recipe=FORMULA)
    sets = tuple(replace(at, locality={FORMULA: 90.0}) for at in POINTS)
    grown = [replace(named, recipe=f"{FORMULA}, {n} edits", edits=n) for n in (10, 100)]
    return {
        "clg": clg_figure([named]),
        "trajectory": trajectory_figure([replace(report, trajectory=sets)]),
        "panel": panel_figure([replace(named, trajectory=sets)], FORMULA, "patches"),
        "pareto": pareto_figure([named]),
        "growth": growth_figure(grown),
        "lengths": length_figure({FORMULA: [1, 2]}),
    }


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_a_name_with_dollar_signs_is_no_mathematics(report, tmp_path, suffix):
    for name, figure in drawn(report).items():
        assert any(FORMULA in text.get_text() for text in figure.findobj(Text)), name
        save_figure(figure, tmp_path / f"{name}.{suffix}")
        figure.savefig(tmp_path / f"own-{name}.{suffix}")  # as a notebook does, without our settings


def test_a_run_with_such_a_locality_set_is_written(report, tmp_path):
    locality = {FORMULA: next(iter(report.locality.values()))}
    sets = tuple(replace(at, locality={FORMULA: 90.0}) for at in POINTS)
    RunResults([replace(report, locality=locality, trajectory=sets)], "polypatch edit", {}).write(tmp_path / "run")
    assert (tmp_path / "run" / "trajectory.png").stat().st_size > 1000


def test_another_format_is_refused(report, tmp_path):
    with pytest.raises(InputError, match="use one of png, svg, pdf"):
        save_figure(clg_figure([report]), tmp_path / "clg.bmp")


def test_no_global_state(report, tmp_path):
    before = dict(rcParams)
    save_figure(clg_figure([report]), tmp_path / "clg.svg")
    assert dict(rcParams) == before
