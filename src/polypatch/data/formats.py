"""THE TABLE of data formats: name -> reader. Adding a format touches its file and its row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from polypatch.data.assemble import assemble
from polypatch.data.base import EditingData
from polypatch.data.csv_file import read_csv_material
from polypatch.data.hub import read_hub
from polypatch.data.jsonl import read_jsonl_material
from polypatch.data.massive import read_massive, read_massive_all, read_massive_dev
from polypatch.data.rows import Material, Sizes, choose_languages
from polypatch.data.xfever import read_xfever
from polypatch.data.xnli import read_xnli
from polypatch.edits import Edit, Lang
from polypatch.errors import DataError

Reader: TypeAlias = Callable[[str, Iterable[Lang] | None, Lang], Material]
"""(path or name, languages or None for all, source language) -> everything there, unsampled."""

FORMATS: Mapping[str, Reader] = {
    "jsonl": read_jsonl_material,
    "csv": read_csv_material,
    "massive": read_massive,
    "massive-all": read_massive_all,
    "massive-dev": read_massive_dev,
    "xnli": read_xnli,
    "hub": read_hub,
}

SUFFIXES: Mapping[str, str] = {".jsonl": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv"}
"""What a file is that is given without a format, also with ``.gz`` behind."""

XFEVER = "xfever-edit"
"""A folder that ``polypatch data xfever-edit`` wrote: not sampled again."""


def load_data(
    spec: str,
    *,
    languages: Iterable[Lang] | None = None,
    source: Lang = "en",
    sizes: Sizes | Mapping[str, int] | None = None,
    seed: int = 0,
) -> EditingData:
    """Edits and the texts around them.

    Args:
        spec: ``format:place``: ``massive:FOLDER``, ``massive-all:FOLDER``, ``massive-dev:FOLDER``, ``xnli:FOLDER``,
            ``jsonl:FILE``, ``csv:FILE``, ``hub:massive``, ``hub:xnli``, ``xfever-edit:FOLDER``; or a file alone, by its
            suffix (``edits.csv``).
        languages: those to keep, None for all that the source has; `source` is always among them. ``de?`` is kept where
            the source has it.
        source: the language of the edits.
        sizes: how many rows each sampled set gets; a mapping changes some of the format's own, None none of them.
        seed: of the sampling; edits are never sampled and stay in file order.

    Raises:
        DataError: an unknown format, a missing language, a broken file, or a set larger than the corpus.
    """
    name, place = _format_of(spec)
    if name == XFEVER and place:
        return _xfever(place, languages, source, sizes)
    reader = _reader(name)
    if not place:
        raise DataError(
            f"data {spec!r} names no place; write {name}:PLACE, such as massive:path/to/massive or hub:xnli"
        )
    return assemble(reader(place, languages, source), sizes=sizes, seed=seed)


def _format_of(spec: str) -> tuple[str, str]:
    """``format:place`` in two, or a file's format by its suffix and the file."""
    name, _, place = spec.partition(":")
    suffix = Path(spec.removesuffix(".gz")).suffix.lower()
    if name not in (*FORMATS, XFEVER) and suffix in SUFFIXES:
        return SUFFIXES[suffix], spec
    return name, place


def _xfever(
    place: str, languages: Iterable[Lang] | None, source: Lang, sizes: Sizes | Mapping[str, int] | None
) -> EditingData:
    """An xfever-edit folder: its sets were drawn when it was made, with the seed it was made with."""
    if sizes:
        raise DataError(f"{XFEVER}:{place}: its sets have their sizes already; polypatch data xfever-edit takes others")
    data = read_xfever(place)
    has = dict.fromkeys(lang for edit in data.edits for lang in edit.languages)
    chosen = choose_languages(languages, has, source=source, where=place)
    kept = tuple(
        replace(edit, prompt={lang: edit.prompt[lang] for lang in chosen if lang in edit.prompt}) for edit in data.edits
    )
    memory = {lang: texts for lang, texts in data.memory.items() if lang in chosen}
    return replace(data, edits=kept, memory=memory)


def load_edits(
    name: str, path: str | PathLike[str], languages: Iterable[Lang] | None = None, *, source: Lang = "en"
) -> list[Edit]:
    """The edits alone, in file order: ``load_edits("massive", "path/to/massive", languages=["en", "de"])``.

    Raises:
        DataError: an unknown format, a missing language, or a broken file.
    """
    if name == XFEVER:
        return list(_xfever(str(path), languages, source, None).edits)
    return list(_reader(name)(str(path), languages, source).edits)


def _reader(name: str) -> Reader:
    if name not in FORMATS:
        raise DataError(f"unknown data format {name!r} (known: {', '.join(sorted((*FORMATS, XFEVER)))})")
    return FORMATS[name]
