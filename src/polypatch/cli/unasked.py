"""``--translate-to auto``: what the translators on this machine can do; on --resume, what the first command did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from polypatch.cli.console import Bars
from polypatch.cli.machine_prompts import Translation, edits_of
from polypatch.cli.translators_here import (
    LEFT_AS_THEY_ARE,
    NOTHING_TO_DO,
    Find,
    pairs_of,
    said_unasked,
    translators_into,
)
from polypatch.data.parallel import LanguagePair, TranslationSettings
from polypatch.data.scored import ScoredText
from polypatch.data.translate import Translator
from polypatch.data.translators import Models
from polypatch.edits import Edit, Lang
from polypatch.errors import DataError, InputError, JournalError
from polypatch.model.one_language import known_in_one
from polypatch.runs import Run, Workbench
from polypatch.runs.record import MadeData
from polypatch.store.journal import read_journal

UNASKED = "translated unasked"
"""By which translators a run was begun; one that is resumed goes on with these and no others."""


@dataclass(frozen=True)
class UnaskedTranslation:
    """``--translate-to auto``: edits with a prompt in one language only, by the translators on this machine.

    A language model's edits stay as they are, because nobody would have read their translated answers. So do edits
    whose languages are named: others are not wanted.

    Attributes:
        folder: of the run.
        cache: as for `StreamTranslation`.
        translator, codes: as there; `named` if any of these was given.
        measured: languages that are only measured.
        how: as for `StreamTranslation`.
        resume: go on with the run in the folder, by the translators that it was begun with.
    """

    folder: Path
    cache: Path
    translator: str
    codes: Mapping[Lang, str]
    named: bool
    measured: frozenset[Lang]
    how: TranslationSettings
    resume: bool

    def __call__(self, bench: Workbench, run: Run, bars: Bars) -> MadeData:
        """The edits in those languages of the memory; nothing is downloaded. Raises as `Translation.of`.

        Raises:
            InputError: a translator was named, and there is nothing for it to do.
        """
        edits, others = self._alone(bench, run)
        memory = [lang for lang in run.memory_languages if lang in bench.data.memory and lang not in self.measured]
        wanted = [lang for lang in memory if pairs_of(edits, lang)]
        if self.named and not wanted:
            raise InputError(NOTHING_TO_DO)
        begun = _begun(self.folder) if self.resume else None
        found = {lang: one for lang in wanted if (one := translators_into(edits, lang, self._find(begun)))}
        if not found:
            return MadeData(bench.data, {}, {})
        said = said_unasked(edits, wanted, found, self._models.named, resumed=begun is not None)
        bars.say(f"note: {said}")
        by = {pair: one for row in found.values() for pair, one in row.items()}
        work = Translation(edits, tuple(found), lambda *pair: by[pair], self.translator, self.cache, self.how)
        work = replace(work, beside=None if run.allow_contradictions else others)
        try:
            made = work.of(bench, bars)
        except DataError as error:
            how = "" if begun is not None else f"; {LEFT_AS_THEY_ARE}"
            raise DataError(f"{error}{how}") from error
        return made._replace(by={**made.by, UNASKED: _written(by)})

    def _alone(self, bench: Workbench, run: Run) -> tuple[list[Edit], list[Edit]]:
        """The edits that a note says to have one language, and the others."""
        if run.languages or bench.tail.readout.answers is None:
            return [], []
        edits = edits_of(bench, run)
        used = {edit.id: edit.only(set(edit.languages) - self.measured) for edit in edits}
        if not known_in_one(run.built(), list(used.values())):
            return [], []
        alone = [edit for edit in edits if len(used[edit.id].languages) == 1]
        return alone, [edit for edit in edits if len(used[edit.id].languages) > 1]

    @cached_property
    def _models(self) -> Models:
        return Models(self.translator, codes=self.codes, local=True)

    def _find(self, begun: Mapping[LanguagePair, str] | None) -> Find:
        """The translators on this machine; those that the run was begun with, here or not."""

        def find(source: Lang, lang: Lang) -> Translator | None:
            if begun is not None and (source, lang) not in begun:
                return None
            here = self._models.sure(source, lang)
            if begun is None or (here is not None and here.fingerprint == begun[source, lang]):
                return here
            return Remembered(begun[source, lang], self.cache)

        return find


@dataclass(frozen=True)
class Remembered:
    """A translator that is not here any more, or is another now: what it translated is in the cache."""

    fingerprint: str
    cache: Path

    def __call__(self, sentences: list[str]) -> list[str]:
        """Translate nothing.

        Raises:
            DataError: always; only what the cache does not hold is asked for.
        """
        raise DataError(
            f"{self.cache}: {len(sentences)} translations by {self.fingerprint} are not there, and this translator is "
            "not on this machine; start the run anew with --overwrite"
        )

    def n_best(self, sentences: list[str], count: int) -> list[list[ScoredText]]:
        """As a call."""
        del count
        return [[ScoredText(text)] for text in self(sentences)]


def _written(by: Mapping[LanguagePair, Translator]) -> str:
    return "; ".join(f"{source} to {lang} by {one.fingerprint}" for (source, lang), one in by.items())


def _begun(folder: Path) -> dict[LanguagePair, str] | None:
    """By which translators a run was begun; None where it was not."""
    try:
        facts, _ = read_journal(folder, tensors=False)
    except JournalError:  # said when the journal is opened, if it is damage
        return None
    found: dict[LanguagePair, str] = {}
    for row in filter(None, facts.get(UNASKED, "").split("; ")):
        pair, _, fingerprint = row.partition(" by ")
        source, _, lang = pair.partition(" to ")
        found[source, lang] = fingerprint
    return found
