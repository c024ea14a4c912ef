"""How sure the mended answers are, against what that costs elsewhere: the confidence that `polypatch` asks for."""

from __future__ import annotations

from dataclasses import replace

from polypatch.experiments.compare import compare
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table

ASKED = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)
"""0 asks for the right answer alone."""

CHOSEN_ON = (3,)
"""The world that settings are chosen on; the tables of results are worlds 0 to 2."""


def confidence(scale: Scale, given: Materials) -> Experiment:
    """The comparison's own row at each confidence; memory in every language.

    On a world of its own where nothing is named. ``massive-dev`` is for choosing, ``massive`` for the result.
    """
    whole = compare(scale, given)
    own = next(row for row in whole.tables[1 if given.data else 0].rows if row.name == "polypatch-linear")
    rows = tuple(replace(own, settings={"confidence": asked}, title=_title(asked)) for asked in ASKED)
    table = Table(
        title="the confidence that is asked for",
        rows=rows,
        contrasts=tuple(Contrast(_title(asked), _title(0.0)) for asked in ASKED[1:]),
    )
    return replace(
        whole,
        name="confidence",
        title="how sure the mended answers are",
        tables=(table,),
        seeds=whole.seeds if given.data else CHOSEN_ON,
    )


def _title(asked: float) -> str:
    return f"polypatch, confidence = {asked:g}"
