"""The notebooks in docs/notebooks are run, cell by cell; what they show is what stands there, up to figures and times.

``POLYPATCH_WRITE=1 pytest tests/test_notebooks.py`` writes the outputs into them; look at the difference.
"""

from pathlib import Path

import pytest
import torch

from notebooks import run

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_stands_in_it(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        names = run(notebook)
        names["edited"].unload()


def test_there_are_two_of_them():
    assert [path.stem for path in NOTEBOOKS] == ["classifier", "language-model"]
