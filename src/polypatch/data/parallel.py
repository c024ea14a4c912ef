"""translated(): edits that have no parallel prompts get them from a translator, before anything is edited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import Annotated

from polypatch.cautions import caution
from polypatch.data.given import edits_in
from polypatch.data.scored import ScoredText
from polypatch.data.translate import Translator, translate_scored
from polypatch.data.translation_cache import TranslationCache
from polypatch.data.translators import OPUS, Models
from polypatch.edits import Edit, Lang, Text, words_of
from polypatch.errors import InputError
from polypatch.languages import languages_in
from polypatch.settings import Settings, at_least, between

Translators = Callable[[Lang, Lang], Translator]
"""(language read, language written) -> what translates between them; `polypatch.data.translators.Models` is one."""

LanguagePair = tuple[Lang, Lang]

Found = Mapping[str, Sequence[ScoredText]]
"""Sentence -> its translations."""


@dataclass(frozen=True, kw_only=True)
class TranslationSettings(Settings):
    """What of a translator's work becomes part of an edit; see `translated`."""

    answers: bool = False
    renderings: Annotated[int, at_least(1)] = 1
    min_confidence: Annotated[float, between(0, 1)] = 0.0
    batch_size: int = 32

    def doubts(self, confidence: float | None) -> bool:
        """Whether a translation is left out; one of which nothing is known is, where anything is asked for."""
        return self.min_confidence > 0 and (confidence is None or confidence < self.min_confidence)


@dataclass(frozen=True)
class MachineTranslation:
    """What a translator made of an edit in one language.

    Attributes:
        edit_id, lang: the edit and the language.
        text: the prompt, or of a prompt that was there the answer.
        confidence: of the least sure of what was translated: the prompt, each part of a pair, the answer. None where it
            is not known.
        used: it is part of the edit; False where it is less sure than was asked for.
    """

    edit_id: str
    lang: Lang
    text: Text
    confidence: float | None
    used: bool


def translated(
    edits: Iterable[Edit],
    languages: Iterable[Lang],
    *,
    translator: str | Translators = OPUS,
    cache: str | PathLike[str] | None = None,
    answers: bool = False,
    renderings: int = 1,
    min_confidence: float = 0.0,
    batch_size: int = 32,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Edit]:
    """The edits with a prompt in each of `languages`: those they lack are translated from their source language.

    A prompt that is there stays as it is. Both parts of a pair are translated, each by itself. Rephrases and probes are
    not translated. A class label is one string in every language, so the target is the source's; what a language model
    is to write is not, so with `answers` a target that is lacking is translated as well, by itself: whether it goes on
    from the translated prompt, in the right case and order, is for a reader of both to say. A prompt of which a
    translation, or that of its answer, came out empty is left out. With nothing to translate no model is asked for.

    With several `renderings` the best translation is the prompt, and the other ones are `Edit.renderings`, which are
    learned like it. A translation's confidence is the geometric mean of its tokens' probabilities, exp(mean log p); it
    says how sure the translator was, not whether it was right.

    Args:
        edits: in any source languages; their order stays.
        languages: an edit's own source among them is passed over.
        translator: a folder or a hub name, in which ``{source}`` and ``{lang}`` stand for the languages: Marian models
            of one pair each, or one of many languages (NLLB-200, M2M100, mBART-50). Or what gives a translator for two
            languages.
        cache: a file that keeps every translation, for the next time; None keeps them for this call alone.
        answers: translate targets, too: of edits of a language model.
        renderings: translations of a prompt, at most: where they come out alike there are fewer.
        min_confidence: translations with a lower one, from 0 to 1, are not used, and a warning says how many. The least
            sure part of a pair counts, and of prompt and answer the less sure one.
        batch_size: sentences per call of a translator.
        progress: called as (what is translated, sentences done, in all).

    Raises:
        InputError: no language, or what is none; a translator that does not know one, or gives one translation without
            its confidence where more is asked for; a setting out of its range; the extra is not installed.
        DataError: no such model, or not a translation model; the disk refuses. What was translated before is kept.
    """
    how = TranslationSettings(
        answers=answers, renderings=renderings, min_confidence=min_confidence, batch_size=batch_size
    )
    after, made = machine_translated(edits, languages, translator, cache, how, progress)
    if lost := counted(one.lang for one in made if not one.used):
        caution(f"translations that are not used, as their confidence is below {min_confidence:g}: {lost}")
    return after


def machine_translated(
    edits: Iterable[Edit],
    languages: Iterable[Lang],
    translator: str | Translators,
    cache: str | PathLike[str] | None,
    how: TranslationSettings,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[list[Edit], list[MachineTranslation]]:
    """The edits as `translated` gives them, and what was made; arguments and errors as there."""
    edits, wanted = edits_in(edits), _checked(languages)
    missing: dict[LanguagePair, list[str]] = {}
    for lang in wanted:
        for edit in edits:
            if texts := _lacking(edit, lang, how.answers):
                missing.setdefault((edit.source, lang), []).extend(texts)
    if not isinstance(translator, str) and not callable(translator):
        raise InputError(f"translator is {translator!r}: give a folder, a hub name, or what gives a translator")
    find = Models(translator) if isinstance(translator, str) else translator
    translators = {pair: find(*pair) for pair in missing}  # what can be wrong is found before the work begins
    found: dict[LanguagePair, Found] = {}
    with TranslationCache(":memory:" if cache is None else cache) as kept:
        for pair, one in translators.items():
            call = partial(translate_scored, missing[pair], one, kept, batch_size=how.batch_size)
            told = None if progress is None else partial(progress, f"translating {' to '.join(pair)}")
            found[pair] = call(count=how.renderings, certain=how.min_confidence > 0, progress=told)
    made: list[MachineTranslation] = []
    for lang in wanted:
        both = [_filled(edit, lang, found.get((edit.source, lang), {}), how) for edit in edits]
        edits, made = tuple(edit for edit, _ in both), [*made, *(one for _, one in both if one is not None)]
    return list(edits), made


def counted(langs: Iterable[Lang]) -> str:
    """How often each language is there: ``de 2, fr 1``."""
    return ", ".join(f"{lang} {count}" for lang, count in sorted(Counter(langs).items()))


def _checked(languages: Iterable[Lang]) -> tuple[Lang, ...]:
    wanted = tuple(dict.fromkeys(languages_in(languages)))
    if not wanted:
        raise InputError("languages is empty: name a language to translate into, such as 'de'")
    return wanted


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def _lacking(edit: Edit, lang: Lang, answers: bool) -> tuple[str, ...]:
    """What of an edit is to be translated into a language."""
    prompt = () if lang in edit.prompt else _parts(edit.prompt[edit.source])
    return (*prompt, edit.target[edit.source]) if answers and lang not in edit.target else prompt


def _filled(edit: Edit, lang: Lang, found: Found, how: TranslationSettings) -> tuple[Edit, MachineTranslation | None]:
    """The edit with what it lacks in a language; and what was made, unless that is nothing."""
    texts = _lacking(edit, lang, how.answers)
    if not texts or not all(found[text][0].text for text in texts):
        return edit, None
    sure = _least(found[text][0] for text in texts)
    used = not how.doubts(sure)
    prompt, target = edit.prompt[edit.source], edit.target[edit.source]
    best, *others = [(edit.prompt[lang], None)] if lang in edit.prompt else _readings(prompt, found)
    made = MachineTranslation(edit.id, lang, best[0] if lang not in edit.prompt else found[target][0].text, sure, used)
    if not used:
        return edit, made
    if lang not in edit.prompt:
        edit = _with_prompt(edit, lang, best[0], [text for text, one in others if not how.doubts(one)])
    if how.answers and lang not in edit.target:
        edit = replace(edit, target={**edit.target, lang: found[target][0].text})
    return edit, made


def _readings(prompt: Text, found: Found) -> list[tuple[Text, float | None]]:
    """The translations of a prompt and their confidence; of a pair the n-th of each part go together, or its best."""
    if isinstance(prompt, str):
        return [(one.text, one.confidence) for one in found[prompt]]
    parts = found[prompt[0]], found[prompt[1]]
    rows = [[part[i if i < len(part) else 0] for part in parts] for i in range(max(map(len, parts)))]
    return [((one.text, other.text), _least((one, other))) for one, other in rows]


def _least(texts: Iterable[ScoredText]) -> float | None:
    known = [one.confidence for one in texts]
    return None if None in known else min(one for one in known if one is not None)


def _with_prompt(edit: Edit, lang: Lang, prompt: Text, others: Iterable[Text]) -> Edit:
    """With a prompt and its renderings in a language, but those that are held out as rephrases there."""
    taken = {words_of(text) for text in (prompt, *edit.rephrases.get(lang, ()))}
    new = tuple({words_of(text): text for text in others if words_of(text) not in taken}.values())
    renderings = {**edit.renderings, lang: new} if new else edit.renderings
    return replace(edit, prompt={**edit.prompt, lang: prompt}, renderings=renderings)
