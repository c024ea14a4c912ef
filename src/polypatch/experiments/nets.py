"""The nets of an experiment's editors: trained before its runs, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from polypatch.evaluation import Report
from polypatch.runs import Job
from polypatch.runs.events import OnEvent
from polypatch.runs.pool import opening
from polypatch.runs.store import Store
from polypatch.runs.workbench import Workbench
from polypatch.training.callbacks import OnStep
from polypatch.training.editor import NetRequest, train_editor
from polypatch.training.net_course import NetTraining

NOTE = (
    "Trained before the runs, which no seconds per edit count: a net for each row and seed, by practice on parallel "
    "text that is in no edit and no locality set. An edit of that is made on the unedited model and looked at in the "
    "source and one more language, whatever the sampler; in a stream each starts from what the ones before it left. "
    "Seconds, steps, held-out practice edits that take, and memory rows that keep their answer:"
)


def train_nets(jobs: Iterable[Job], kept: Path, on_event: OnEvent, report: OnStep) -> None:
    """Train every net that is not there yet and that a run needs which is not done yet, or go on with it.

    Args:
        jobs: those of one spec together.
        kept: where finished runs are kept.
        on_event: told how far models and data are made ready.
        report: told after each step.

    Raises:
        PolypatchError: model or data cannot be used, or a training fails.
    """
    store = Store(kept)
    waiting = [job for job in jobs if job.run.training is not None and store.load(job) is None]
    for spec, same in groupby(waiting, key=lambda job: job.spec):
        bench = spec.open(opening(on_event))
        by_net = {bench.nets.of(job.run): job for job in same}
        for folder, job in by_net.items():
            if not folder.exists():
                _train(job, bench, folder, report)


def _train(job: Job, bench: Workbench, folder: Path, report: OnStep) -> None:
    run, recipe = job.run, job.run.built()
    training = NetTraining(**{"seed": run.seed, **(run.training or {})})
    train_editor(
        NetRequest(recipe=recipe, training=training, languages=bench.remembered(run)),
        bench.tail_at(recipe.layer, recipe.reads),
        bench.data,
        folder,
        resume=True,
        report=lambda done, total, note: report(f"training the net of {run.name}, seed {run.seed}", done, total, note),
    )


def net_notes(reports: Iterable[Report]) -> tuple[str, ...]:
    """How long the nets behind these reports took, and how good they are, in words; nothing where there is none."""
    nets: dict[str, dict[int, Any]] = {}
    for report in reports:
        if "net" in report.config:
            nets.setdefault(report.recipe, {})[report.seed] = report.config["net"]  # one for all orders and folds
    said = ", ".join(f"{name} {_in_words(list(by_seed.values()))}" for name, by_seed in nets.items())
    return (f"{NOTE} {said}.",) if said else ()


def _in_words(nets: Sequence[Mapping[str, Any]]) -> str:
    seconds, steps = (fmean(net[name] for net in nets) for name in ("seconds", "steps_done"))
    took, stayed = (100 * fmean(net["best"][name] for net in nets) for name in ("took", "kept"))
    return f"{seconds:.0f} s ({steps:.0f} steps, {took:.0f} %, {stayed:.1f} %)"
