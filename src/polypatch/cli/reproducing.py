"""The work behind ``polypatch reproduce``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, get_args

from rich.console import Console

from polypatch.cli.board import Board
from polypatch.cli.console import Bars
from polypatch.cli.lengths import Lengths, measured_lengths
from polypatch.cli.options import require_model
from polypatch.cli.reproduced import Reproduced
from polypatch.cli.small_nli import trained
from polypatch.errors import InputError
from polypatch.experiments import EXPERIMENTS, Experiment, Materials, Scale
from polypatch.experiments.reproduction import Reproduction
from polypatch.files import writing
from polypatch.runs import Backend, Encoded, Processes, execute

FIGURE_3 = "figure3"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One command line."""

    name: str
    scale: str
    model: str
    data: str
    out: Path
    seeds: int | None
    orders: int | None
    limit: int | None
    folds: int | None
    rows: Path | None
    cache: Path | None
    half: bool
    jobs: int
    parallel: Path | None
    ray: str | None
    command: str


class Printed(Protocol):
    """What a reproduction shows."""

    def show(self, console: Console) -> None:
        """For people."""

    def to_json(self) -> str:
        """For ``--json``."""


def reproduce_experiment(wanted: Wanted, bars: Bars) -> Printed:
    """Run it and write its files.

    Raises:
        PolypatchError: an unknown name, something that is not there, or data that cannot be used.
    """
    known = (*EXPERIMENTS, FIGURE_3)
    if wanted.name not in known:
        raise InputError(f"no experiment is called {wanted.name!r}; there are {', '.join(known)}")
    if wanted.scale not in get_args(Scale):
        raise InputError(f"--scale {wanted.scale}: it is small or full")
    with writing(wanted.out):
        wanted.out.mkdir(parents=True, exist_ok=True)
    if wanted.name == FIGURE_3:
        return _figure(wanted, bars)
    started = time.perf_counter()
    experiment = _experiment(wanted, bars)
    jobs = experiment.jobs()
    board = Board(jobs, bars)
    reports = execute(jobs, on=_backend(wanted), out=wanted.rows or wanted.out, on_event=board.show)
    found = Reproduction(experiment, {job.key: done for job, done in zip(jobs, reports, strict=True)})
    spent = [f"{len(jobs)} runs, {board.stored} of them done before; {time.perf_counter() - started:.0f} s"]
    printed = Reproduced(found, wanted.out, wanted.command, (*spent, *_encoding(board.encodings)))
    printed.write()
    return printed


def _experiment(wanted: Wanted, bars: Bars) -> Experiment:
    scale: Scale = "full" if wanted.scale == "full" else "small"
    given = Materials(wanted.model, wanted.data)
    _require(wanted)
    if wanted.name == "table2" and scale == "small":
        given = given._replace(model=str(trained(given, wanted.out / "model", bars)))
    experiment = EXPERIMENTS[wanted.name](scale, given)
    changes = {name: value for name in ("limit", "folds") if (value := getattr(wanted, name)) is not None}
    experiment = experiment.changed(**changes)
    seeds = experiment.seeds if wanted.seeds is None else tuple(range(wanted.seeds))
    orders = experiment.orders if wanted.orders is None else tuple(range(wanted.orders))
    cache = str(wanted.cache or wanted.out / "queries")
    return replace(
        experiment,
        seeds=seeds,
        orders=orders,
        spec=replace(experiment.spec, cache_dir=cache, half=wanted.half, parallel=str(wanted.parallel or "")),
    )


_EITHER = ("compare", "corpus", "editors", "ablations", "mpn-ablations", "growth", "confidence")
"""Run on the embedded world where neither model nor data are named."""

_MAKE = {
    "table1": ("xfever-edit:FOLDER", "polypatch data xfever-edit", "polypatch train MODEL --preset xfever"),
    "table2": ("xnli:FOLDER", "the XNLI files", "polypatch train MODEL --preset xnli"),
    "massive": ("massive:FOLDER", "the MASSIVE files", "polypatch train MODEL --data massive:FOLDER"),
}
_MAKE |= {"table3": _MAKE["table1"], **dict.fromkeys(_EITHER, _MAKE["massive"])}


def _require(wanted: Wanted) -> None:
    """The embedded world is taken where nothing is named, and only there."""
    on_world = ("table1", "table3", *(() if wanted.model or wanted.data else _EITHER))
    embedded = wanted.scale == "small" and wanted.name in on_world
    if embedded and (wanted.model or wanted.data):
        raise InputError(f"{wanted.name} --scale small runs on the embedded world: leave out --model and --data")
    if embedded:
        return
    data, files, model = _MAKE[wanted.name]
    if not wanted.data:
        raise InputError(f"{wanted.name} --scale {wanted.scale} needs --data {data} ({files})")
    if not wanted.model:
        made = "any small encoder" if (wanted.name, wanted.scale) == ("table2", "small") else f"made by {model}"
        raise InputError(f"{wanted.name} --scale {wanted.scale} needs --model MODEL ({made})")
    require_model(wanted.model)


def _backend(wanted: Wanted) -> Backend:
    if wanted.ray is None:
        return Processes(wanted.jobs)
    if wanted.jobs > 1:
        raise InputError("--jobs is for this machine alone; on Ray every free core gets a run")
    from polypatch.runs.cluster import Cluster

    return Cluster(wanted.ray)


def _encoding(all_encoded: Sequence[Encoded]) -> list[str]:
    """What was encoded, in words."""
    said = []
    for one in all_encoded:
        cache = one.cache
        speed = f" in {one.seconds:.0f} s ({one.fresh / one.seconds:,.0f} a second)" if one.fresh else ""
        said.append(
            f"encoded {one.fresh:,} of {one.texts:,} texts{speed}; the cache has {cache.texts:,} × {cache.hidden_size} "
            f"numbers as {cache.dtype}, {cache.disk_bytes / 1e6:,.0f} MB on disk"
            + (f", rounded by {cache.rounding:.1g} at most" if cache.rounding else "")
        )
    return said


def _figure(wanted: Wanted, bars: Bars) -> Lengths:
    if wanted.scale == "full" and not wanted.data:
        raise InputError("figure3 --scale full needs --data xfever-edit:FOLDER (polypatch data xfever-edit)")
    if wanted.model:
        raise InputError("figure3 is of the data alone: leave out --model")
    return measured_lengths(wanted.data, wanted.out, wanted.limit, bars)
