"""Options that several verbs share, and how their values are read."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from polypatch.errors import InputError

TRANSLATION = "Edits without a translation"
AUTO, NONE = "auto", "none"

Data = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT:PLACE",
        help="A file of edits (.jsonl, .csv, .tsv), massive:FOLDER, xnli:FOLDER, hub:massive, hub:xnli, world; see "
        "[bold]polypatch ls data[/].",
    ),
]
SizeOptions = Annotated[
    list[str] | None,
    typer.Option("--size", metavar="NAME=N", help="Size of a sampled set, such as memory=500; repeat for more."),
]
ModelMemory = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Of a MODEL: texts to leave alone, as for polypatch edit.")
]
NoMemory = Annotated[bool, typer.Option("--no-memory", help="Go without texts to leave alone.")]
ModelRecipe = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of a MODEL: a row of [bold]polypatch ls recipes[/].")
]
AnswerTokens = Annotated[
    int | None,
    typer.Option(
        "--answer-tokens",
        min=2,
        metavar="N",
        help="Of a language MODEL: tokens of an answer at most, its end included. Default: 32.",
    ),
]
Chat = Annotated[
    bool,
    typer.Option("--chat", help="Of a language MODEL: texts are what a user says, in the tokenizer's chat template."),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Of everything random; of the world, too.")]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="Threads of torch; one is fastest on small machines.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", metavar="FOLDER", help="Keep encoded texts there, for the next run on the model."),
]
Parallel = Annotated[
    Path | None,
    typer.Option(
        "--parallel",
        metavar="FILE",
        help='Parallel text to map queries by, {"en": "…", "de": "…"} a line, not the data\'s own.',
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the results that are in the folder.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Json = Annotated[bool, typer.Option("--json", help="Machine output, and nothing else, on stdout.")]
Languages = Annotated[
    str | None,
    typer.Option(
        metavar="L,L,…", help="Edit languages, source first: what samplers and triggers may use. Default: all."
    ),
]
TextArguments = Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="What to ask the model.")]
NamedTexts = Annotated[
    list[str] | None, typer.Option("--text", metavar="LANG=TEXT", help="A text and its language; repeat for more.")
]
Second = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="The second text of a pair (the hypothesis), for models that read pairs."),
]
EditPrompts = Annotated[
    str | None, typer.Option(metavar="ID", help="The prompts of this edit: as it was made, or in --data.")
]
Langs = Annotated[
    str | None,
    typer.Option(metavar="L,L,…", help="In which languages to ask: of the TEXTs, in order; of --edit's, which."),
]
Model = Annotated[
    str | None, typer.Option(metavar="MODEL", help="The model they were made on. Default: the one they name.")
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the model computes; auto is a GPU if any.")]
KeepMemory = Annotated[
    str | None,
    typer.Option(
        "--keep-memory",
        metavar="texts|reference|none",
        help="How the memory is kept with the edits: its texts; the path and checksum of its file; or not at all. "
        "Default: the texts.",
    ),
]
TranslateTo = Annotated[
    str | None,
    typer.Option(
        metavar="auto|none|L,L,…",
        help="Give edits a prompt in these languages, by translation where they have none; they are edit languages "
        "then, unless named in --eval-languages. Needs polypatch\\[translate]. Default: auto, which translates edits "
        "with one language into those of the memory whose translators are on this machine; it downloads nothing.",
        rich_help_panel=TRANSLATION,
    ),
]
TranslatorOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="A folder or a hub name: NLLB-200, M2M100, mBART-50; or Marian, with {source} and {lang} in the name. "
        "Default: Helsinki-NLP/opus-mt-{source}-{lang}.",
        rich_help_panel=TRANSLATION,
    ),
]
TranslatorCodes = Annotated[
    list[str] | None,
    typer.Option(
        "--translator-code",
        metavar="LANG=CODE",
        help="What the translator calls a language, such as zh=zho_Hant; repeat for more.",
        rich_help_panel=TRANSLATION,
    ),
]
TranslationFile = Annotated[
    Path | None,
    typer.Option(
        "--translation-cache",
        metavar="FILE",
        help="Translations by sentence, made once. Default: RUN/translations.sqlite.",
        rich_help_panel=TRANSLATION,
    ),
]
Renderings = Annotated[
    int,
    typer.Option(
        "--renderings",
        min=1,
        metavar="N",
        help="Translations of a prompt that the edit is learned from, at most: the best is its prompt.",
        rich_help_panel=TRANSLATION,
    ),
]
MinConfidence = Annotated[
    float,
    typer.Option(
        "--min-confidence",
        min=0.0,
        max=1.0,
        metavar="P",
        help="Leave out translations that the translator is less sure of: the geometric mean of their tokens' "
        "probabilities, 0 to 1.",
        rich_help_panel=TRANSLATION,
    ),
]
EvalLanguages = Annotated[str | None, typer.Option(metavar="L,L,…", help="Further languages, only measured.")]


def as_list(value: str | None) -> tuple[str, ...]:
    """``"en,de"`` -> ``("en", "de")``, without repeats."""
    return tuple(dict.fromkeys(part.strip() for part in (value or "").split(",") if part.strip()))


def translated_into(typed: str | None) -> tuple[str, ...]:
    """The languages that ``--translate-to`` names: none for auto and none."""
    return () if typed in (None, AUTO, NONE) else as_list(typed)


def edit_languages(edited: str | None, measured: str | None, made: str | None) -> tuple[tuple[str, ...], ...]:
    """Edited, only measured, and to read: what is translated need not be in the data, except for the source.

    Raises:
        InputError: a language that is to be both.
    """
    edit, only, new = as_list(edited), as_list(measured), translated_into(made)
    if both := set(edit) & set(only):
        raise InputError(f"{', '.join(sorted(both))}: an edit language and an evaluation language at once")
    if not edit:
        return (), only, ()
    edit = tuple(dict.fromkeys((*edit, *(lang for lang in new if lang not in only))))
    return edit, only, tuple(f"{lang}?" if i and lang in new else lang for i, lang in enumerate((*edit, *only)))


def require_model(name: str) -> str:
    """`name`, unless it can only be a folder and there is none: a hub would be asked for it, for half a minute.

    Raises:
        InputError: no such folder.
    """
    local = name.startswith((".", "/", "~")) or name.count("/") > 1
    if local and not Path(name).exists():
        raise InputError(f"{name}: no such folder; MODEL is a checkpoint's folder, a hub name, or world")
    return name


def kept_as(typed: str | None) -> str | None:
    """``--keep-memory`` as `EditedModel.save_pretrained` takes it.

    Raises:
        InputError: something else.
    """
    kinds = {None: "as opened", "texts": "texts", "reference": "reference", "none": None}
    if typed not in kinds:
        raise InputError(f"--keep-memory {typed}: it is texts, reference or none")
    return kinds[typed]


def pairs(values: Iterable[str] | None, option: str) -> dict[str, str]:
    """``["a=1", "b=2"]`` -> a mapping.

    Raises:
        InputError: a value without a name, a ``=`` or a value.
    """
    found: dict[str, str] = {}
    for text in values or ():
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise InputError(f"{option} {text!r}: expected NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def sizes(values: Iterable[str] | None) -> dict[str, int]:
    """``--size memory=500``; the names are checked where they are used."""
    return {name: _number(value, int, f"--size {name}") for name, value in pairs(values, "--size").items()}


def settings(values: Iterable[str] | None, editor: Any) -> dict[str, Any]:
    """``--set name=value`` as the type that the editor's setting has; `Run.built` refuses unknown names.

    Raises:
        InputError: a value that cannot be read as its type.
    """
    kinds = get_type_hints(type(editor))
    return {
        name: _value(value, kinds[name], f"--set {name}") if name in kinds else value
        for name, value in pairs(values, "--set").items()
    }


def _value(text: str, kind: Any, where: str) -> Any:
    """Of a tuple the parts between commas; of a choice between types the first."""
    if kind is tuple or getattr(kind, "__origin__", None) is tuple:
        return tuple(_value(part.strip(), get_args(kind)[0], where) for part in text.split(","))
    inside = [part for part in get_args(kind) if isinstance(part, type) and part is not type(None)]
    return _number(text, kind if isinstance(kind, type) else inside[0] if inside else str, where)


def _number(text: str, kind: type, where: str) -> Any:
    words = {int: "a whole number", float: "a number", bool: "true or false"}
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        raise InputError(f"{where}={text}: {text!r} is not {words.get(kind, kind.__name__)}") from None


def command_line(ctx: typer.Context) -> str:
    """The command as it was typed, for the record."""
    # Without --resume: the run is the same, and so should its report be.
    return shlex.join(["polypatch", *(word for word in ctx.find_root().obj if word != "--resume")])


def require_alone(ctx: typer.Context, known: Collection[str], why: str) -> None:
    """Refuse what was given on the command line and does not go with an option.

    Args:
        ctx: of the verb.
        known: the names of the parameters that do go with it.
        why: what to say behind the name of another.

    Raises:
        InputError: another was given.
    """
    for parameter in ctx.command.params:
        name = str(parameter.name)
        source = ctx.get_parameter_source(name)
        if name not in known and source is not None and source.name == "COMMANDLINE":
            raise InputError(f"{parameter.opts[0]} {why}")
