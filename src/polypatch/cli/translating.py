"""The work behind ``polypatch edit --translate-to``: its options, read, and edits in the languages that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polypatch.cli.console import Bars
from polypatch.cli.machine_prompts import Translation, edits_of
from polypatch.cli.options import AUTO, NONE, pairs, translated_into
from polypatch.cli.unasked import UnaskedTranslation
from polypatch.data.parallel import TranslationSettings
from polypatch.data.seq2seq import INSTALL, lacking
from polypatch.data.translators import OPUS, Models
from polypatch.edits import Edit, Lang
from polypatch.errors import InputError
from polypatch.runs import Run, Workbench
from polypatch.runs.record import MadeData

CACHE = "translations.sqlite"


@dataclass(frozen=True)
class StreamTranslation:
    """What the command line says: see ``polypatch edit --help``."""

    languages: tuple[Lang, ...]
    cache: Path
    translator: str
    codes: Mapping[Lang, str]
    how: TranslationSettings

    def __call__(self, bench: Workbench, run: Run, bars: Bars) -> MadeData:
        """The edits that will be made, in these languages; raises as `Translation.of`."""
        before, answers = edits_of(bench, run), bench.tail.readout.answers is None
        if answers:
            given = {edit.id: edit for edit in bench.given}
            before = [self._with_prompts(edit, given) for edit in before]
        models = Models(self.translator, codes=self.codes)
        how = replace(self.how, answers=answers)
        return Translation(before, self.languages, models, models.name, self.cache, how).of(bench, bars)

    def _with_prompts(self, edit: Edit, given: Mapping[str, Edit]) -> Edit:
        """With the prompts that were left out for want of an answer, in the languages that get one now."""
        whole = given[edit.id]
        bare = {
            lang: whole.prompt[lang] for lang in self.languages if lang in whole.prompt.keys() - whole.target.keys()
        }
        return replace(edit, prompt={**edit.prompt, **bare})


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
    by = cache or folder / CACHE, translator or OPUS, pairs(given["translator_code"], "--translator-code")
    how = TranslationSettings(renderings=given["renderings"], min_confidence=given["min_confidence"])
    if typed is None or typed == AUTO:
        return UnaskedTranslation(folder, *by, named, frozenset(measured), how, given["resume"])
    languages = translated_into(typed)
    if (named or how != TranslationSettings()) and not languages:
        what = "a translator" if named else "--renderings or --min-confidence"
        raise InputError(f"--translate-to {typed or NONE} and {what}: give one of them")
    return StreamTranslation(languages, *by, how) if languages else None


def remedy(typed: str | None) -> str:
    """What a note says of edits that have one language: what to do, and what to install for it."""
    said = "--translate-to makes parallel prompts"
    return f"{said} ({INSTALL})" if typed in (None, AUTO) and lacking() else said
