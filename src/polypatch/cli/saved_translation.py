"""``polypatch fix`` and ``edit --add``: the prompts that further edits lack, by name or by what is on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from polypatch.cli.console import Bars
from polypatch.cli.options import AUTO, NONE, translated_into
from polypatch.errors import DataError, InputError

if TYPE_CHECKING:  # torch is waited for once it is needed
    from polypatch.data.parallel import TranslationSettings
    from polypatch.edited_model import EditedModel
    from polypatch.edits import Edit, Lang


@dataclass(frozen=True)
class TranslationOptions:
    """What the options say about prompts that are missing; see ``polypatch edit --help``.

    Raises:
        InputError: a translator or what is asked of it, and ``--translate-to none``.
    """

    typed: str | None = None
    translator: str | None = None
    codes: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None
    renderings: int = 1
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        if self.typed == NONE and (self._named or self.renderings > 1 or self.min_confidence):
            what = "a translator" if self._named else "--renderings or --min-confidence"
            raise InputError(f"--translate-to {NONE} and {what}: give one of them")

    @property
    def unasked(self) -> bool:
        """Whether nobody said what to translate into."""
        return self.typed in (None, AUTO)

    @property
    def _named(self) -> bool:
        return bool(self.translator or self.codes or self.cache)

    def __call__(
        self, edits: Sequence[Edit], edited: EditedModel, bars: Bars, beside: Sequence[Edit] | None
    ) -> Sequence[Edit]:
        """The edits with the prompts they lacked; of a language model, where languages are named, with the answers.

        Args:
            edits: as they were given.
            edited: the model that is to learn them.
            bars: progress, and notes.
            beside: the edits that are there; unasked, no translation contradicts one of them. None allows it.

        Raises:
            InputError: a translator was named, and there is nothing for it to do, or it is not here.
            PolypatchError: a model that cannot be had, a language that it does not know.
        """
        from polypatch.cli.machine_prompts import Translation
        from polypatch.data.parallel import TranslationSettings
        from polypatch.data.translators import OPUS, Models

        answers, name = edited.readout.answers is None, self.translator or OPUS
        how = TranslationSettings(answers=answers, renderings=self.renderings, min_confidence=self.min_confidence)
        if languages := translated_into(self.typed):
            models = Models(name, codes=self.codes)
            return Translation(edits, languages, models, name, self.cache, how).made(edited.tail, bars)[0]
        return edits if self.typed == NONE else self._unasked(edits, edited, how, bars, beside)

    def _unasked(
        self,
        edits: Sequence[Edit],
        edited: EditedModel,
        how: TranslationSettings,
        bars: Bars,
        beside: Sequence[Edit] | None,
    ) -> Sequence[Edit]:
        from polypatch.cli.machine_prompts import Translation
        from polypatch.cli.translators_here import (
            LEFT_AS_THEY_ARE,
            NOTHING_TO_DO,
            pairs_of,
            said_unasked,
            translators_into,
        )
        from polypatch.data.translators import OPUS, Models

        alone = _alone(edits, edited)
        wanted = [lang for lang in _memory_languages(edited) if pairs_of(alone, lang)] if alone else []
        if self._named and not wanted:
            raise InputError(NOTHING_TO_DO)
        if not wanted:
            return edits
        models = Models(self.translator or OPUS, codes=self.codes, local=True)
        found = {lang: row for lang in wanted if (row := translators_into(alone, lang, models.sure))}
        if self._named and not found:
            raise InputError(
                f"{models.name}: not whole on this machine, or not known to write {', '.join(wanted)}; to take it all "
                f"the same: --translate-to {','.join(wanted)}"
            )
        if not found:
            return edits
        bars.say(f"note: {said_unasked(alone, wanted, found, models.named)}")
        by = {pair: one for row in found.values() for pair, one in row.items()}
        others = None if beside is None else [*beside, *(edit for edit in edits if edit not in alone)]
        work = Translation(alone, tuple(found), lambda *pair: by[pair], models.name, self.cache, how, others)
        try:
            made = {one.id: one for one in work.made(edited.tail, bars)[0]}
        except DataError as error:
            raise DataError(f"{error}; {LEFT_AS_THEY_ARE}") from error
        return [made.get(edit.id, edit) for edit in edits]


def _alone(edits: Sequence[Edit], edited: EditedModel) -> list[Edit]:
    """Those that are translated unasked: as by ``polypatch edit``, not where the run's languages were named."""
    from polypatch.model.one_language import known_in_one

    named = edited.data is not None and edited.data.languages
    if named or edited.readout.answers is None or not known_in_one(edited.recipe, edits):
        return []
    return [edit for edit in edits if len(edit.languages) == 1]


def _memory_languages(edited: EditedModel) -> list[Lang]:
    """Those in which there are texts to leave alone; none where no memory was kept."""
    from polypatch.edits import is_lang

    kept = None if edited.kept is None else edited.kept.read()
    return [] if kept is None else [lang for lang in dict.fromkeys(kept.langs.values()) if is_lang(lang)]
