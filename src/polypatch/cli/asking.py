"""What to ask a model: the texts of a command line, and the prompts of an edit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from polypatch.arguments import near
from polypatch.cli.options import pairs
from polypatch.cli.saved import Saved
from polypatch.data.source import WORLDS
from polypatch.edits import Edit, Lang, Text
from polypatch.errors import InputError


class Prompt(NamedTuple):
    """A text, its language where that is known, and the label wanted where it comes from an edit."""

    lang: Lang
    text: Text
    wanted: str = ""


def gather(
    saved: Saved,
    texts: Iterable[str] | None,
    named: Iterable[str] | None,
    second: str | None,
    edit_id: str | None,
    langs: Sequence[Lang],
) -> list[Prompt]:
    """Everything that is asked: TEXTs with their languages, LANG=TEXTs, and the prompts of an edit.

    Raises:
        InputError: nothing is asked, a malformed LANG=TEXT, or an edit that is not there.
    """
    asked = [Prompt(langs[i] if i < len(langs) else "", one) for i, one in enumerate(texts or ())]
    asked += [Prompt(name, one) for name, one in pairs(named, "--text").items()]
    if second is not None:
        asked = [Prompt(one.lang, (str(one.text), second)) for one in asked]
    if edit_id is not None:
        asked += prompts_of(saved, edit_id, langs)
    if not asked:
        raise InputError("nothing to ask: give a text, --text LANG=TEXT, or --edit ID")
    return asked


def prompts_of(saved: Saved, edit_id: str, languages: Sequence[Lang]) -> list[Prompt]:
    """The texts of one edit, in these languages or in all: of the data where they are named, else as it was made.

    Raises:
        InputError: there is no such edit, or it lacks a language.
    """
    if saved.data is not None or saved.base in WORLDS:
        where, edits = saved.data_spec, _by_id(saved.read((), {}).edits)
    else:
        where, edits = str(saved.folder), _by_id(record.edit for record in saved.records)
    if edit_id not in edits:
        raise InputError(
            f"{where}: no edit is called {edit_id!r}; there are {near(edit_id, edits)}"
            + ("" if saved.data else "; --data names others")
        )
    edit = edits[edit_id]
    return [Prompt(*one[:3]) for lang in languages or edit.languages for one in edit.examples_in(lang)]


def _by_id(edits: Iterable[Edit | None]) -> dict[str, Edit]:
    return {edit.id: edit for edit in edits if edit is not None}
