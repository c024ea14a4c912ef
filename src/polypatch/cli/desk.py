"""``polypatch desk``: a page for those who find the wrong answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polypatch.cli.console import Bars, say
from polypatch.cli.options import (
    AnswerTokens,
    Chat,
    Device,
    Model,
    ModelMemory,
    ModelRecipe,
    NoMemory,
    Quiet,
    Threads,
    TranslatorOption,
    require_alone,
)
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError

if TYPE_CHECKING:
    from polypatch.cli.session import EditsOrModel
    from polypatch.desk.listen import Address

EXTRA = ("fastapi", "uvicorn", "jinja2", "python_multipart", "prometheus_client")
SERVING = "Who may come"
ELSEWHERE = "Elsewhere"
WITH_SPACE = ("place", "space", "source", "quiet")
MISSING = "needs the extra desk: pip install 'polypatch[desk]'"

Host = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="Where to listen. Beyond this machine a token is needed: one is made and printed.",
        rich_help_panel=SERVING,
    ),
]
Port = Annotated[
    int, typer.Option(metavar="N", min=0, max=65535, help="0 takes any that is free.", rich_help_panel=SERVING)
]
OtherNames = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="HOST",
        help="A further name that it is called by, such as a proxy's; repeat for more.",
        rich_help_panel=SERVING,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        envvar="POLYPATCH_TOKEN",
        help="What a request has to bring; better in POLYPATCH_TOKEN than on a command line, which others can see.",
        rich_help_panel=SERVING,
    ),
]

SpaceFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Serve nothing: write a new FOLDER that runs as a Hugging Face Space (Docker). Of a world, or of EDITS on "
        "a world or on a model of the hub, with the texts of their memory; a MODEL without edits is refused.",
        rich_help_panel=ELSEWHERE,
    ),
]

EXAMPLES = """[bold]Examples[/]

polypatch desk world

polypatch desk my-edits --port 9000

polypatch desk my-model --memory texts.jsonl --out my-edits

POLYPATCH_TOKEN=… polypatch desk my-edits --host 0.0.0.0 --name edits.example.org

polypatch desk world --space my-space
"""


def desk(
    ctx: typer.Context,
    place: Annotated[
        str,
        typer.Argument(metavar="EDITS|MODEL|world", help="Saved edits, which are added to; or a model; or the world."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Of a MODEL: where its edits are kept. Default: NAME-edits, here."),
    ] = None,
    memory: ModelMemory = None,
    no_memory: NoMemory = False,
    recipe: ModelRecipe = None,
    source: Annotated[str, typer.Option(metavar="L", help="The language of a sentence that names none.")] = "en",
    host: Host = "127.0.0.1",
    port: Port = 8765,
    name: OtherNames = None,
    token: Token = None,
    space: SpaceFolder = None,
    chat: Chat = False,
    answer_tokens: AnswerTokens = None,
    model: Model = None,
    translator: TranslatorOption = None,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
) -> None:
    """Ask, correct, undo: a page in the browser, for people who do not program.

    Type a sentence in the languages that you have it in. Is an answer wrong, give
    the right one, and see what the fix does before it is kept. Every fix is on
    disk when the page says so. Several people may use it at once. Ctrl-C stops it.
    """
    from polypatch.cli.session import EditsOrModel
    from polypatch.languages import is_lang, not_a_lang

    if not is_lang(source):
        raise InputError(f"--source: {not_a_lang(source)}")
    given = EditsOrModel(place, out, model, memory, no_memory, recipe, device, answer_tokens, chat)
    if space is not None:
        require_alone(ctx, WITH_SPACE, "does not go with --space: its README says what is set on the Space itself")
        _write_space(space, given, source, quiet)
        return
    at = {"host": host, "port": port, "names": tuple(name or ()), "token": token}
    serve_place(given.at_home(), at, threads, quiet, source=source, translator=translator)


def _write_space(folder: Path, place: EditsOrModel, source: str, quiet: bool) -> None:
    """Write the folder of a Space, and say what is in it.

    Raises:
        InputError: a model without edits; what `polypatch.desk.write_space` refuses.
    """
    require_extra("desk")
    prepare(quiet=quiet)
    from polypatch.data.source import WORLDS
    from polypatch.desk.space import write_space

    if (edits := place.edits) is None and place.name not in WORLDS:
        raise InputError(f"{place.name}: --space takes EDITS, {' or '.join(WORLDS)}; this is a model, or not there")
    space = write_space(folder, edits or place.name, source=source)
    what = f"the model {space.model}"
    if space.edits is not None:
        what = f"edits of {space.model}"
        edits_in = f"{space.edits:,} edit{'' if space.edits == 1 else 's'}"
        say(
            f"The sentences of {edits_in} and {space.texts:,} texts of their memory go along: a public Space shows "
            "them to everybody."
        )
    say(f"{folder}: a Space with {what}. Its README.md says how to upload it and how to open it.")


def require_extra(verb: str) -> None:
    """Check that the extra `desk` is installed.

    Raises:
        InputError: it is not.
    """
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise InputError(f"polypatch {verb} {MISSING} ({', '.join(missing)} is not here)")


def serve_place(
    place: EditsOrModel,
    at: Mapping[str, Any],
    threads: int,
    quiet: bool,
    *,
    pages: bool = True,
    source: str = "en",
    translator: str | None = None,
) -> None:
    """Open a place and serve it at an address, until it is stopped.

    Raises:
        InputError: the extra is not installed, or the address cannot be used.
    """
    require_extra("desk" if pages else "serve")
    prepare(threads, quiet=quiet)
    from polypatch.data.translators import OPUS
    from polypatch.desk.desk import Desk
    from polypatch.desk.listen import Address, listen
    from polypatch.desk.local_translators import LocalTranslators

    address, folder = Address(**at).settled(), place.folder
    made = address.token is not None and at["token"] is None
    ready = ready_at(address, folder, made=made, pages=pages)
    with Bars(quiet) as bars:
        edited = place.open(bars)
    with Desk(folder, edited, place.name) as opened:
        translations = LocalTranslators(translator or OPUS)
        listen(opened, address, pages=pages, source=source, translations=translations, ready=ready)
    if not quiet:
        say(f"Stopped. {folder} holds every edit that was kept.")


def ready_at(address: Address, folder: Path, *, made: bool, pages: bool) -> Callable[[str], None]:
    """What says where a desk listens, once it does; and the token, where it was made here."""

    def ready(url: str) -> None:
        shown = url if made else url.partition("?")[0]  # a token that was given is a secret, and logs are read
        brings = f"\nToken: {address.token}" if made and not pages else ""
        say(f"{shown}{brings}\nEdits are kept in {folder}. Ctrl-C stops it.")

    return ready
