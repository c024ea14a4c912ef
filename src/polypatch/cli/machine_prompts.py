"""Prompts that edits lack, and answers in words, by translators: what is put into the data, and what is said of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

from polypatch.cli.console import Bars
from polypatch.cli.shown import shown
from polypatch.data.parallel import MachineTranslation, TranslationSettings, Translators, counted, machine_translated
from polypatch.edits import Edit, Lang, language_of
from polypatch.errors import StoppedError
from polypatch.model.contradictions import contradicted
from polypatch.runs import Run, Workbench
from polypatch.runs.record import MadeData
from polypatch.runs.writable import writable
from polypatch.sites import Tail

FACT, ANSWERS = "machine-translated prompts", "machine-translated answers"
RENDERINGS, CONFIDENCE = "machine-translated renderings", "confidence of machine translations"

DOUBTFUL = 0.3
"""A confidence below which a note names a translation. A guess: no real translation model was at hand to tune it on."""
NAMED = 3
"""Doubtful translations that a note names."""


@dataclass(frozen=True)
class Translation:
    """Edits to translate, and by what.

    Attributes:
        edits: as they were; those of a language model with the prompts that wait for an answer.
        languages: to translate into.
        find: the translators.
        name: of their model, for the report.
        cache: the file that keeps what was translated; None keeps nothing.
        how: what of the translations becomes part of an edit.
        beside: other edits: a translation that says what one of them, or of `edits`, wants another answer to is left
            out; None leaves out none.
    """

    edits: Sequence[Edit]
    languages: tuple[Lang, ...]
    find: Translators
    name: str
    cache: Path | None
    how: TranslationSettings = field(default_factory=TranslationSettings)
    beside: Sequence[Edit] | None = None

    def made(self, tail: Tail, bars: Bars) -> tuple[list[Edit], list[MachineTranslation]]:
        """The edits, translated, and what was made; `tail` is of the model that is to learn them.

        Raises:
            StoppedError: Ctrl-C; all but the last batch is in the cache.
            PolypatchError: a model that cannot be had, a language that it does not know, a disk that refuses.
        """
        try:
            after, made = machine_translated(
                self.edits, self.languages, self.find, self.cache, self.how, progress=bars.update
            )
        except KeyboardInterrupt:
            there = self.cache is not None and self.cache.exists()
            kept = f"every finished batch is in {self.cache}" if there else "no translation is kept"
            raise StoppedError(f"no edit was made; {kept}; the same command goes on from there") from None
        for said in said_of(after, self.languages, made, self.how):
            bars.say(f"note: {said}")
        if self.beside is not None:
            after = self._unambiguous(after, self.beside, tail, bars)
        return after, made

    def of(self, bench: Workbench, bars: Bars) -> MadeData:
        """The same for the data of a run."""
        after, made = self.made(bench.tail, bars)
        by = {one.id: one for one in after}
        edits = tuple(by.get(edit.id, edit) for edit in bench.data.edits)
        data = writable(replace(bench.data, edits=edits), bench.tail.readout)
        return MadeData(data, self._facts(after), _confidences(after, made))

    def _facts(self, after: Sequence[Edit]) -> dict[str, str]:
        """What was made, by language, and by which model."""
        both = list(zip(self.edits, after, strict=True))
        facts = {FACT: counted(lang for old, one in both for lang in one.prompt.keys() - old.prompt.keys())}
        if self.how.answers:
            facts[ANSWERS] = counted(lang for old, one in both for lang in one.target.keys() - old.target.keys())
        if self.how.renderings > 1:
            facts[RENDERINGS] = counted(
                language_of(lang) for old, one in both for lang in _new(old, one) - {*one.prompt}
            )
        return {name: f"{counts} ({self.name})" if counts else "none" for name, counts in facts.items()}

    def _unambiguous(self, after: Sequence[Edit], beside: Sequence[Edit], tail: Tail, bars: Bars) -> list[Edit]:
        """Without the translations by which the edits would be refused."""
        new = {(old.id, lang) for old, one in zip(self.edits, after, strict=True) for lang in _new(old, one)}
        lost = new & contradicted(tail, [*after, *beside])
        if lost:
            bars.say(
                "note: translations that were left out, as another edit wants another answer to the same words: "
                f"{counted(language_of(lang) for _, lang in lost)}"
            )
        return [_without(one, {lang for name, lang in lost if name == one.id}) for one in after]


def said_of(
    after: Sequence[Edit], languages: Sequence[Lang], made: Sequence[MachineTranslation], how: TranslationSettings
) -> Iterator[str]:
    """What a careful user would want to know of translations."""
    seen = {(one.edit_id, one.lang) for one in made}
    if empty := counted(lang for e in after for lang in languages if lang not in e.prompt and (e.id, lang) not in seen):
        yield f"translations that came out empty and were left out: {empty}"
    if lost := counted(one.lang for one in made if not one.used):
        yield f"translations that are not used, as their confidence is below {how.min_confidence:g}: {lost}"
    sure = [(one.confidence, one) for one in made if one.used and one.confidence is not None]
    if doubtful := sorted((row for row in sure if row[0] < DOUBTFUL), key=lambda row: row[0]):
        named = "; ".join(
            f"{shown(one.edit_id, 40)} in {one.lang} {value:.2f}: {shown(one.text, 60)}"
            for value, one in doubtful[:NAMED]
        )
        more = "; …" if len(doubtful) > NAMED else ""
        yield (
            f"{len(doubtful)} of {len(sure)} translations are doubtful, their confidence below {DOUBTFUL:g}: "
            f"{named}{more}. --min-confidence {DOUBTFUL:g} does without them"
        )


def _confidences(after: Sequence[Edit], made: Sequence[MachineTranslation]) -> dict[str, str]:
    """Of the translations in use, mean and least by language; empty where none is known."""
    inside = {(edit.id, lang) for edit in after for lang in edit.prompt}
    by: dict[Lang, list[float]] = {}
    for one in made:
        if one.used and one.confidence is not None and (one.edit_id, one.lang) in inside:
            by.setdefault(one.lang, []).append(one.confidence)
    rows = [f"{lang} mean {fmean(values):.2f}, least {min(values):.2f}" for lang, values in sorted(by.items())]
    return {CONFIDENCE: "; ".join(rows)} if rows else {}


def _new(old: Edit, one: Edit) -> set[Lang]:
    """The texts that an edit has now, by the names of their examples."""
    return {example.lang for example in one.examples} - {example.lang for example in old.examples}


def _without(edit: Edit, lost: Collection[Lang]) -> Edit:
    """The edit without these texts; a language without its prompt goes as a whole."""
    edit = edit.only([lang for lang in edit.prompt if lang not in lost])
    kept = {lang: tuple(e.text for e in edit.examples_in(lang)[1:] if e.lang not in lost) for lang in edit.renderings}
    return replace(edit, renderings={lang: texts for lang, texts in kept.items() if texts})


def edits_of(bench: Workbench, run: Run) -> Sequence[Edit]:
    """The edits that will be made; all, where only those are that the model gets wrong in every language."""
    return bench.data.edits if run.wrong_in_all else bench.stream(run)
