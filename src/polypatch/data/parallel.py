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
    answers: bool = False,
    batch_size: int = 32,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Edit]:
    """The edits with a prompt in each of `languages`: those they lack are translated from their source language.

    A prompt that is there stays as it is. Both parts of a pair are translated, each by itself. Rephrases and probes are
    not translated. A class label is one string in every language, so the target is the source's; what a language model
    is to write is not, so with `answers` a target that is lacking is translated as well, by itself: whether it goes on
    from the translated prompt, in the right case and order, is for a reader of both to say. A prompt of which a
    translation, or that of its answer, came out empty is left out. With nothing to translate no model is asked for.

    Args:
        edits: in any source languages; their order stays.
        languages: an edit's own source among them is passed over.
        translator: a folder or a hub name, in which ``{source}`` and ``{lang}`` stand for the languages: Marian models
            of one pair each, or one of many languages (NLLB-200, M2M100, mBART-50). Or what gives a translator for two
            languages.
        cache: a file that keeps every translation, for the next time; None keeps them for this call alone.
        answers: translate targets, too: of edits of a language model.
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
            if texts := _lacking(edit, lang, answers):
                missing.setdefault((edit.source, lang), []).extend(texts)
    if not isinstance(translator, str) and not callable(translator):
        raise InputError(f"translator is {translator!r}: give a folder, a hub name, or what gives a translator")
    find = Models(translator) if isinstance(translator, str) else translator
    translators = {pair: find(*pair) for pair in missing}  # what can be wrong is found before the work begins
    found: dict[LanguagePair, Mapping[str, str]] = {}
    with TranslationCache(":memory:" if cache is None else cache) as kept:
        for pair, one in translators.items():
            told = None if progress is None else partial(progress, f"translating {' to '.join(pair)}")
            found[pair] = translate(missing[pair], one, kept, batch_size=batch_size, progress=told).texts
    for lang in wanted:
        edits = tuple(_filled(edit, lang, found.get((edit.source, lang), {}), answers) for edit in edits)
    return list(edits)


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


def _filled(edit: Edit, lang: Lang, found: Mapping[str, str], answers: bool) -> Edit:
    texts = _lacking(edit, lang, answers)
    if not texts or not all(found[text] for text in texts):
        return edit
    prompt, target = edit.prompt[edit.source], edit.target[edit.source]
    if lang not in edit.prompt:
        made: Text = found[prompt] if isinstance(prompt, str) else (found[prompt[0]], found[prompt[1]])
        edit = replace(edit, prompt={**edit.prompt, lang: made})
    if answers and lang not in edit.target:
        edit = replace(edit, target={**edit.target, lang: found[target]})
    return edit
