"""The work behind ``polypatch edit``: edit, keep the edits, measure, write everything down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from polypatch.cli.console import Bars, Stop, StoppedError
from polypatch.cli.folder import EDITS, clear, writing
from polypatch.cli.memory_file import read_memory, with_memory
from polypatch.cli.results import Results, facts_of
from polypatch.data import EditingData
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit, Lang
from polypatch.errors import InputError
from polypatch.evaluation import Report
from polypatch.outcomes import EditOutcome
from polypatch.runs import BenchSpec, Run, Workbench
from polypatch.sequence import folds


def edit_and_record(
    spec: BenchSpec,
    run: Run,
    folder: Path,
    bars: Bars,
    *,
    measured: Sequence[Lang] = (),
    memory: Path | None = None,
    command: str = "",
) -> Results:
    """Do `run` and write its edits and its report into `folder`.

    Raises:
        StoppedError: Ctrl-C; the edits made so far are in `folder`.
        PolypatchError: whatever is wrong with the input, before the first edit.
    """
    _check(run)
    bench = spec.open(bars.opening)
    if memory is not None:
        bench.data = with_memory(bench.data, read_memory(memory, bench.data.edits[0].source))
        run = replace(run, memory_languages=run.memory_languages or tuple(bench.data.memory))
    run = _settled(run, bench.data, measured)
    stream = bench.stream(run)
    if not stream:
        raise InputError(f"{bench.data.name}: no edit is wrong in all of {', '.join(run.languages)}; nothing to do")
    parts = folds(stream, run.folds, run.seed)
    if not bench.data.memory:
        bars.say("note: the data have no memory, so nothing keeps other answers as they are; give texts with --memory")
    clear(folder)
    reports, outcomes = [], []
    count = _Count(bars, run.name, len(stream))
    for fold, part in enumerate(parts if run.folds > 1 else [stream]):
        where = folder / (f"{EDITS}-{fold}" if run.folds > 1 else EDITS)
        report, made = _one_fold(bench, run, part, where, count)
        reports.append(replace(report, config={**report.config, "command": command, "model": spec.model}))
        outcomes += made
    results = Results(reports, command, facts_of(run, bench.data, spec, len(stream)), outcomes)
    results.write(folder)
    return results


def _one_fold(
    bench: Workbench, run: Run, edits: Sequence[Edit], where: Path, count: _Count
) -> tuple[Report, list[EditOutcome]]:
    edited = bench.attach(run)
    try:
        with Stop(count.stopping) as stop:
            for outcome in bench.edit(edited, run, edits):
                count.add(outcome)
                if stop.asked:
                    break
            _keep(edited, where)
        if stop.asked:
            raise StoppedError(
                f"{len(edited.outcomes)} of {len(edits)} edits are kept in {where}; no report was written"
            )
        return bench.report(edited, run, edits), list(edited.outcomes.values())
    finally:
        edited.unload()


def _keep(edited: EditedModel, where: Path) -> None:
    with writing(where):
        edited.save_pretrained(where)


class _Count:
    """The bar over edits, and what it says at a Ctrl-C."""

    def __init__(self, bars: Bars, name: str, total: int) -> None:
        self.bars, self.name, self.total = bars, name, total
        self.done = self.patches = self.triggered = self.took = 0

    def add(self, outcome: EditOutcome) -> None:
        """One more edit."""
        self.done += 1
        self.patches += outcome.patches
        self.triggered += outcome.triggered
        self.took += outcome.triggered and outcome.success
        note = "1 patch" if self.patches == 1 else f"{self.patches} patches"
        if self.triggered:
            note += f", {100 * self.took / self.triggered:.0f} % took"
        self.bars.update(self.name, self.done, self.total, note)

    def stopping(self) -> None:
        """Ctrl-C was heard."""
        self.bars.say("stopping after this edit; Ctrl-C once more gives it up")


def _check(run: Run) -> None:
    """Recipe and settings, before anything is loaded."""
    try:
        run.built()
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
