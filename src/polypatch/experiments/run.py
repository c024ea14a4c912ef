"""One of the experiments, run: its runs done, its numbers written down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import get_args

from polypatch.errors import InputError
from polypatch.experiments.experiment import Experiment, Materials, Scale
from polypatch.experiments.listing import EXPERIMENTS
from polypatch.experiments.nets import net_notes, train_nets
from polypatch.experiments.reproduction import Reproduction
from polypatch.experiments.results import Reproduced
from polypatch.experiments.small_nli import trained
from polypatch.files import writing
from polypatch.runs import Backend, Encoded, Event, Finished, execute
from polypatch.runs.events import OnEvent
from polypatch.training.callbacks import OnStep


@dataclass(frozen=True, kw_only=True)
class ExperimentRequest:
    """Which experiment, on what, and where its files go.

    Attributes:
        name: a row of `EXPERIMENTS`.
        scale: ``small`` or ``full``.
        model, data: what the caller brings; empty for what the experiment has of its own.
        out: the folder for its files.
        only: the title of the one table that is wanted; empty for all.
        seeds, orders: so many of them; None for the experiment's own.
        limit, folds: see `Run`; None for the experiment's own.
        rows: where finished runs are kept, and trained nets; None for `out`.
        cache: where queries are kept; None for a folder in `out`.
        half: keep them in half precision.
        parallel: a file of parallel text, in place of the data's.
        command: as it was typed.
    """

    name: str
    scale: str
    model: str
    data: str
    out: Path
    only: str = ""
    seeds: int | None = None
    orders: int | None = None
    limit: int | None = None
    folds: int | None = None
    rows: Path | None = None
    cache: Path | None = None
    half: bool = False
    parallel: Path | None = None
    command: str = ""


def run_experiment(
    experiment: Experiment,
    request: ExperimentRequest,
    on: Backend,
    on_event: OnEvent = lambda _: None,
    training: OnStep = lambda *_: None,
) -> Reproduced:
    """Train its editors' nets, run it and write its files; a net or a run that was finished before is not done again.

    Args:
        experiment: from `experiment_of`.
        request: what it was made of.
        on: where its runs are done.
        on_event: told about everything that moves.
        training: told of every step of a net's.

    Raises:
        PolypatchError: a setting, a model or data that cannot be used.
    """
    started = time.perf_counter()
    encoded: list[Encoded] = []
    stored = 0

    def tell(event: Event | Encoded | Finished) -> None:
        nonlocal stored
        if isinstance(event, Encoded):
            encoded.append(event)
        elif isinstance(event, Finished):
            stored += event.stored
        on_event(event)

    jobs, kept = experiment.jobs(), request.rows or request.out
    train_nets(jobs, kept, on_event, training)
    reports = execute(jobs, on=on, out=kept, on_event=tell)
    experiment = replace(experiment, notes=(*experiment.notes, *net_notes(chain.from_iterable(reports))))
    found = Reproduction(experiment, {job.key: done for job, done in zip(jobs, reports, strict=True)})
    spent = [f"{len(jobs)} runs, {stored} of them done before; {time.perf_counter() - started:.0f} s"]
    done = Reproduced(found, request.out, request.command, (*spent, *_encoding(encoded)))
    done.write()
    return done


def require_known(name: str, scale: str, known: Sequence[str]) -> None:
    """Refuse what is no experiment, or no scale.

    Raises:
        InputError: it is none.
    """
    if name not in known:
        raise InputError(f"no experiment is called {name!r}; there are {', '.join(known)}")
    if scale not in get_args(Scale):
        raise InputError(f"--scale {scale}: it is small or full")


def experiment_of(request: ExperimentRequest, training: OnStep = lambda *_: None) -> Experiment:
    """The experiment that is asked for; trains its model where it brings its own, telling `training` of every step.

    Raises:
        PolypatchError: an unknown name, or something that is not there.
    """
    require_known(request.name, request.scale, tuple(EXPERIMENTS))
    with writing(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
    scale: Scale = "full" if request.scale == "full" else "small"
    given = Materials(request.model, request.data)
    _require(request)
    if request.name == "table2" and scale == "small":
        given = given._replace(model=str(trained(given, request.out / "model", training)))
    experiment = EXPERIMENTS[request.name](scale, given)
    changes = {name: value for name in ("limit", "folds") if (value := getattr(request, name)) is not None}
    experiment = experiment.changed(**changes).only(request.only)
    seeds = experiment.seeds if request.seeds is None else tuple(range(request.seeds))
    orders = experiment.orders if request.orders is None else tuple(range(request.orders))
    cache, nets = str(request.cache or request.out / "queries"), str((request.rows or request.out) / "nets")
    return replace(
        experiment,
        seeds=seeds,
        orders=orders,
        spec=replace(
            experiment.spec,
            cache_dir=cache,
            nets_dir=nets,
            half=request.half,
            parallel=str(request.parallel or ""),
        ),
    )


_EITHER = ("compare", "corpus", "editors", "ablations", "mpn-ablations", "growth", "confidence", "reach")
"""Run on the embedded world where neither model nor data are named."""

_MAKE = {
    "table1": ("xfever-edit:FOLDER", "polypatch data xfever-edit", "polypatch train MODEL --preset xfever"),
    "table2": ("xnli:FOLDER", "the XNLI files", "polypatch train MODEL --preset xnli"),
    "massive": ("massive:FOLDER", "the MASSIVE files", "polypatch train MODEL --data massive:FOLDER"),
    "lm": ("facts-once:FILE", "facts that a language model was taught", "training it on them"),
}
_MAKE |= {"table3": _MAKE["table1"], **dict.fromkeys(_EITHER, _MAKE["massive"])}


def _require(request: ExperimentRequest) -> None:
    """The embedded world is taken where nothing is named, and only there."""
    on_world = ("table1", "table3", *(() if request.model or request.data else _EITHER))
    embedded = request.scale == "small" and request.name in on_world
    if embedded and (request.model or request.data):
        raise InputError(f"{request.name} --scale small runs on the embedded world: leave out --model and --data")
    if embedded:
        return
    data, files, model = _MAKE[request.name]
    if not request.data:
        raise InputError(f"{request.name} --scale {request.scale} needs --data {data} ({files})")
    if not request.model:
        made = "any small encoder" if (request.name, request.scale) == ("table2", "small") else f"made by {model}"
        raise InputError(f"{request.name} --scale {request.scale} needs --model MODEL ({made})")


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
