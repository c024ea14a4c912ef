"""THE TABLE of data formats: name -> reader. Adding a format touches its file and its row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import TypeAlias

from polypatch.data.assemble import assemble
from polypatch.data.base import EditingData
from polypatch.data.hub import read_hub
from polypatch.data.jsonl import read_jsonl_material
from polypatch.data.massive import read_massive
from polypatch.data.rows import Material, Sizes
from polypatch.data.xnli import read_xnli
from polypatch.edits import Edit, Lang
from polypatch.errors import DataError

Reader: TypeAlias = Callable[[str, Iterable[Lang] | None, Lang], Material]
"""(path or name, languages or None for all, source language) -> everything there, unsampled."""

FORMATS: Mapping[str, Reader] = {
    "jsonl": read_jsonl_material,
    "massive": read_massive,
    "xnli": read_xnli,
    "hub": read_hub,
}


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
        spec: ``format:place``: ``massive:FOLDER``, ``xnli:FOLDER``, ``jsonl:FILE``, ``hub:massive``, ``hub:xnli``.
        languages: those to keep, None for all that the source has; `source` is always among them.
        source: the language of the edits.
        sizes: how many rows each sampled set gets; a mapping changes some of the format's own, None none of them.
        seed: of the sampling; edits are never sampled and stay in file order.

    Raises:
        DataError: an unknown format, a missing language, a broken file, or a set larger than the corpus.
    """
    name, _, place = spec.partition(":")
    reader = _reader(name)
    if not place:
        raise DataError(
            f"data {spec!r} names no place; write {name}:PLACE, such as massive:path/to/massive or hub:xnli"
        )
    return assemble(reader(place, languages, source), sizes=sizes, seed=seed)


def load_edits(
    name: str, path: str | PathLike[str], languages: Iterable[Lang] | None = None, *, source: Lang = "en"
) -> list[Edit]:
    """The edits alone, in file order: ``load_edits("massive", "path/to/massive", languages=["en", "de"])``.

    Raises:
        DataError: an unknown format, a missing language, or a broken file.
    """
    return list(_reader(name)(str(path), languages, source).edits)


def _reader(name: str) -> Reader:
    if name not in FORMATS:
        raise DataError(f"unknown data format {name!r} (known: {', '.join(sorted(FORMATS))})")
    return FORMATS[name]
