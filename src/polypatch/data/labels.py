"""Labels that the model has a class for."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from polypatch.data.quoting import listed, quoted
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
                    f"edit {quoted(edit.id)}: the model has no label {quoted(label)} (target in {lang!r}); "
                    f"{_advice(label, names)}"
                )


def _advice(label: str, known: Collection[str]) -> str:
    # Case folded, because the commonest slip is the case (ENTAILMENT), which plain difflib calls a total mismatch.
    folded = {name.casefold(): name for name in sorted(known)}
    close = difflib.get_close_matches(label.casefold(), folded, n=3)
    if close:
        return f"closest: {', '.join(repr(folded[name]) for name in close)}"
    return f"it has {len(known)}: {listed(sorted(known))}"
