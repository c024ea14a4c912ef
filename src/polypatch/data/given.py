"""Edits and labelled texts as people give them in Python: pairs, rows with the fields of an edit file, tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from polypatch.arguments import items_in, no_class_name, not_a_text, shortened
from polypatch.data.record import PAIR, edit_from_record
from polypatch.edits import Edit, Labelled, Lang, Text
from polypatch.errors import DataError, EditError, InputError

ROWS = '[("a text", "label")]'
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
        given = _of_table(given.to_dict("records"), source)
    if isinstance(given, Edit):
        raise InputError(f"edits is a list, not one Edit: {shortened(given.id)}; give [edit]")
    items = items_in(given, "edits", EXAMPLE)
    if len(items) == 2 and all(isinstance(item, str) for item in items):
        raise InputError(f"edits is one pair, {shortened(given)}: give a list, such as {EXAMPLE}")
    return tuple(_edit(item, f"edits[{i}]", source) for i, item in enumerate(items))


def _of_table(rows: list[dict[str, Any]], source: Lang) -> list[dict[str, Any]]:
    """Rows with an ``id``, those of one id in one, by language: as in a file of a table."""
    found: dict[object, dict[str, Any]] = {}
    for i, row in enumerate(rows):
        cells = {name: value for name, value in row.items() if not _missing(value)}
        if "id" not in cells or not cells.keys() >= {"text", "label"}:
            found[object()] = cells
            continue
        lang = cells.get("lang", source)
        made = found.setdefault(cells["id"], {"id": cells["id"], "lang": lang, "text": {}, "label": {}})
        if lang in made["text"]:
            raise EditError(
                f"row {i}: edit {shortened(cells['id'])} has a text in {lang!r} already; give each its own id"
            )
        made["text"][lang], made["label"][lang] = cells["text"], cells["label"]
        made["lang"] = source if source in made["text"] else made["lang"]
    return list(found.values())


def correction(
    text: Text,
    label: str | Mapping[Lang, str],
    translations: Mapping[Lang, Text] | None = None,
    source: Lang = "en",
    id: str | None = None,  # noqa: A002
) -> Edit:
    """The edit that a fix makes; arguments and errors as for `EditedModel.fix`."""
    others = {} if translations is None else translations
    if not isinstance(others, Mapping):
        raise InputError(f"translations is {shortened(others)}: give texts by language, such as {{'de': 'ein Text'}}")
    if source in others:
        raise InputError(f"translations has {source!r}, the language of the text itself: leave it out, or say source=")
    prompt = {source: text, **others}
    target = label if isinstance(label, Mapping) else {source: label}
    return Edit(id=id, prompt=prompt, target=target, source=source)  # type: ignore[arg-type]


def labelled_in(given: Any, name: str = "locality") -> dict[str, list[Labelled]]:
    """Named sets of (text, label) rows, as they were given.

    Raises:
        InputError: no mapping, a set that is one string, or a row that is no text with a label.
    """
    if not isinstance(given, Mapping):
        raise InputError(f'{name} is a mapping such as {{"test": [("a text", "label")]}}, not {shortened(given)}')
    return {
        key: [_labelled(row, f"{name}[{key!r}][{i}]") for i, row in enumerate(items_in(rows, f"{name}[{key!r}]", ROWS))]
        for key, rows in given.items()
    }


def _labelled(row: Any, where: str) -> Labelled:
    if not (isinstance(row, tuple | list) and len(row) == 2):
        raise InputError(f"{where} is {shortened(row)}: a row is (text, label)")
    if wrong := not_a_text(row[0]):
        raise InputError(f"the text of {where} is {wrong}")
    if wrong := no_class_name(row[1]):
        raise InputError(f"the label of {where} is {wrong}")
    return Labelled(*row)


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
