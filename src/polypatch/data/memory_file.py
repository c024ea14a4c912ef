"""A memory on disk: its texts, each with the part it plays; or the file that they are in, with a checksum."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from polypatch.data.memory import Kept, read_memory
from polypatch.edits import Lang, Text, is_lang
from polypatch.errors import ArtefactError, DataError, InputError
from polypatch.files import read_plain, sha256, strict_json

PARTS = ("train", "validation", "held_out")
LEFT_OUT = "-"
_LETTERS = {"t": "train", "v": "validation", "h": "held_out"}

MemoryRow: TypeAlias = tuple[str, Lang, Text]
"""The part, the language (empty where it is not known), the text."""


@dataclass(frozen=True)
class MemoryFile:
    """A memory whose texts stay in the file they came from.

    Attributes:
        path: the file, absolute.
        digest: SHA-256 of its bytes.
        parts: by language (the empty string where it is not known) a letter for each of its texts in the order of the
            file: ``t`` trained with, ``v`` validation, ``h`` held out, ``-`` left out.
        parallel: texts that say the same in every language, which are in no file; None where there are none.
    """

    path: Path
    digest: str
    parts: Mapping[Lang, str]
    parallel: Mapping[Lang, Sequence[Text]] | None = None

    @classmethod
    def of(cls, kept: Kept) -> MemoryFile:
        """The file that a memory was read from.

        Raises:
            InputError: it was not read from a file, or not from that one alone.
            DataError: the file is gone.
        """
        if kept.file is None:
            raise InputError(
                'this memory was given as texts and not as a file, so there is nothing to refer to: memory="texts" '
                "keeps the texts with the edits"
            )
        path = kept.file.absolute()
        letters = {(lang, text): part[0] for part in PARTS for lang, text in _of_part(kept, part)}
        parts = {
            lang: "".join(letters.get((lang, text), LEFT_OUT) for text in texts)
            for lang, texts in read_memory(path, "").items()
        }
        made = cls(path, sha256(path.read_bytes()), parts, kept.parallel)
        if memory_lines(made.read()) != memory_lines(kept):
            raise InputError(f'{path}: the memory holds texts that are not in this file; keep them by memory="texts"')
        return made

    def read(self) -> Kept:
        """The texts.

        Raises:
            DataError: the file is gone, or was changed.
        """
        return self._texts

    @cached_property
    def _texts(self) -> Kept:
        fix = "the memory of these edits is in this file: put it back, or pass memory= when they are opened"
        try:
            raw = read_plain(self.path, True, DataError)  # a pipe or a device need never end
        except DataError as error:
            raise DataError(f"{error}; {fix}") from error
        if sha256(raw) != self.digest:
            raise DataError(f"{self.path}: was changed since; {fix}")
        return replace(_kept(self._rows()), file=self.path, parallel=self.parallel)

    def _rows(self) -> Iterator[MemoryRow]:
        for lang, texts in read_memory(self.path, "").items():
            for letter, text in zip(self.parts.get(lang, ""), texts, strict=False):
                if letter in _LETTERS:
                    yield _LETTERS[letter], lang, text

    def to_plain(self) -> dict[str, Any]:
        """For JSON; `memory_file_from_plain` reads it back."""
        return {"path": str(self.path), "sha256": self.digest, "parts": dict(self.parts)}


def memory_file_from_plain(plain: Mapping[str, Any], where: str) -> MemoryFile:
    """What `MemoryFile.to_plain` made.

    Raises:
        ArtefactError: it is not that.
    """
    path, digest, parts = plain.get("path"), plain.get("sha256"), plain.get("parts")
    if not (isinstance(path, str) and isinstance(digest, str) and isinstance(parts, dict)):
        raise ArtefactError(f"{where}: memory should hold path, sha256 and parts")
    if not all(isinstance(one, str) and set(one) <= {*_LETTERS, LEFT_OUT} for one in parts.values()):
        raise ArtefactError(f"{where}: the parts of the memory are written with t, v, h and - alone")
    return MemoryFile(Path(path), digest, parts)


def memory_lines(kept: Kept) -> bytes:
    """The texts as a file: ``{"lang", "part", "text"}`` a line, a pair of texts as a list of two."""
    rows = ({"lang": lang, "part": part, "text": text} for part in PARTS for lang, text in _of_part(kept, part))
    return _lines(rows)


def memory_from_lines(raw: bytes, where: str) -> Kept:
    """What `memory_lines` made.

    Raises:
        ArtefactError: it is not that.
    """
    return _kept((_row(row, place) for place, row in _read(raw, where)))


def parallel_lines(parallel: Mapping[Lang, Sequence[Text]]) -> bytes:
    """Parallel text as a file that `read_aligned` reads: ``{"en": "…", "de": "…"}`` a line."""
    return _lines(dict(zip(parallel, texts, strict=True)) for texts in zip(*parallel.values(), strict=True))


def parallel_from_lines(raw: bytes, where: str) -> dict[Lang, list[Text]]:
    """What `parallel_lines` made.

    Raises:
        ArtefactError: it is not that.
    """
    found: dict[Lang, list[Text]] = {}
    for place, row in _read(raw, where):
        if not isinstance(row, dict) or (found and row.keys() != found.keys()):
            raise ArtefactError(f"{place}: is no row of parallel text in the languages of the first")
        for lang, text in row.items():
            found.setdefault(lang, []).append(_text(text, place))
    return found


def packed(raw: bytes) -> bytes:
    """Compressed, the same bytes for the same texts."""
    return gzip.compress(raw, mtime=0)


def unpacked(raw: bytes, said: Mapping[str, Any] | None, where: str) -> bytes:
    """What `packed` made; of no more bytes than the configuration said, so that a small file cannot fill the memory.

    Raises:
        ArtefactError: it is not that.
    """
    size = None if said is None else said.get("unpacked")
    try:
        if type(size) is not int or not 0 <= size < 2**40:
            raise ValueError(f"unpacked is {size!r}, not a number of bytes")
        found = zlib.decompressobj(wbits=31).decompress(raw, size + 1)  # 31: as gzip writes it
        if len(found) != size:
            raise ValueError("it unpacks to another size than was said")
    except (ValueError, zlib.error, MemoryError) as error:
        raise ArtefactError(f"{where}: cannot be unpacked ({error})") from error
    return found


def counted(kept: Kept) -> dict[str, int]:
    """How many texts play each part."""
    return {part: sum(1 for _ in _of_part(kept, part)) for part in PARTS}


def _of_part(kept: Kept, part: str) -> Iterator[tuple[Lang, Text]]:
    if part == "held_out":
        return ((lang, text) for lang, texts in kept.held_out.items() for text in texts)
    return ((kept.langs.get(text, ""), text) for text in getattr(kept, part))


def _kept(rows: Iterable[MemoryRow]) -> Kept:
    flat: dict[str, list[Text]] = {"train": [], "validation": []}
    held_out: dict[Lang, list[Text]] = {}
    langs: dict[Text, Lang] = {}
    for part, lang, text in rows:
        (held_out.setdefault(lang, []) if part == "held_out" else flat[part]).append(text)
        if lang and part != "held_out":
            langs[text] = lang
    return Kept(flat["train"], flat["validation"], held_out, langs=langs)


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(f"{json.dumps(row, ensure_ascii=False)}\n".encode() for row in rows)


def _read(raw: bytes, where: str) -> Iterator[tuple[str, Any]]:
    # Not splitlines(): U+2028 and its like are characters of real sentences.
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if line:
            yield (place := f"{where} row {number}"), strict_json(line, place, ArtefactError)


def _row(row: Any, place: str) -> MemoryRow:
    fits = isinstance(row, dict) and row.keys() == {"lang", "part", "text"} and row["part"] in PARTS
    if not fits or not (row["lang"] == "" or is_lang(row["lang"])):
        raise ArtefactError(f"{place}: is no text of a memory with its language and its part")
    return row["part"], row["lang"], _text(row["text"], place)


def _text(found: Any, place: str) -> Text:
    parts = found if isinstance(found, list) and len(found) == 2 else [found]
    if not all(isinstance(part, str) for part in parts):
        raise ArtefactError(f"{place}: is neither a text nor a pair of texts")
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])
