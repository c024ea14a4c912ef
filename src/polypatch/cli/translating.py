"""The work behind ``polypatch edit --translate-to``: the prompts, and answers in words, that edits lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from polypatch.cli.console import Bars
from polypatch.cli.options import as_list, pairs
from polypatch.data import EditingData
from polypatch.data.parallel import translated
from polypatch.data.translators import OPUS, Models
from polypatch.edits import Edit, Lang
from polypatch.errors import InputError, StoppedError
from polypatch.runs import Run, Workbench
from polypatch.runs.writable import writable

FACT, ANSWERS, CACHE = "machine-translated prompts", "machine-translated answers", "translations.sqlite"


@dataclass(frozen=True)
class StreamTranslation:
    """What the command line says: see ``polypatch edit --help``."""

    languages: tuple[Lang, ...]
    cache: Path
    translator: str
    codes: Mapping[Lang, str]

    def __call__(self, bench: Workbench, run: Run, bars: Bars) -> tuple[EditingData, dict[str, str]]:
        """The data with the prompts they lack, and what was translated, for the report.

        Only edits that will be made are translated; which these are depends on all, where only those are made that the
        model gets wrong in every language.

        Raises:
            StoppedError: Ctrl-C; all but the last batch is in the cache.
            PolypatchError: a model that cannot be had, a language that it does not know, a disk that refuses.
        """
        data = bench.data
        before = data.edits if run.wrong_in_all else bench.stream(run)
        models, answers = Models(self.translator, codes=self.codes), bench.tail.readout.answers is None
        if answers:
            given = {edit.id: edit for edit in bench.given}
            before = [self._with_prompts(edit, given) for edit in before]
        call = partial(translated, translator=models, cache=self.cache, answers=answers, progress=bars.update)
        try:
            after = call(before, self.languages)
        except KeyboardInterrupt:
            kept = f"every finished batch is in {self.cache}" if self.cache.exists() else "nothing was translated yet"
            raise StoppedError(f"no edit was made; {kept}; the same command goes on from there") from None
        new, said, empty = Counter[Lang](), Counter[Lang](), Counter[Lang]()
        for old, one in zip(before, after, strict=True):
            new.update(one.prompt.keys() - old.prompt.keys())
            said.update(one.target.keys() - old.target.keys())
            empty.update(set(self.languages) - one.prompt.keys())
        if empty:
            bars.say(f"note: translations that came out empty and were left out: {_counted(empty)}")
        made = {one.id: one for one in after}
        edits = tuple(made.get(edit.id, edit) for edit in data.edits)
        facts = {FACT: new, **({ANSWERS: said} if answers else {})}
        told = {name: f"{_counted(counts)} ({models.name})" if counts else "none" for name, counts in facts.items()}
        return writable(replace(data, edits=edits), bench.tail.readout), told

    def _with_prompts(self, edit: Edit, given: Mapping[str, Edit]) -> Edit:
        """With the prompts that were left out for want of an answer, in the languages that get one now."""
        whole = given[edit.id]
        bare = {
            lang: whole.prompt[lang] for lang in self.languages if lang in whole.prompt.keys() - whole.target.keys()
        }
        return replace(edit, prompt={**edit.prompt, **bare})


def translating(
    languages: str | None, translator: str | None, codes: Sequence[str] | None, cache: Path | None, run: Path
) -> StreamTranslation | None:
    """The options, read; None where nothing is to be translated. The cache is in the folder `run` unless named.

    Raises:
        InputError: a translator and nothing for it to do, or a code without its language.
    """
    wanted = as_list(languages)
    if not wanted and (translator or codes or cache):
        raise InputError("a translator without --translate-to: say which languages to translate into, such as de,fr")
    known = pairs(codes, "--translator-code")
    return StreamTranslation(wanted, cache or run / CACHE, translator or OPUS, known) if wanted else None


def _counted(counts: Counter[Lang]) -> str:
    return ", ".join(f"{lang} {count}" for lang, count in sorted(counts.items()))
