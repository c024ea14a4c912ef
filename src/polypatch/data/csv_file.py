"""Edits and texts as spreadsheets save them: columns ``text``, ``label``, ``lang``, and ``id`` to group translations.

Commas, semicolons or tabs, as the header has them; quoted as spreadsheets quote. Other columns are ignored.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from polypatch.data.files import read_text
from polypatch.data.quoting import quoted
from polypatch.data.record import edit_from_record
from polypatch.data.rows import Material, choose_languages
from polypatch.edits import Edit, Lang
from polypatch.errors import DataError

DELIMITERS = (",", ";", "\t")


class Line(NamedTuple):
    """A row of a file.

    Attributes:
        where: file and row, for messages.
        number: of the row's last line in the file, counted from 1.
        cells: column -> text, of those that were asked for and are not empty.
    """

    where: str
    number: int
    cells: dict[str, str]


def read_csv_rows(path: Path, required: Sequence[str], optional: Sequence[str]) -> list[Line]:
    """The rows under a header.

    Raises:
        DataError: as `read_text`; a column that is missing or there twice, a row with more or fewer cells than the
            header, or an empty cell of a required column; the message names the row.
    """
    text = read_text(path)
    header = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{path} row {reader.line_num}: not readable as a table ({error})") from error
    names = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    for name in (*required, *optional):
        if names.count(name) > 1 or (name in required and name not in names):
            wanted = ", ".join((*required, *(f"[{one}]" for one in optional)))
            raise DataError(f"{path} row 1: the columns must be {wanted}; found {', '.join(names) or 'nothing'}")
    return [_line(path, number, row, names, required, optional) for number, row in rows[1:]]


def _line(
    path: Path, number: int, row: list[str], names: list[str], required: Sequence[str], optional: Sequence[str]
) -> Line:
    where = f"{path} row {number}"
    if len(row) != len(names):
        raise DataError(
            f"{where}: {len(row)} cells, and the header has {len(names)}; quote a text that has a separator"
        )
    found = {name: cell.strip() for name, cell in zip(names, row, strict=True) if cell.strip()}
    for name in required:
        if name not in found:
            raise DataError(f"{where}: no {name}")
    return Line(where, number, {name: found[name] for name in (*required, *optional) if name in found})


def read_csv(path: str | PathLike[str], *, source: Lang = "en") -> list[Edit]:
    """The edits of a file: rows of one ``id`` are one edit in several languages; without an ``id`` each row is one.

    A row without ``lang`` is in `source`. An edit is corrected in `source` where it has that, else in the language of
    its first row.

    Raises:
        DataError: as `read_csv_rows`; no rows, one language twice in an edit, or a row that is no edit.
    """
    path = Path(path)
    groups: dict[str, list[Line]] = {}
    stem = path.name.split(".")[0]
    for line in read_csv_rows(path, ("text", "label"), ("lang", "id")):
        groups.setdefault(line.cells.get("id", f"{stem}-{line.number}"), []).append(line)
    if not groups:
        raise DataError(f"{path}: holds no edits")
    return [_edit(name, lines, source) for name, lines in groups.items()]


def _edit(name: str, lines: Sequence[Line], source: Lang) -> Edit:
    prompt: dict[Lang, str] = {}
    target: dict[Lang, str] = {}
    for line in lines:
        lang = line.cells.get("lang", source)
        if lang in prompt:
            raise DataError(
                f"{line.where}: edit {quoted(name)} has a text in {lang!r} already; give each edit its own id"
            )
        prompt[lang], target[lang] = line.cells["text"], line.cells["label"]
    own = source if source in prompt else next(iter(prompt))
    record = {"id": name, "source": own, "prompt": prompt, "target_new": target}
    try:
        return edit_from_record(record, default_id=name, source=own)
    except DataError as error:
        raise DataError(f"{lines[0].where}: {error}") from error


def read_csv_material(
    path: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en"
) -> Material:
    """A file's edits; such a file has no memory and no locality sets."""
    edits = read_csv(path, source=source)
    has = dict.fromkeys(lang for edit in edits for lang in edit.languages)
    chosen = choose_languages(languages, has, source=edits[0].source, where=path)
    return Material("csv", chosen, tuple(edit.only(chosen) for edit in edits))
