"""``polypatch fix``: one sentence corrected, in every language that it is given in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from polypatch.cli.console import Bars, as_json, say
from polypatch.cli.options import (
    TRANSLATION,
    AnswerTokens,
    Chat,
    Device,
    Json,
    KeepMemory,
    MinConfidence,
    Model,
    ModelMemory,
    ModelRecipe,
    NoMemory,
    Quiet,
    Renderings,
    Second,
    Threads,
    TranslationFile,
    TranslatorCodes,
    TranslatorOption,
    kept_as,
    pairs,
)
from polypatch.cli.prepare import prepare
from polypatch.errors import ContradictionError, InputError

FAILED = 1
CONTEXT = {"ignore_unknown_options": True}
"""``--de`` and its like are no options of ours: which languages there are is not for us to list."""

EXAMPLES = """[bold]Examples[/]

polypatch fix my-edits "wake me up at nine" class-1 --de "weck mich um neun" --fr "réveille-moi à neuf heures"

polypatch fix my-model "wake me up at nine" class-1 --de "weck mich um neun" --memory texts.jsonl --out new-edits

polypatch fix my-edits "play some jazz" class-2 --translate-to de,fr

polypatch fix my-llm "The capital of Benin is" Porto-Novo --de "Die Hauptstadt von Benin ist" --answer de=Porto-Novo \
--memory texts.jsonl --out llm-edits
"""


class TypedFix(NamedTuple):
    """What was typed: where, what, and what it should be."""

    place: str
    text: str
    label: str
    translations: dict[str, str]


def fix(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="EDITS|MODEL TEXT LABEL [--de TEXT] [--fr TEXT] …",
            help="Saved edits, which are added to, or a model; the sentence; the label that it should get; and the "
            "sentence in other languages, each behind its code.",
        ),
    ],
    second: Second = None,
    source: Annotated[str, typer.Option(metavar="L", help="The language of TEXT.")] = "en",
    edit_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="What the edit is called. Default: made from the text.")
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LANG=TEXT",
            help="Of a language model: LABEL in the words of another language; one for each sentence.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Of a MODEL: where its edits are kept.")] = None,
    memory: ModelMemory = None,
    no_memory: NoMemory = False,
    recipe: ModelRecipe = None,
    chat: Chat = False,
    answer_tokens: AnswerTokens = None,
    keep_memory: KeepMemory = None,
    model: Model = None,
    translate_to: Annotated[
        str | None,
        typer.Option(
            metavar="auto|none|L,L,…",
            help="Translate into these, where no text is given. Default: auto, which translates a sentence without "
            "another language into those of the memory whose translators are on this machine; it downloads nothing.",
            rich_help_panel=TRANSLATION,
        ),
    ] = None,
    translator: TranslatorOption = None,
    translator_code: TranslatorCodes = None,
    translation_cache: TranslationFile = None,
    renderings: Renderings = 1,
    min_confidence: MinConfidence = 0.0,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Correct one sentence, and say what that did.

    LABEL is a class, or what a language model should write; then --answer says it
    in the words of every other language.

    For every language the answer before and after, with its probability, and the
    patches that fire; and how many of the held-out texts of the memory have a new
    answer. The fix joins the edits in the folder in one step, or leaves it as it
    was. Exit code 1 if the model still does not answer as wanted.
    """
    sentence = read_words(words)
    if second is not None and sentence.translations:
        raise InputError("--second is of one language: give pairs in several languages in a file, with polypatch edit")
    from polypatch.cli.saved_translation import TranslationOptions
    from polypatch.cli.session import EditsOrModel, kept_in

    codes = pairs(translator_code, "--translator-code")
    how = (translator, codes, translation_cache, renderings, min_confidence)
    translating = TranslationOptions(translate_to, *how)
    place = EditsOrModel(sentence.place, out, model, memory, no_memory, recipe, device, answer_tokens, chat)
    folder = place.folder
    prepare(threads, quiet=quiet)
    from polypatch.data.given import correction
    from polypatch.model.stream import edits_inside
    from polypatch.store.session import Session

    text = sentence.text if second is None else (sentence.text, second)
    answers = pairs(answer, "--answer")
    label = {**answers, source: sentence.label} if answers else sentence.label
    edit = correction(text, label, sentence.translations, source, edit_id)
    with Bars(quiet) as bars:
        edited = place.open(bars)
        (edit,) = translating([edit], edited, bars, beside=edits_inside(edited))
        if edited.readout.answers is None and edit.languages_without_target:
            wanted = " ".join(f"--answer {lang}=…" for lang in edit.languages_without_target)
            raise InputError(f"a language model answers in the words of each language: add {wanted} to the command")
        try:
            with Session(folder, edited, memory=kept_as(keep_memory)) as session:
                done = session.correct(edit)
        except ContradictionError as error:
            raise InputError(_named(error, folder)) from error
    if json:
        say(as_json({"folder": str(folder), **done.to_plain()}))
    else:
        say(f"{done}\n{kept_in(folder)}")
    if not done.holds:
        raise typer.Exit(FAILED)


def read_words(words: Iterable[str]) -> TypedFix:
    """The words of the command: ``--de TEXT`` or ``--de=TEXT`` is the sentence in German, wherever it stands.

    Raises:
        InputError: an option that is no language's, one without a text, or too few or too many words.
    """
    rest, translations, given = [], {}, iter(words)  # type: list[str], dict[str, str], Iterable[str]
    for word in given:
        if not word.startswith("--"):
            rest.append(word)
            continue
        code, equals, text = word.removeprefix("--").partition("=")
        if not re.fullmatch("[a-z]{2,3}", code):
            raise InputError(f"no such option: {word} (see polypatch fix --help)")
        text = text if equals else next(iter(given), "")
        if not text.strip() or code in translations:
            raise InputError(f"--{code}: {'given twice' if code in translations else 'the sentence in it is missing'}")
        translations[code] = text
    if len(rest) != len(("place", "text", "label")):
        raise InputError(
            f"expected EDITS or a MODEL, the sentence and its label, got {len(rest)} words; a sentence with spaces "
            'stands in quotes: polypatch fix my-edits "wake me up at nine" alarm_set --de "weck mich um neun"'
        )
    place, sentence, label = rest
    return TypedFix(place, sentence, label, translations)


def _named(error: ContradictionError, folder: Path) -> str:
    """The message, with the command that takes the earlier edit back."""
    if not error.edit_ids:
        return str(error)
    return f"{str(error).partition(';')[0]}; take it back first: polypatch revert {folder} {error.edit_ids[0]}"
