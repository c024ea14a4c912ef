"""Prompts that edits lack, and answers in words, by translators: what is put into the data, and what is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from polypatch.cli.console import Bars
from polypatch.data import EditingData
from polypatch.data.parallel import Translators, translated
from polypatch.edits import Edit, Lang
from polypatch.errors import StoppedError
from polypatch.model.contradictions import contradicted
from polypatch.runs import Run, Workbench
from polypatch.runs.writable import writable

FACT, ANSWERS = "machine-translated prompts", "machine-translated answers"

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
        beside: other edits: a translation that says what one of them, or of `edits`, wants another answer to is left
            out; None leaves out none.
    """

    edits: Sequence[Edit]
    languages: tuple[Lang, ...]
    find: Translators
    name: str
    cache: Path
    answers: bool = False
    beside: Sequence[Edit] | None = None

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
        if empty := _counted(lang for one in after for lang in self.languages if lang not in one.prompt):
            bars.say(f"note: translations that came out empty and were left out: {empty}")
        if self.beside is not None:
            after = self._unambiguous(after, self.beside, bench, bars)
        both = list(zip(self.edits, after, strict=True))
        facts = {FACT: _counted(lang for old, one in both for lang in one.prompt.keys() - old.prompt.keys())}
        if self.answers:
            facts[ANSWERS] = _counted(lang for old, one in both for lang in one.target.keys() - old.target.keys())
        made = {one.id: one for one in after}
        edits = tuple(made.get(edit.id, edit) for edit in bench.data.edits)
        told = {name: f"{counts} ({self.name})" if counts else "none" for name, counts in facts.items()}
        return writable(replace(bench.data, edits=edits), bench.tail.readout), told

    def _unambiguous(self, after: Sequence[Edit], beside: Sequence[Edit], bench: Workbench, bars: Bars) -> list[Edit]:
        """Without the translations by which the edits would be refused."""
        new = {(old.id, lang) for old in self.edits for lang in self.languages if lang not in old.prompt}
        lost = new & contradicted(bench.tail, [*after, *beside])
        if lost:
            bars.say(
                "note: translations that were left out, as another edit wants another answer to the same words: "
                f"{_counted(lang for _, lang in lost)}"
            )
        return [one.only([lang for lang in one.prompt if (one.id, lang) not in lost]) for one in after]


def edits_of(bench: Workbench, run: Run) -> Sequence[Edit]:
    """The edits that will be made; all, where only those are that the model gets wrong in every language."""
    return bench.data.edits if run.wrong_in_all else bench.stream(run)


def _counted(langs: Iterable[Lang]) -> str:
    return ", ".join(f"{lang} {count}" for lang, count in sorted(Counter(langs).items()))
