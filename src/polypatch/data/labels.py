"""Labels that the model has a class for."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from polypatch.edits import Edit
from polypatch.errors import UnknownLabelError


def check_labels(edits: Iterable[Edit], known: Collection[str]) -> None:
    """Check every target, in every language, against the model's class names before anything is trained.

    Raises:
        UnknownLabelError: naming the edit, its label and the closest known labels.
    """
    names = set(known)
    for edit in edits:
        for lang, label in edit.target.items():
            if label not in names:
                raise UnknownLabelError(
                    f"edit {edit.id!r}: the model has no label {label!r} (target in {lang!r}); {_advice(label, names)}"
                )


def _advice(label: str, known: Collection[str]) -> str:
    # Case folded, because the commonest slip is the case (ENTAILMENT), which plain difflib calls a total mismatch.
    folded = {name.casefold(): name for name in sorted(known)}
    close = difflib.get_close_matches(label.casefold(), folded, n=3)
    if close:
        return f"closest: {', '.join(repr(folded[name]) for name in close)}"
    some = sorted(known)
    return f"it has {len(some)}: {', '.join(some[:8])}{', …' if len(some) > 8 else ''}"
