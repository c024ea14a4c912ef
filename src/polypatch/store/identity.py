"""What makes a piece of work this one and no other: a run, a training, a set of edits made from files.

Whoever writes down what is being done writes its `Identity`. Work that was begun as another is not continued, and one
message says by what they differ.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from polypatch.errors import PolypatchError
from polypatch.files import sha256

_MOST = 80


@dataclass(frozen=True)
class Identity:
    """Named facts about a piece of work, as plain data: all that what comes out depends on.

    Attributes:
        facts: what JSON can hold, by name; files and texts by their hashes.
    """

    facts: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", json.loads(json.dumps(self.facts)))  # a tuple is a list, as in a file

    @classmethod
    def of_settings(cls, settings: Any) -> Identity:
        """That of a dataclass of plain data: the fields that differ from their defaults.

        So a field that a later version adds makes another identity of no older work.
        """
        values, fields = dataclasses.asdict(settings), dataclasses.fields(settings)
        return cls({field.name: values[field.name] for field in fields if values[field.name] != _default(field)})

    @property
    def key(self) -> str:
        """Ten hexadecimal digits that stand for it, for names of files."""
        return sha256(json.dumps(self.facts, sort_keys=True).encode())[:10]

    def texts(self) -> dict[str, str]:
        """Every fact as text: a string as it is, anything else as JSON."""
        return {name: _text(value) for name, value in self.facts.items()}

    def difference(self, begun: Mapping[str, Any]) -> str:
        """The first fact of these that was another when the work was begun, with both values; empty where none was.

        Args:
            begun: the facts then, as data or as `texts`.
        """
        for name, now in self.facts.items():
            was = begun.get(name)
            if was != now and _data(was) != now:
                one, other = _data(was), now
                if isinstance(one, dict) and isinstance(other, dict):
                    return f"{name} {different_field(one, other)}"
                return f"{name} was {_short(_text(one))} and is {_short(_text(other))} now"
        return ""

    def require(self, begun: Mapping[str, Any], where: object, fix: str, error: type[PolypatchError]) -> None:
        """Refuse to continue what was begun as something else.

        Raises:
            PolypatchError: of type `error`; the message names the place, the first difference, and the fix.
        """
        if differs := self.difference(begun):
            raise error(f"{where}: belongs to another run: {differs}; {fix}")


def different_field(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first field in which two objects differ, with both values; empty where none does."""
    for name in sorted({*was, *now}):
        if was.get(name, ...) != now.get(name, ...):
            one, other = (repr(fields[name]) if name in fields else "the default" for fields in (was, now))
            return f"{name} was {_short(one)} and is {_short(other)} now"
    return ""


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _data(value: Any) -> Any:
    """What a text may stand for."""
    with suppress(TypeError, ValueError):
        return json.loads(value)
    return value


def _short(shown: str) -> str:
    return shown if len(shown) <= _MOST else f"{shown[: _MOST - 1]}…"
