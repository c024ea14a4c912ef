"""Job: one run on one workbench, the unit of every grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

from polypatch.runs.bench_spec import BenchSpec
from polypatch.runs.run import Run
from polypatch.store.identity import Identity


@dataclass(frozen=True)
class Job:
    """One run, and on which model and data.

    Attributes:
        spec: model and data.
        run: what is done with them.
    """

    spec: BenchSpec
    run: Run

    @property
    def key(self) -> str:
        """A name for files: the same job has the same key, wherever its queries, its world and its net are kept."""
        spec = replace(self.spec, cache_dir=None, world_dir=None, nets_dir=None)
        return f"{self.run.key}-{Identity.of_settings(spec).key}"
