"""Text files as people have them: gzipped or not, with or without a byte-order mark, with either line ending."""

from __future__ import annotations

import gzip
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path

from polypatch.errors import DataError
from polypatch.files import write_atomic


def read_text(path: Path) -> str:
    """The text of a UTF-8 file (gunzipped where the name ends in ``.gz``), without BOM, lines ending in LF.

    A BOM and CRLF are accepted, because spreadsheets and Windows editors write them; any other encoding is not guessed.

    Raises:
        DataError: not a regular file that is there and readable, cut short, not UTF-8, or with NUL bytes.
    """
    try:
        raw = _read_bytes(path)
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except FileNotFoundError:
        raise DataError(f"{path}: no such file{_target(path)}") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:  # ValueError: a path with a NUL in it
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    text = _decoded(raw, path)
    nul = text.find("\0")
    if nul >= 0:
        row = text.count("\n", 0, nul) + 1
        raise DataError(f"{path} row {row}: a NUL byte (the file is damaged, or UTF-16); save the file as UTF-8")
    return text


def _read_bytes(path: Path) -> bytes:
    """The bytes of a regular file: opening a pipe waits for its writer, and reading a device need never end."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise OSError("a folder; give a file")
    if not stat.S_ISREG(mode):
        raise OSError("a pipe or a device; save what comes out of it as a file, and give that")
    return path.read_bytes()


def _target(path: Path) -> str:
    return f" (a link to {path.readlink()}, which is not there)" if path.is_symlink() else ""


def _decoded(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
        raise DataError(f"{path} row {row}: not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; only LF ends a line, because U+2028 and its like occur inside real sentences."""
    lines = read_text(path).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read_table(path: Path, columns: Sequence[str], *, header: bool = True) -> list[list[str]]:
    """The rows of a tab-separated file without quoting.

    Args:
        path: the file.
        columns: the names of its columns; with `header` they must be its first row.
        header: the first row holds the names.

    Raises:
        DataError: as `read_text`, another header, or a row with more or fewer fields.
    """
    lines = read_lines(path)
    if header and (not lines or lines[0].split("\t") != list(columns)):
        found = repr(lines[0][:80]) if lines else "an empty file"
        raise DataError(f"{path} row 1: expected the columns {', '.join(columns)}, found {found}")
    first = int(header)
    rows = [line.split("\t") for line in lines[first:]]
    for number, row in enumerate(rows, start=first + 1):
        if len(row) != len(columns):
            raise DataError(f"{path} row {number}: {len(row)} fields, expected {len(columns)} ({', '.join(columns)})")
    return rows


def find_table(folder: Path, stem: str) -> Path | None:
    """``{stem}.tsv.gz`` or ``{stem}.tsv`` in `folder`, None where it has neither."""
    candidates = (folder / f"{stem}.tsv.gz", folder / f"{stem}.tsv")
    return next((path for path in candidates if path.is_file()), None)


def require_table(folder: Path, stem: str) -> Path:
    """As `find_table`; a DataError that lists what the folder has where the file is missing."""
    found = find_table(folder, stem)
    if found is not None:
        return found
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    has = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
    raise DataError(f"{folder}: no {stem}.tsv.gz (has: {has})")


def write_atomically(path: Path, content: bytes) -> None:
    """`polypatch.files.write_atomic` with a reader's errors.

    Raises:
        DataError: the folder is missing or cannot be written to.
    """
    if not path.parent.is_dir():
        raise DataError(f"{path}: cannot be written (no folder {path.parent})")
    try:
        write_atomic(path, content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
