"""The work behind ``polypatch edit``: edit, keep the edits, measure, write everything down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from polypatch.api import folds
from polypatch.cli.console import Bars, Stop, StoppedError
from polypatch.cli.first_failures import FirstFailures
from polypatch.cli.folder import clear, require_as_made
from polypatch.cli.results import Results, facts_of
from polypatch.cli.translating import StreamTranslation
from polypatch.data import EditingData
from polypatch.data.memory import Kept, read_memory, with_memory
from polypatch.data.source import DataSource, absolute
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Lang
from polypatch.errors import InputError
from polypatch.evaluation import Report
from polypatch.files import writing
from polypatch.model.contradictions import find_contradictions
from polypatch.model.one_language import known_in_one
from polypatch.model.overlooked import cut_texts
from polypatch.outcomes import EditOutcome
from polypatch.recipes import with_mapped
from polypatch.runs import BenchSpec, Run, Workbench
from polypatch.store.identity import Identity
from polypatch.store.journal import Journal
from polypatch.store.places import EDITS
from polypatch.store.session import recorded, taken_over

MOST_NAMED = 20


def edit_and_record(
    spec: BenchSpec,
    run: Run,
    folder: Path,
    bars: Bars,
    *,
    measured: Sequence[Lang] = (),
    memory: Path | None = None,
    no_memory: bool = False,
    probe: Path | None = None,
    keep_memory: str | None = "texts",
    translation: StreamTranslation | None = None,
    command: str = "",
    resume: bool = False,
    overwrite: bool = False,
) -> Results:
    """Do `run` and write its edits and its report into `folder`; with `resume`, go on where an earlier process stopped.

    Raises:
        StoppedError: Ctrl-C; the edits made so far are in `folder`.
        PolypatchError: whatever is wrong with the input, before the first edit; or a disk that refuses, later.
    """
    _check(run, spec)
    bench = spec.open(bars.opening)
    told = {"command": command, "model": spec.model}
    made_by: dict[str, str] = {}
    if translation is not None:
        bench.data, made_by = translation(bench, run, bars)
    bench.data = _remembering(bench.data, memory, no_memory)
    # An English memory protects English alone, whatever the recipe.
    run = replace(run, memory_languages=run.memory_languages or tuple(bench.data.memory))
    if probe is not None:
        texts = read_memory(probe, bench.data.edits[0].source)
        bench.probes = [text for row in texts.values() for text in row]
    run = _settled(run, bench.data, measured)
    stream = bench.stream(run)
    if not stream:
        raise InputError(f"{bench.data.name}: no edit is wrong in all of {', '.join(run.languages)}; nothing to do")
    source = DataSource(absolute(spec.data), spec.languages, spec.sizes, spec.seed, absolute(spec.parallel))
    parts = folds(stream, run.folds, run.seed) if run.folds > 1 else [stream]
    if no_memory:
        bars.say("note: no memory, so nothing keeps other answers as they are")
    _tell(bench, run, stream, bars)
    identity = Identity({**made_by, **bench.identity(run, parts)})
    with _giving_up(folder), Journal(folder, identity, resume=resume, overwrite=overwrite) as journal:
        if resume:
            require_as_made(folder)
        clear(folder)
        reports, outcomes = [], []
        width = bench.tail.site.hidden_size
        count = _Count(bars, run.name, len(stream), FirstFailures(run.recipe, run.built().at(width).editor, width))
        for fold, part in enumerate(parts):
            where = folder / (f"{EDITS}-{fold}" if run.folds > 1 else EDITS)
            report, made = _Fold(bench, run, part, fold, where, journal, source, keep_memory, memory).do(
                count, {**told, **made_by}
            )
            reports.append(report)
            outcomes += made
        results = Results(reports, command, facts_of(run, bench.data, spec, len(stream), width) | made_by, outcomes)
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


def _tell(bench: Workbench, run: Run, stream: Sequence[Edit], bars: Bars) -> None:
    """What a careful user would want to know of the edits before they are made."""
    if said := known_in_one(run.built(), [edit.only(run.languages) for edit in stream]):
        bars.say(f"note: {said}; --translate-to makes parallel prompts, --recipe polypatch-mapped --parallel maps")
    for said in cut_texts(bench.tail.readout, stream):
        bars.say(f"note: {said}")
    _name_contradictions(bench, run, stream, bars)


def _name_contradictions(bench: Workbench, run: Run, stream: Sequence[Edit], bars: Bars) -> None:
    """Say which edits the model can hardly tell apart and which want different answers."""
    found = find_contradictions(bench.tail, [edit.only(run.languages) for edit in stream])
    for pair in found[:MOST_NAMED]:
        bars.say(f"note: contradiction: {pair}")
    if len(found) > MOST_NAMED:
        bars.say(f"note: … and {len(found) - MOST_NAMED} more contradictions")


@dataclass
class _Fold:
    """One part of the stream, edited on its own."""

    bench: Workbench
    run: Run
    edits: Sequence[Edit]
    number: int
    where: Path
    journal: Journal
    source: DataSource
    keep_memory: str | None
    memory_file: Path | None

    def do(self, count: _Count, told: Mapping[str, str]) -> tuple[Report, list[EditOutcome]]:
        """Take over what the journal has, make the other edits, measure, write the edits."""
        edited = self.bench.attach(self.run)
        edited.data = self.source
        if self.memory_file is not None and isinstance(edited.kept, Kept):
            edited.kept = replace(edited.kept, file=self.memory_file)
        try:
            edited.artefact(memory=self.keep_memory)  # what cannot be saved is an error now
            with Stop(count.stopping) as stop:
                self._edit(edited, count, stop)
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

    def _edit(self, edited: EditedModel, count: _Count, stop: Stop) -> None:
        for outcome in taken_over(edited, self.journal, self.number):
            count.add(outcome)
        # A stream of no edits still says how they are made, which is written down with them.
        rest = edited.stream(self.edits[len(edited.records) :])
        for outcome in recorded(edited, self.journal, self.number, rest):
            count.add(outcome)
            if stop.asked:
                break

    def _keep(self, edited: EditedModel, report: Report | None = None) -> None:
        with writing(self.where):
            edited.save_pretrained(self.where, report=report, memory=self.keep_memory)


class _Count:
    """The bar over edits, and what it says at a Ctrl-C."""

    def __init__(self, bars: Bars, name: str, total: int, first: FirstFailures) -> None:
        self.bars, self.name, self.total, self.first = bars, name, total, first
        self.done = self.patches = self.triggered = self.took = 0

    def add(self, outcome: EditOutcome) -> None:
        """One more edit."""
        self.done += 1
        self.patches += outcome.patches
        self.triggered += outcome.triggered
        self.took += outcome.triggered and outcome.success
        if note := self.first.add(outcome):
            self.bars.say(note)
        note = "1 patch" if self.patches == 1 else f"{self.patches} patches"
        if self.triggered:
            note += f", {100 * self.took / self.triggered:.0f} % took"
        self.bars.update(self.name, self.done, self.total, note)

    def stopping(self) -> None:
        """Ctrl-C was heard."""
        self.bars.say("stopping after this edit; Ctrl-C once more gives it up")


def _check(run: Run, spec: BenchSpec) -> None:
    """Recipe and settings, before anything is loaded."""
    try:
        recipe = run.built()
        if spec.parallel:
            with_mapped(recipe, {})  # one that has no use for it is an error now
    except (ValueError, TypeError) as error:  # an editor refuses a value
        raise InputError(str(error)) from error


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
