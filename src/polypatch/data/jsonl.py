"""Edits on disk: JSON Lines, or one JSON array, of the objects of `record`.

An EasyEdit or KnowEdit file loads unchanged. Row numbers in messages count lines (JSON Lines) or elements (array).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from polypatch.data.files import write_atomically
from polypatch.data.json_rows import json_rows
from polypatch.data.quoting import quoted
from polypatch.data.record import edit_from_record, record_from_edit
from polypatch.data.rows import Material, choose_languages
from polypatch.edits import Edit, Labelled, Lang, RelatedQuestion
from polypatch.errors import DataError


def read_jsonl(path: str | PathLike[str], *, source: Lang = "en") -> list[Edit]:
    """The edits of a file in file order; plain strings are in `source` unless a row has its own ``source``.

    UTF-8, gunzipped where the name ends in ``.gz``; a BOM, CRLF and blank lines are accepted. A row without ``id`` is
    called ``{file name}-{row number}``.

    Raises:
        DataError: in one line the file, the row number and the field: a missing or empty file, another encoding, a row
            that is not JSON or not an edit, an id that occurs twice, a name that occurs twice in one object.
    """
    path = Path(path)
    # A file's name may be bytes that are no text; an id is always text.
    name = path.name.split(".")[0].encode("utf-8", "replace").decode() or "edit"
    edits: dict[str, Edit] = {}
    rows: dict[str, int] = {}
    for number, record in json_rows(path):
        try:
            edit = edit_from_record(record, default_id=f"{name}-{number}", source=source)
        except DataError as error:
            raise DataError(f"{path} row {number}: {error}") from error
        if edit.id in edits:
            first = f"{quoted(edit.id)} is already the id of row {rows[edit.id]}"
            raise DataError(f"{path} row {number}: field 'id': {first}; give every edit its own")
        edits[edit.id], rows[edit.id] = edit, number
    if not edits:
        raise DataError(f"{path}: holds no edits")
    return list(edits.values())


def write_jsonl(edits: Iterable[Edit], path: str | PathLike[str]) -> None:
    """Write one edit per line, so that `read_jsonl` gives back equal edits; gzipped where the name ends in ``.gz``.

    The file is replaced in one step, and only after every line was read back, so a failure leaves an older file as it
    was.

    Raises:
        DataError: no edits, an id that occurs twice, an edit that the format cannot hold, or a folder that cannot be
            written to.
    """
    path = Path(path)
    lines: dict[str, str] = {}
    for edit in edits:
        if edit.id in lines:
            raise DataError(f"{path}: edit {quoted(edit.id)} occurs twice")
        lines[edit.id] = jsonl_line(edit)
    if not lines:
        raise DataError(f"{path}: no edits to write")
    content = "".join(f"{line}\n" for line in lines.values()).encode()
    write_atomically(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_jsonl_material(
    path: str | PathLike[str], languages: Iterable[Lang] | None = None, source: Lang = "en"
) -> Material:
    """A file's edits, and their own locality probes as locality sets; such a file has no memory.

    `languages` cuts the parallel prompts to these and each edit's source. A DataError if no edit has one of them.
    """
    edits = read_jsonl(path, source=source)
    has = dict.fromkeys(lang for edit in edits for lang in edit.languages)
    chosen = choose_languages(languages, has, source=edits[0].source, where=path)
    kept = tuple(edit.only(chosen) for edit in edits)
    return Material("jsonl", chosen, kept, locality=locality_of(kept))


def jsonl_line(edit: Edit) -> str:
    """One edit as one line, proved to be readable: what is written is compared with what would be read.

    Raises:
        DataError: the format cannot hold it.
    """
    record = record_from_edit(edit)
    try:
        line = json.dumps(record, ensure_ascii=False)
        line.encode()
        again = record_from_edit(edit_from_record(json.loads(line), default_id="", source=edit.source))
    except (DataError, TypeError, ValueError) as error:
        raise DataError(f"edit {quoted(edit.id)} cannot be written: {error}") from error
    if again != record:
        raise DataError(f"edit {quoted(edit.id)} cannot be written: it would be read back as {quoted(again)}")
    return line


def locality_of(edits: Iterable[Edit]) -> dict[str, list[Labelled]]:
    """The locality probes that have an answer, by name in their source language and by ``{name}.{lang}`` in others."""
    sets: dict[str, list[Labelled]] = {}
    for edit in edits:
        for name, probes in edit.locality.items():
            for probe in probes:
                for lang, row in _labelled(probe, edit.source):
                    sets.setdefault(name if lang == edit.source else f"{name}.{lang}", []).append(row)
    return sets


def _labelled(probe: RelatedQuestion, source: Lang) -> Iterator[tuple[Lang, Labelled]]:
    for lang, text in probe.prompt.items():
        label = probe.target.get(lang, probe.target.get(source))
        if label is not None:
            yield lang, Labelled(text, label)
