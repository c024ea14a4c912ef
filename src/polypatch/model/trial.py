"""A trial: what a fix would do, seen before it is kept."""

from __future__ import annotations

from dataclasses import replace

from polypatch.edits import Edit
from polypatch.model.fix import Fix, made_fix
from polypatch.model.state import State, transaction


class _SeenError(Exception):
    """What was to be seen was seen: everything goes back as it was."""


def trial(state: State, edit: Edit) -> Fix:
    """Make an edit, look at what it did, and put everything back as it was, bit for bit. Nobody reads meanwhile.

    Raises:
        ContradictionError, PolypatchError: as `made_fix`.
    """
    try:
        with transaction(state):
            fix = made_fix(state, edit)
            raise _SeenError
    except _SeenError:
        return replace(fix, kept=False)
