"""Edits as people give them in Python: `Edit`, (text, label), rows with the fields of an edit file, a pandas table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from polypatch.arguments import items_in, no_class_name, shortened
from polypatch.data.record import PAIR, edit_from_record
from polypatch.edits import Edit, Lang
from polypatch.errors import DataError, EditError, InputError

EXAMPLE = '[("wake me up at nine", "alarm_set")]'


def edits_in(given: Any, source: Lang = "en") -> tuple[Edit, ...]:
    """Edits as they were given; all but an `Edit` are in `source`, unless a row has its own ``source`` or ``lang``.

    A row has the fields of `docs/data-format.md` (``prompt`` or ``text``, ``target_new`` or ``label``, …); cells that
    are None or NaN are left out. Without an id one is made, which depends on the row alone.

    Raises:
        InputError: a single edit, or what is no list.
        EditError: what is no edit; the message has its place in the list.
    """
    if type(given).__module__.partition(".")[0] == "pandas" and hasattr(given, "columns"):
        given = given.to_dict("records")
    if isinstance(given, Edit):
        raise InputError(f"edits is a list, not one Edit: {shortened(given.id)}; give [edit]")
    items = items_in(given, "edits", EXAMPLE)
    if len(items) == 2 and all(isinstance(item, str) for item in items):
        raise InputError(f"edits is one pair, {shortened(given)}: give a list, such as {EXAMPLE}")
    return tuple(_edit(item, f"edits[{i}]", source) for i, item in enumerate(items))


def _edit(item: Any, where: str, source: Lang) -> Edit:
    if isinstance(item, Edit):
        return item
    try:
        if isinstance(item, Mapping):
            row = {name: _plain(value) for name, value in item.items() if not _missing(value)}
            return edit_from_record(row, default_id=None, source=source)
        if isinstance(item, tuple | list) and len(item) == 2:
            text, label = item
            if wrong := no_class_name(label):
                raise EditError(f"the target is {wrong}")
            return Edit(prompt={source: text}, target={source: label}, source=source)
    except (DataError, EditError) as error:
        raise EditError(f"{where}: {error}") from error
    what = f"a {type(item).__name__}, {shortened(item)}"
    raise EditError(f"{where} is {what}: give an Edit, (text, label), or a row of fields")


def _plain(value: Any) -> Any:
    """A pair of texts, which is a tuple in Python, as a file has it."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return dict(zip(PAIR, value, strict=True)) if isinstance(value, tuple) and len(value) == 2 else value


def _missing(value: Any) -> bool:
    """None, or what tables have where there is nothing: NaN, and pandas' NA."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and math.isnan(value))
