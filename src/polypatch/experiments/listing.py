"""THE TABLE of experiments: name -> what makes it. Adding one is its file and its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from polypatch.experiments.ablations import ablations, mpn_ablations
from polypatch.experiments.compare import compare
from polypatch.experiments.confidence import confidence
from polypatch.experiments.corpus import corpus
from polypatch.experiments.editors import editors
from polypatch.experiments.experiment import Experiment, Materials, Scale
from polypatch.experiments.growth import growth
from polypatch.experiments.language_models import language_models
from polypatch.experiments.massive import massive
from polypatch.experiments.reach import reach
from polypatch.experiments.table1 import table1
from polypatch.experiments.table2 import table2
from polypatch.experiments.table3 import table3

Maker: TypeAlias = Callable[[Scale, Materials], Experiment]

EXPERIMENTS: Mapping[str, Maker] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "massive": massive,
    "compare": compare,
    "corpus": corpus,
    "editors": editors,
    "ablations": ablations,
    "mpn-ablations": mpn_ablations,
    "growth": growth,
    "confidence": confidence,
    "lm": language_models,
    "reach": reach,
}
