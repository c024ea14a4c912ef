"""The paired bootstrap covers what it should as often as it should; transfer counts what a loop counts."""

from dataclasses import replace

import numpy as np
import pytest

from polypatch.errors import InputError
from polypatch.evaluation import evaluate, transfer
from polypatch.evaluation.bootstrap import interval
from polypatch.evaluation.paired import gain
from polypatch.evaluation.transfer_figure import transfer_figure

from .fakes import ANSWERS, EDITS, golden


def test_it_is_the_loop_over_resampled_edits():
    """Against a plain loop that draws edits one by one: the same distribution, within its own noise."""
    rng = np.random.default_rng(5)
    won, cells = rng.integers(-2, 4, 60), rng.integers(1, 6, 60)
    shares = []
    for _ in range(4000):
        drawn = [int(rng.integers(60)) for _ in range(60)]
        shares.append(100 * sum(won[i] for i in drawn) / sum(cells[i] for i in drawn))
    wanted = np.quantile(shares, [0.025, 0.975])
    got = interval(won, cells, draws=4000)
    assert got == pytest.approx(tuple(wanted), abs=1.5)
    assert got == interval(won, cells, draws=4000)
    assert got != interval(won, cells, draws=4000, seed=1)


@pytest.mark.slow
def test_it_covers_the_truth_nineteen_times_in_twenty(figure):
    """400 streams of 80 edits whose cells stand and fall together, true gain 20: how often is 20 inside?"""
    rng = np.random.default_rng(0)
    inside = naive = 0
    for stream in range(400):
        edit_won = rng.choice([-1, 0, 1], size=80, p=[0.1, 0.6, 0.3])
        low, high = interval(edit_won * 5, np.full(80, 5), draws=400)
        inside += low <= 20 <= high
        if stream < 100:  # the same cells drawn one by one, as if five languages were five edits
            low, high = interval(np.repeat(edit_won, 5), np.ones(400, dtype=int), draws=400)
            naive += low <= 20 <= high
    assert 0.90 <= inside / 400 <= 0.98
    assert naive / 100 < 0.75, "drawing cells instead of edits must show as too narrow"
    figure("bootstrap interval of 95 %: share that holds the truth", inside / 400)


def test_no_cells_no_interval():
    assert interval(np.array([], dtype=int), np.array([], dtype=int)) is None
    assert interval(np.array([0, 0]), np.array([0, 0])) is None
    assert interval(np.array([1]), np.array([2])) == (50.0, 50.0)


def test_seeds_are_pooled():
    """Two equal runs have twice the cells, the same gain, and an interval that is no wider."""
    a, b = (
        evaluate(golden(), EDITS),
        evaluate(replace(golden(), answers={k: (v[0], v[0]) for k, v in ANSWERS.items()}), EDITS),
    )
    one, two = gain(a, b).splits["all"], gain([a, a], [b, b]).splits["all"]
    assert (two.cells, two.won, two.lost) == (2 * one.cells, 2 * one.won, 2 * one.lost)
    assert (two.gain, two.a, two.b, two.before) == (one.gain, one.a, one.b, one.before)
    assert two.interval[1] - two.interval[0] <= one.interval[1] - one.interval[0]
    assert one.interval[0] <= one.gain <= one.interval[1]
    with pytest.raises(InputError, match="2 reports against 1"):
        gain([a, a], b)


def test_the_interval_is_in_the_table():
    a, b = evaluate(golden(), EDITS), evaluate(golden(), EDITS)
    assert "95 %" in gain(a, b).to_markdown()
    assert "+0.0 … +0.0" in gain(a, b).to_markdown()


def test_transfer_is_a_count_of_mended_cells():
    report = evaluate(golden(), EDITS)
    cells, found = report.cells, transfer([report, report])
    assert found.languages == cells.languages
    for i, trained in enumerate(found.trained):
        for j, lang in enumerate(found.languages):
            wrong = right = 0
            for row in range(len(cells.edits)):
                column = cells.languages.index(trained)
                if cells.trained[row, column] and cells.triggered[row] and not cells.source[row, column]:
                    wrong += cells.before[row, j] == 0
                    right += cells.before[row, j] == 0 and cells.after[row, j] == 1
            assert found.cells[i, j] == 2 * wrong, (trained, lang)
            if wrong:
                assert found.mended[i, j] == pytest.approx(100 * right / wrong)
            else:
                assert np.isnan(found.mended[i, j])
    assert found.cells.any()
    axes = transfer_figure(found).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(found.languages)
    assert len(axes.texts) == 2 * int((found.cells > 0).sum())


def test_no_transfer_is_said():
    report = evaluate(golden(), EDITS)
    with pytest.raises(InputError, match="no edit was trained"):
        transfer([replace(report, cells=replace(report.cells, trained=report.cells.source))])
