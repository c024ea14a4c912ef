"""translated(): edits that have no parallel prompts get them from a translator, before anything is edited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from os import PathLike

from polypatch.data.given import edits_in
from polypatch.data.translate import Translator, translate
from polypatch.data.translation_cache import TranslationCache
from polypatch.data.translators import OPUS, Models
from polypatch.edits import Edit, Lang, Text
from polypatch.errors import InputError
from polypatch.languages import languages_in

Translators = Callable[[Lang, Lang], Translator]
"""(language read, language written) -> what translates between them; `polypatch.data.translators.Models` is one."""

LanguagePair = tuple[Lang, Lang]


def translated(
    edits: Iterable[Edit],
    languages: Iterable[Lang],
    *,
    translator: str | Translators = OPUS,
    cache: str | PathLike[str] | None = None,
    batch_size: int = 32,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Edit]:
    """The edits with a prompt in each of `languages`: those they lack are translated from their source language.

    A prompt that is there stays as it is. Both parts of a pair are translated, each by itself. Rephrases and probes are
    not translated, and the target is the source's, for a class label is one string in every language. A prompt of which
    a translation came out empty is left out. With nothing to translate no model is asked for.

    Args:
        edits: in any source languages; their order stays.
        languages: an edit's own source among them is passed over.
        translator: a folder or a hub name, in which ``{source}`` and ``{lang}`` stand for the languages: Marian models
            of one pair each, or one of many languages (NLLB-200, M2M100, mBART-50). Or what gives a translator for two
            languages.
        cache: a file that keeps every translation, for the next time; None keeps them for this call alone.
        batch_size: sentences per call of a translator.
        progress: called as (what is translated, sentences done, in all).

    Raises:
        InputError: no language, or what is none; a translator that does not know one; the extra is not installed.
        DataError: no such model, or not a translation model; the disk refuses. What was translated before is kept.
    """
    edits, wanted = edits_in(edits), _checked(languages)
    missing: dict[LanguagePair, list[str]] = {}
    for lang in wanted:
        for edit in edits:
            if lang not in edit.prompt:
                missing.setdefault((edit.source, lang), []).extend(_parts(edit.prompt[edit.source]))
    if not isinstance(translator, str) and not callable(translator):
        raise InputError(f"translator is {translator!r}: give a folder, a hub name, or what gives a translator")
    find = Models(translator) if isinstance(translator, str) else translator
    translators = {pair: find(*pair) for pair in missing}  # what can be wrong is found before the work begins
    found: dict[LanguagePair, Mapping[str, str]] = {}
    with TranslationCache(":memory:" if cache is None else cache) as kept:
        for pair, one in translators.items():
            told = None if progress is None else partial(progress, f"translating {' to '.join(pair)}")
            found[pair] = translate(missing[pair], one, kept, batch_size=batch_size, progress=told).texts
    return [
        _filled(edit, {lang: found[edit.source, lang] for lang in wanted if lang not in edit.prompt}) for edit in edits
    ]


def _checked(languages: Iterable[Lang]) -> tuple[Lang, ...]:
    wanted = tuple(dict.fromkeys(languages_in(languages)))
    if not wanted:
        raise InputError("languages is empty: name a language to translate into, such as 'de'")
    return wanted


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def _filled(edit: Edit, found: Mapping[Lang, Mapping[str, str]]) -> Edit:
    text = edit.prompt[edit.source]
    made: dict[Lang, Text] = {}
    for lang, texts in found.items():
        if all(texts[part] for part in _parts(text)):
            made[lang] = texts[text] if isinstance(text, str) else (texts[text[0]], texts[text[1]])
    return replace(edit, prompt={**edit.prompt, **made}) if made else edit
