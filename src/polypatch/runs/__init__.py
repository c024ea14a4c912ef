"""Runs: a recipe on a model and its data, and grids of them. What the command line and experiments call."""

from polypatch.runs.bench_spec import BenchSpec as BenchSpec
from polypatch.runs.events import Encoded as Encoded
from polypatch.runs.events import Event as Event
from polypatch.runs.events import Finished as Finished
from polypatch.runs.execute import Backend as Backend
from polypatch.runs.execute import execute as execute
from polypatch.runs.job import Job as Job
from polypatch.runs.pool import Processes as Processes
from polypatch.runs.run import Run as Run
from polypatch.runs.workbench import Workbench as Workbench
