"""A run, recorded: every edit on disk before the next begins, then the edits, their report, and what was run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from polypatch.api import folds
from polypatch.data import EditingData
from polypatch.data.memory import Kept, read_memory, with_memory
from polypatch.data.source import DataSource, absolute
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Lang
from polypatch.errors import InputError, StoppedError
from polypatch.evaluation import Report
from polypatch.files import writing
from polypatch.model.contradictions import find_contradictions
from polypatch.model.one_language import known_in_one
from polypatch.model.overlooked import cut_texts
from polypatch.outcomes import EditOutcome
from polypatch.recipes import measures, with_mapped
from polypatch.runs.bench_spec import BenchSpec
from polypatch.runs.results import RunResults, facts_of
from polypatch.runs.run import Run
from polypatch.runs.workbench import Workbench
from polypatch.store.identity import Identity
from polypatch.store.journal import Journal
from polypatch.store.places import EDITS
from polypatch.store.run_folder import clear, require_as_made
from polypatch.store.session import recorded, taken_over

MOST_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What is to be run, and where it is written down.

    Attributes:
        spec: model and data.
        run: what is done with them.
        folder: for its edits, its journal and its report.
        measured: languages that are only measured.
        memory: a file of texts to leave alone, in place of the data's; `no_memory` goes without.
        probe: a file of texts for the guard, in place of the data's validation texts.
        keep_memory: how the memory is kept with the edits, as for `EditedModel.save_pretrained`.
        command: as it was typed.
        resume: go on where an earlier process stopped.
        overwrite: throw away what is in the folder.
        remedy: what gives edits the prompts they lack, as a note is to say it.
    """

    spec: BenchSpec
    run: Run
    folder: Path
    measured: Sequence[Lang] = ()
    memory: Path | None = None
    no_memory: bool = False
    probe: Path | None = None
    keep_memory: str | None = "texts"
    command: str = ""
    resume: bool = False
    overwrite: bool = False
    remedy: str = "--translate-to makes parallel prompts"


class Stopping(Protocol):
    """Whether somebody asked for an end after this edit."""

    asked: bool


class Watcher(Protocol):
    """Who looks on, and may ask for an end."""

    def opening(self, what: str, done: int, total: int) -> None:
        """Model and data are being made ready."""

    def say(self, line: str) -> None:
        """What a careful user would want to know."""

    def begins(self, run: Run, total: int, width: int) -> None:
        """So many edits follow, on a model so wide."""

    def made(self, outcome: EditOutcome) -> None:
        """One more edit."""

    def editing(self) -> AbstractContextManager[Stopping]:
        """Inside the block an end may be asked for without cutting an edit short."""


class MadeData(NamedTuple):
    """Data with prompts they lacked.

    Attributes:
        data: with them.
        by: what was made, and by what: for the report, and a part of what the run is.
        beside: what the report says of it beside that.
    """

    data: EditingData
    by: Mapping[str, str]
    beside: Mapping[str, str]


Translate: TypeAlias = Callable[[Workbench, Run], MadeData]
"""What makes them."""


def record_run(request: RunRequest, watcher: Watcher, translate: Translate | None = None) -> RunResults:
    """Do a run and write its edits and its report; with `resume`, go on where an earlier process stopped.

    Raises:
        StoppedError: an end was asked for; the edits made so far are in the folder.
        PolypatchError: whatever is wrong with the input, before the first edit; or a disk that refuses, later.
    """
    spec, run, folder = request.spec, request.run, request.folder
    _check(run, spec, request.no_memory)
    bench = spec.open(watcher.opening)
    told = {"command": request.command, "model": spec.model}
    bench.data = _remembering(bench.data, request.memory, request.no_memory)
    # An English memory protects English alone, whatever the recipe.
    run = replace(run, memory_languages=run.memory_languages or tuple(bench.data.memory))
    made = MadeData(bench.data, {}, {}) if translate is None else translate(bench, run)
    bench.data, made_by = made.data, {**made.by, **made.beside}
    if request.probe is not None:
        texts = read_memory(request.probe, bench.data.edits[0].source)
        bench.probes = [text for row in texts.values() for text in row]
    run = _settled(run, bench.data, request.measured)
    stream = bench.stream(run)
    if not stream:
        raise InputError(f"{bench.data.name}: no edit is wrong in all of {', '.join(run.languages)}; nothing to do")
    source = DataSource(absolute(spec.data), spec.languages, spec.sizes, spec.seed, absolute(spec.parallel))
    parts = folds(stream, run.folds, run.seed) if run.folds > 1 else [stream]
    if request.no_memory:
        watcher.say("note: no memory, so nothing keeps other answers as they are")
    _tell(bench, run, stream, watcher, request.remedy)
    identity = Identity({**made.by, **bench.identity(run, parts)})
    with _giving_up(folder), Journal(folder, identity, resume=request.resume, overwrite=request.overwrite) as journal:
        if request.resume:
            require_as_made(folder)
        clear(folder)
        reports, outcomes = [], []
        width = bench.tail.site.hidden_size
        watcher.begins(run, len(stream), width)
        for fold, part in enumerate(parts):
            where = folder / (f"{EDITS}-{fold}" if run.folds > 1 else EDITS)
            one = _Fold(bench, request, run, part, fold, where, journal, source)
            report, done = one.do(watcher, {**told, **made_by})
            reports.append(report)
            outcomes += done
        results = RunResults(
            reports, request.command, facts_of(run, bench.data, spec, len(stream), width) | made_by, outcomes
        )
        results.write(folder)
    return results


def _remembering(data: EditingData, memory: Path | None, without: bool) -> EditingData:
    """The data with the memory that is to be used.

    Raises:
        InputError: there is none, and nobody said that this is meant.
    """
    if without:
        return replace(data, memory={}, validation={})
    if memory is not None:
        return with_memory(data, read_memory(memory, data.edits[0].source))
    if not data.memory:
        raise InputError(
            f"{data.name}: the data have no memory, and without one many other answers change: give texts that must "
            "stay as they are with --memory FILE, or say --no-memory"
        )
    return data


@contextmanager
def _giving_up(folder: Path) -> Iterator[None]:
    """Say at a second Ctrl-C, or at one after the last edit, that what was made is not lost."""
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError(
            f"no report was written; the edits made so far are in the journal of {folder}, and the same command with "
            "--resume goes on"
        ) from None


def _tell(bench: Workbench, run: Run, stream: Sequence[Edit], watcher: Watcher, remedy: str) -> None:
    """What a careful user would want to know of the edits before they are made."""
    if said := known_in_one(run.built(), [edit.only(run.languages) for edit in stream]):
        watcher.say(f"note: {said}; {remedy}")
    for said in cut_texts(bench.tail.readout, stream):
        watcher.say(f"note: {said}")
    _name_contradictions(bench, run, stream, watcher)


def _name_contradictions(bench: Workbench, run: Run, stream: Sequence[Edit], watcher: Watcher) -> None:
    """Say which edits the model can hardly tell apart and which want different answers."""
    found = find_contradictions(bench.tail, [edit.only(run.languages) for edit in stream])
    for pair in found[:MOST_NAMED]:
        watcher.say(f"note: contradiction: {pair}")
    if len(found) > MOST_NAMED:
        watcher.say(f"note: … and {len(found) - MOST_NAMED} more contradictions")


@dataclass
class _Fold:
    """One part of the stream, edited on its own."""

    bench: Workbench
    request: RunRequest
    run: Run
    edits: Sequence[Edit]
    number: int
    where: Path
    journal: Journal
    source: DataSource

    def do(self, watcher: Watcher, told: Mapping[str, str]) -> tuple[Report, list[EditOutcome]]:
        """Take over what the journal has, make the other edits, measure, write the edits."""
        edited = self.bench.attach(self.run)
        edited.data = self.source
        if self.request.memory is not None and isinstance(edited.kept, Kept):
            edited.kept = replace(edited.kept, file=self.request.memory)
        try:
            edited.artefact(memory=self.request.keep_memory)  # what cannot be saved is an error now
            with watcher.editing() as stop:
                self._edit(edited, watcher, stop)
                if stop.asked:
                    self._keep(edited)
                    raise StoppedError(
                        f"{len(edited.outcomes)} of {len(self.edits)} edits are kept in {self.where}; no report was "
                        "written; the same command with --resume goes on"
                    )
            report = self.bench.report(edited, self.run, self.edits)
            report = replace(report, config={**report.config, **told})
            self._keep(edited, report)
            return report, list(edited.outcomes.values())
        finally:
            edited.unload()

    def _edit(self, edited: EditedModel, watcher: Watcher, stop: Stopping) -> None:
        for outcome in taken_over(edited, self.journal, self.number):
            watcher.made(outcome)
        # A stream of no edits still says how they are made, which is written down with them.
        rest = edited.stream(self.edits[len(edited.records) :])
        for outcome in recorded(edited, self.journal, self.number, rest):
            watcher.made(outcome)
            if stop.asked:
                break

    def _keep(self, edited: EditedModel, report: Report | None = None) -> None:
        with writing(self.where):
            edited.save_pretrained(self.where, report=report, memory=self.request.keep_memory)


def _check(run: Run, spec: BenchSpec, no_memory: bool) -> None:
    """Recipe and settings, before anything is loaded."""
    try:
        recipe = run.built()
        if spec.parallel:
            with_mapped(recipe, {})  # one that has no use for it is an error now
    except (ValueError, TypeError) as error:  # an editor refuses a value
        raise InputError(str(error)) from error
    if no_memory and measures(recipe.editor):
        raise InputError(
            f"--no-memory: {run.recipe} measures by the memory what is near; give texts by --memory FILE, or take "
            "--recipe polypatch-linear"
        )


def _settled(run: Run, data: EditingData, measured: Sequence[Lang]) -> Run:
    """The run with its languages spelled out, once the data say which there are."""
    has = tuple(dict.fromkeys(lang for edit in data.edits for lang in edit.languages))
    missing = [lang for lang in (*run.languages, *measured) if lang not in has]
    if missing:
        raise InputError(f"{data.name}: no edit has text in {', '.join(map(repr, missing))} (has: {', '.join(has)})")
    sources = {edit.source for edit in data.edits}
    languages = run.languages or tuple(lang for lang in has if lang not in measured or lang in sources)
    data.memory_texts(run.memory_languages)  # a language without memory is an error now
    return replace(run, languages=languages)
