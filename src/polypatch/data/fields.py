"""The fields of a foreign JSON row, each checked as it is read; messages name the file, the row and the field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from polypatch.arguments import SURROGATE
from polypatch.data.json_rows import json_rows
from polypatch.data.quoting import listed, quoted
from polypatch.errors import DataError


class Fields:
    """One object of a file.

    Args:
        row: the decoded value.
        where: file and row, for messages.

    Raises:
        DataError: it is no object.
    """

    def __init__(self, row: object, where: str) -> None:
        if not isinstance(row, dict):
            raise DataError(f"{where}: expected an object, found {type(row).__name__} {quoted(row)}")
        self.row: dict[str, object] = row
        self.where = where

    def __contains__(self, name: str) -> bool:
        """Whether it has the field, and not as null."""
        return self.row.get(name) is not None

    def text(self, name: str) -> str:
        """A text that must be there; of a list of accepted answers the first, and a whole number as its digits.

        Raises:
            DataError: it is missing, empty, or something else.
        """
        found = self.maybe(name)
        if not found:
            has = f"empty ({quoted(self.row[name])})" if name in self else f"missing (the row has {listed(self.row)})"
            raise DataError(f"{self.where}: field {quoted(name)}: {has}; fill it in, or take the row out")
        return found

    def maybe(self, name: str) -> str:
        """As `text`; empty where it is missing or empty."""
        value = self.row.get(name)
        while isinstance(value, list):
            value = value[0] if value else None
        return self._plain(name, value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, those left out that are empty; a text alone is a list of one."""
        value = self.row.get(name)
        items = value if isinstance(value, list) else [value]
        return tuple(text for item in items if (text := self._plain(name, item)))

    def inside(self, name: str) -> Fields:
        """An object in the row; an empty one where it is missing.

        Raises:
            DataError: it is something else.
        """
        value = self.row.get(name)
        return Fields({} if value is None else value, f"{self.where}: field {quoted(name)}")

    def all_inside(self, name: str) -> tuple[Fields, ...]:
        """A list of objects in the row.

        Raises:
            DataError: it is something else.
        """
        value = self.row.get(name)
        if not isinstance(value, list):
            raise DataError(f"{self.where}: field {quoted(name)}: expected a list of objects, found {quoted(value)}")
        return tuple(Fields(item, f"{self.where}: field {quoted(name)}[{i}]") for i, item in enumerate(value))

    def _plain(self, name: str, value: object) -> str:
        if value is None:
            return ""
        text = str(value) if type(value) is int else value
        if not isinstance(text, str) or SURROGATE.search(text):
            raise DataError(
                f"{self.where}: field {quoted(name)}: expected text, found {type(value).__name__} {quoted(value)}"
            )
        return text if text.strip() else ""


def field_rows(path: Path) -> Iterator[Fields]:
    """The rows of a file of JSON Lines, or of one array.

    Raises:
        DataError: as `json_rows`, or a row that is no object.
    """
    for number, row in json_rows(path):
        yield Fields(row, f"{path} row {number}")
