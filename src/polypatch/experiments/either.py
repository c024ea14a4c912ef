"""Experiments that run on the embedded world where nothing is named, and on MASSIVE where it is."""

from __future__ import annotations

from typing import NamedTuple

from polypatch.edits import Lang
from polypatch.experiments.experiment import Experiment, Materials, Scale
from polypatch.experiments.massive import FOURTEEN, SIX, massive
from polypatch.experiments.table1 import LANGUAGES, table1


class Either(NamedTuple):
    """What such an experiment starts from.

    Attributes:
        whole: Table 1, or MASSIVE's four tables.
        languages: the edit languages.
        memory: every language that there is memory in.
    """

    whole: Experiment
    languages: tuple[Lang, ...]
    memory: tuple[Lang, ...]


def either(scale: Scale, given: Materials) -> Either:
    """MASSIVE's streams where data are named, else the world's."""
    if given.data:
        return Either(massive(scale, given), SIX, FOURTEEN)
    return Either(table1(scale, given), LANGUAGES, LANGUAGES)
