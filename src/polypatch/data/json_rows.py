"""The rows of a JSON file: the lines of JSON Lines, or the elements of one array."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polypatch.data.files import read_text
from polypatch.data.quoting import quoted
from polypatch.errors import DataError


def json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """(row number, decoded value) of an array's elements or of the lines that are not blank.

    Raises:
        DataError: as `read_text`; what is not JSON, or a name that occurs twice in one object.
    """
    text = read_text(path)
    if text.lstrip()[:1] == "[":
        yield from enumerate(_decode(text, str(path)), start=1)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _decode(line, f"{path} row {number}")


def _decode(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}" if "\n" in text else f"column {error.colno}"
        raise DataError(f"{where}: not JSON ({error.msg} at {place})") from error
    except RecursionError:
        raise DataError(f"{where}: not JSON that can be read (hundreds of brackets inside one another)") from None
    except ValueError as error:
        raise DataError(f"{where}: not JSON that can be read (a number of thousands of digits)") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A decoded object. JSON lets a name occur twice and keeps the last value: a correction would go unnoticed."""
    record = dict(pairs)
    if len(record) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise DataError(f"field {quoted(name)}: twice in one object, {quoted(record)}; keep one of the two")
    return record
