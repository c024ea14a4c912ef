"""The work behind ``polypatch edit --translate-to``: the prompts, and answers in words, that edits lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from polypatch.cli.console import Bars
from polypatch.cli.options import AUTO, NONE, pairs, translated_into
from polypatch.data import EditingData
from polypatch.data.parallel import LanguagePair, Translators, translated
from polypatch.data.seq2seq import INSTALL, lacking
from polypatch.data.translate import Translator
from polypatch.data.translators import OPUS, Models
from polypatch.edits import Edit, Lang
from polypatch.errors import DataError, InputError, JournalError, StoppedError
from polypatch.model.one_language import known_in_one
from polypatch.runs import Run, Workbench
from polypatch.runs.writable import writable
from polypatch.store.journal import read_journal

FACT, ANSWERS, CACHE = "machine-translated prompts", "machine-translated answers", "translations.sqlite"
UNASKED = "translated unasked"
"""Which translators --translate-to auto found; a run that is resumed goes on with these and no others."""

Made = tuple[EditingData, dict[str, str]]
"""The data with the prompts they lacked, and what was translated, for the report."""


@dataclass(frozen=True)
class Translation:
    """Edits to translate, and by what.

    Attributes:
        edits: as they were; those of a language model with the prompts that wait for an answer.
        languages: to translate into.
        find: the translators.
        name: of their model, for the report.
        cache: the file that keeps what was translated.
        answers: translate answers, too.
    """

    edits: Sequence[Edit]
    languages: tuple[Lang, ...]
    find: Translators
    name: str
    cache: Path
    answers: bool = False

    def of(self, bench: Workbench, bars: Bars) -> Made:
        """Translate.

        Raises:
            StoppedError: Ctrl-C; all but the last batch is in the cache.
            PolypatchError: a model that cannot be had, a language that it does not know, a disk that refuses.
        """
        call = partial(translated, translator=self.find, cache=self.cache, answers=self.answers, progress=bars.update)
        try:
            after = call(self.edits, self.languages)
        except KeyboardInterrupt:
            there = self.cache.exists()
            kept = f"every finished batch is in {self.cache}" if there else "nothing was translated yet"
            raise StoppedError(f"no edit was made; {kept}; the same command goes on from there") from None
        new, said, empty = Counter[Lang](), Counter[Lang](), Counter[Lang]()
        for old, one in zip(self.edits, after, strict=True):
            new.update(one.prompt.keys() - old.prompt.keys())
            said.update(one.target.keys() - old.target.keys())
            empty.update(set(self.languages) - one.prompt.keys())
        if empty:
            bars.say(f"note: translations that came out empty and were left out: {_counted(empty)}")
        made = {one.id: one for one in after}
        edits = tuple(made.get(edit.id, edit) for edit in bench.data.edits)
        facts = {FACT: new, **({ANSWERS: said} if self.answers else {})}
        told = {name: f"{_counted(counts)} ({self.name})" if counts else "none" for name, counts in facts.items()}
        return writable(replace(bench.data, edits=edits), bench.tail.readout), told


@dataclass(frozen=True)
class StreamTranslation:
    """What the command line says: see ``polypatch edit --help``."""

    languages: tuple[Lang, ...]
    cache: Path
    translator: str
    codes: Mapping[Lang, str]

    def __call__(self, bench: Workbench, run: Run, bars: Bars) -> Made:
        """The edits that will be made, in these languages; raises as `Translation.of`."""
        before, answers = _edits(bench, run), bench.tail.readout.answers is None
        if answers:
            given = {edit.id: edit for edit in bench.given}
            before = [self._with_prompts(edit, given) for edit in before]
        models = Models(self.translator, codes=self.codes)
        return Translation(before, self.languages, models, models.name, self.cache, answers).of(bench, bars)

    def _with_prompts(self, edit: Edit, given: Mapping[str, Edit]) -> Edit:
        """With the prompts that were left out for want of an answer, in the languages that get one now."""
        whole = given[edit.id]
        bare = {
            lang: whole.prompt[lang] for lang in self.languages if lang in whole.prompt.keys() - whole.target.keys()
        }
        return replace(edit, prompt={**edit.prompt, **bare})


@dataclass(frozen=True)
class UnaskedTranslation:
    """``--translate-to auto``: edits with a prompt in one language only, by the translators on this machine.

    An edit's answers in words are a guess that nobody has read, so a language model's edits stay as they are; and where
    the edit languages are named, others are not wanted.

    Attributes:
        folder: of the run.
        cache: as for `StreamTranslation`.
        translator, codes: as there; `named` if any of these was given.
        measured: languages that are only measured.
        resume: go on with the run in the folder, by the translators that it was begun with.
    """

    folder: Path
    cache: Path
    translator: str
    codes: Mapping[Lang, str]
    named: bool
    measured: frozenset[Lang]
    resume: bool

    def __call__(self, bench: Workbench, run: Run, bars: Bars) -> Made:
        """The edits in those languages of the memory; nothing is downloaded. Raises as `Translation.of`.

        Raises:
            InputError: a translator was named, and there is nothing for it to do.
        """
        edits = self._alone(bench, run)
        wanted = [lang for lang in run.memory_languages if lang in bench.data.memory and any(_pairs(edits, lang))]
        wanted = [lang for lang in wanted if lang not in self.measured]
        if self.named and not wanted:
            raise InputError(
                "a translator, and nothing for it to do: --translate-to auto translates a classifier's edits that have "
                "one language into the others of the memory; say which languages to translate into, such as de,fr"
            )
        begun = _begun(self.folder) if self.resume else None
        found = {lang: one for lang in wanted if (one := self._translators(edits, lang, begun))}
        if not found:
            return bench.data, {}
        bars.say(f"note: {self._said(edits, wanted, found, begun is not None)}")
        by = {pair: one for row in found.values() for pair, one in row.items()}
        work = Translation(edits, tuple(found), lambda *pair: by[pair], self.translator, self.cache)
        try:
            data, told = work.of(bench, bars)
        except DataError as error:
            raise DataError(f"{error}; --translate-to none leaves the edits as they are") from error
        return data, {**told, UNASKED: _written(by)}

    def _alone(self, bench: Workbench, run: Run) -> list[Edit]:
        """The edits that a note says to have one language."""
        if run.languages or bench.tail.readout.answers is None:
            return []
        edits = _edits(bench, run)
        used = {edit.id: edit.only(set(edit.languages) - self.measured) for edit in edits}
        if not known_in_one(run.built(), list(used.values())):
            return []
        return [edit for edit in edits if len(used[edit.id].languages) == 1]

    @cached_property
    def _models(self) -> Models:
        return Models(self.translator, codes=self.codes, local=True)

    def _translators(
        self, edits: Sequence[Edit], lang: Lang, begun: Mapping[LanguagePair, str] | None
    ) -> dict[LanguagePair, Translator]:
        """Those into a language from every source; empty where one is not to be had."""
        found: dict[LanguagePair, Translator] = {}
        for pair in _pairs(edits, lang):
            if begun is not None and pair not in begun:
                return {}
            here = self._models.sure(*pair)
            if begun is not None and (here is None or here.fingerprint != begun[pair]):
                found[pair] = Remembered(begun[pair], self.cache)
            elif here is not None:
                found[pair] = here
            else:
                return {}
        return found

    def _said(
        self,
        edits: Sequence[Edit],
        wanted: Sequence[Lang],
        found: Mapping[Lang, Mapping[LanguagePair, Translator]],
        resumed: bool,
    ) -> str:
        """What is done, by what, how it is left, and what would do more."""
        number = f"{len(edits)} edits that have" if len(edits) > 1 else "the edit, which has"
        into = ", ".join(
            f"{lang} (by {' and '.join(self._models.named(*pair) for pair in row)})" for lang, row in found.items()
        )
        said = f"{number} a prompt in one language only: translated into {into}; --translate-to none leaves it"
        if (missing := [lang for lang in wanted if lang not in found]) and not resumed:
            more = f"--translate-to {','.join(wanted)} downloads what the hub has"
            said += f". No translator on this machine for {', '.join(missing)}: {more}"
        return said


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


def translating(
    given: Mapping[str, Any], folder: Path, measured: Sequence[Lang]
) -> StreamTranslation | UnaskedTranslation | None:
    """The options of ``polypatch edit``, read; None where nothing is to be translated.

    Args:
        given: the options, by name.
        folder: of the run; the cache is there unless named.
        measured: languages that are only measured.

    Raises:
        InputError: a translator and nothing for it to do, or a code without its language.
    """
    typed, translator, cache = given["translate_to"], given["translator"], given["translation_cache"]
    named = bool(translator or given["translator_code"] or cache)
    how = cache or folder / CACHE, translator or OPUS, pairs(given["translator_code"], "--translator-code")
    if typed is None or typed == AUTO:
        return UnaskedTranslation(folder, *how, named, frozenset(measured), given["resume"])
    languages = translated_into(typed)
    if named and not languages:
        raise InputError(f"--translate-to {typed or NONE} and a translator: give one of them")
    return StreamTranslation(languages, *how) if languages else None


def remedy(typed: str | None) -> str:
    """What a note says of edits that have one language: what to do, and what to install for it."""
    said = "--translate-to makes parallel prompts"
    return f"{said} ({INSTALL})" if typed in (None, AUTO) and lacking() else said


def _edits(bench: Workbench, run: Run) -> Sequence[Edit]:
    """The edits that will be made; all, where only those are that the model gets wrong in every language."""
    return bench.data.edits if run.wrong_in_all else bench.stream(run)


def _pairs(edits: Sequence[Edit], lang: Lang) -> list[LanguagePair]:
    """What translates the edits into a language."""
    return [(source, lang) for source in dict.fromkeys(edit.source for edit in edits) if source != lang]


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


def _counted(counts: Counter[Lang]) -> str:
    return ", ".join(f"{lang} {count}" for lang, count in sorted(counts.items()))
