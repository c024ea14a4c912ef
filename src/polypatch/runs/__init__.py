"""Runs: a recipe on a model and its data, and many of them side by side. What the command line and experiments call."""

from polypatch.runs.pool import Event as Event
from polypatch.runs.pool import execute as execute
from polypatch.runs.run import Run as Run
from polypatch.runs.workbench import BenchSpec as BenchSpec
from polypatch.runs.workbench import Workbench as Workbench
