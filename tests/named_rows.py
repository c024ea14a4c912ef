"""Rows that stand for a name: no two names have the same."""

from polypatch.sites import Row


def named(name):
    """The row of a name, which may be a pair."""
    parts = name if isinstance(name, tuple) else (name,)
    return Row(tuple(ord(letter) for part in parts for letter in part), 0, tuple(map(len, parts)))
