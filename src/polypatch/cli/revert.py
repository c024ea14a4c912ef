"""``polypatch revert``: take edits back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polypatch.cli.console import as_json, say
from polypatch.cli.options import Json
from polypatch.errors import InputError
from polypatch.rendering.harmless import one_line
from polypatch.store.places import find_edits

if TYPE_CHECKING:
    from polypatch.store.cut import RevertedEdits

EXAMPLES = """[bold]Examples[/]

polypatch revert runs/first/edits fever-17

polypatch revert my-edits fever-17 fever-23 --out fewer-edits

polypatch revert my-edits --all
"""


def revert(
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="Which; polypatch log EDITS lists them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every edit there is.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the rest there, and leave EDITS as it is.")
    ] = None,
    json: Json = False,
) -> None:
    """Take edits back, as if they had never been made, without the model. The history keeps them as reverted.

    Each edit owns its neurons: they go, and those of the others stay as they are,
    bit for bit. An edit that was right only by one that goes is not noticed here:
    looking takes the model, and polypatch check does it. The folder is replaced in
    one step. Its report, which was about all of them, is dropped; polypatch eval
    measures again.
    """
    if bool(ids) == every:
        raise InputError("say which edits: name their ids, or give --all" if not ids else "give ids or --all, not both")
    folder = find_edits(edits)
    from polypatch.store.cut import revert_saved

    done = revert_saved(folder, ids or (), out)
    say(as_json(asdict(done)) if json else _in_words(done))


def _in_words(done: RevertedEdits) -> str:
    named = ", ".join(map(one_line, done.reverted[:5])) + (", …" if len(done.reverted) > 5 else "")
    lines = [
        f"{done.folder}: {len(done.reverted)} taken back ({named}); {done.edits} edits, {done.patches} patches left"
    ]
    if done.unchecked:
        lines.append(
            f"Whether the other {done.unchecked} still hold was not looked at: that takes the model. "
            f"polypatch check {one_line(done.folder)} --probe FILE looks."
        )
    if done.report_dropped:
        lines.append(
            "Its report was about all of them and is dropped; polypatch eval says what those left cost elsewhere."
        )
    return "\n".join(lines)
