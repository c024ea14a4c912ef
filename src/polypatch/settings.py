"""What a setting may be: written beside it as an annotation, and checked when the settings are made.

::

    @dataclass(frozen=True, kw_only=True)
    class Method(Settings):
        learning_rate: Annotated[float, above(0)] = 1e-2
        places: Annotated[tuple[Annotated[float, below(1)], ...], at_least(1)] = (0.6, 0.8)   # of a tuple: its length

A number is finite, whatever its range. What an annotation of another kind says (a mapping, a sequence) is not checked.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from polypatch.errors import InputError

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "none"}


@dataclass(frozen=True)
class Range:
    """The numbers from `least` to `most`; `hint` says what to do instead.

    Attributes:
        least, most: the ends.
        without_least, without_most: whether an end is left out.
    """

    least: float = -math.inf
    most: float = math.inf
    without_least: bool = False
    without_most: bool = False
    hint: str = ""

    def holds(self, number: float) -> bool:
        """Whether the number is one of them."""
        over = number > self.least if self.without_least else number >= self.least
        return over and (number < self.most if self.without_most else number <= self.most)

    def __str__(self) -> str:
        if self.least > -math.inf and self.most < math.inf and not (self.without_least or self.without_most):
            return f"from {self.least:g} to {self.most:g}"
        least = f"{'above' if self.without_least else 'at least'} {self.least:g}" if self.least > -math.inf else ""
        most = f"{'below' if self.without_most else 'at most'} {self.most:g}" if self.most < math.inf else ""
        return " and ".join(part for part in (least, most) if part)


def above(least: float, *, below: float = math.inf, hint: str = "") -> Range:
    """More than `least`, and less than `below`."""
    return Range(least, below, without_least=True, without_most=True, hint=hint)


def below(most: float, *, hint: str = "") -> Range:
    """Less than `most`."""
    return Range(most=most, without_most=True, hint=hint)


def at_least(least: float, *, hint: str = "") -> Range:
    """`least` and more."""
    return Range(least, hint=hint)


def between(least: float, most: float, *, hint: str = "") -> Range:
    """From `least` to `most`, both included."""
    return Range(least, most, hint=hint)


class Settings:
    """Base of a frozen dataclass whose fields hold what their annotations say.

    Raises:
        InputError: one does not; the message names it, its value, and what is allowed.
    """

    def __post_init__(self) -> None:
        for name, kind in _kinds(type(self)).items():  # type: ignore[arg-type]  # mypy: types have no hash
            value = getattr(self, name)
            left_open = value is None and getattr(type(self), name, ...) is None  # filled in later, and checked then
            if not left_open and not _fits(kind, value):
                hints = "".join(f"; {one.hint}" for one in _ranges(kind) if one.hint)
                raise InputError(f"{type(self).__name__}: {name} must be {_allowed(kind)}, not {value!r}{hints}")


@functools.cache
def _kinds(cls: type) -> Mapping[str, Any]:
    """Field -> its annotation."""
    return {name: kind for name, kind in get_type_hints(cls, include_extras=True).items() if kind is not Any}


def _ranges(kind: Any) -> list[Range]:
    if get_origin(kind) is not Annotated:
        return [one for part in get_args(kind) for one in _ranges(part)] if _is_union(kind) else []
    return [one for one in get_args(kind)[1:] if isinstance(one, Range)]


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _fits(kind: Any, value: Any) -> bool:
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        size = len(value) if isinstance(value, tuple) else value
        return _fits(inside[0], value) and all(one.holds(size) for one in _ranges(kind))
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in inside)
    if _is_union(kind):
        return any(_fits(part, value) for part in inside)
    if origin is tuple and inside[-1] is ...:
        return isinstance(value, tuple) and all(_fits(inside[0], item) for item in value)
    return _is_a(kind, value)


def _is_a(kind: Any, value: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and _finite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind) if isinstance(kind, type) and not getattr(kind, "_is_protocol", False) else True


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _allowed(kind: Any) -> str:
    """In words."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        words, ranges = _allowed(inside[0]), " and ".join(map(str, _ranges(kind)))
        return f"{words}, {ranges} of them" if get_origin(inside[0]) is tuple else f"{words} {ranges}"
    if origin is Literal:
        return " or ".join(map(repr, inside))
    if _is_union(kind):
        return " or ".join(map(_allowed, inside))
    if origin is tuple:
        return f"a tuple, each {_allowed(inside[0])}"
    return _WORDS.get(kind) or (f"a {kind.__name__}" if isinstance(kind, type) else str(kind))
