"""Experiments: one published table is one short file here. What ``polypatch reproduce`` runs."""

from polypatch.experiments.experiment import Contrast as Contrast
from polypatch.experiments.experiment import Experiment as Experiment
from polypatch.experiments.experiment import Materials as Materials
from polypatch.experiments.experiment import Scale as Scale
from polypatch.experiments.experiment import Table as Table
from polypatch.experiments.listing import EXPERIMENTS as EXPERIMENTS
