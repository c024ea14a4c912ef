"""Labels that the model has a class for."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from polypatch.arguments import unknown_label
from polypatch.data.quoting import quoted
from polypatch.edits import Edit
from polypatch.errors import UnknownLabelError


def check_labels(edits: Iterable[Edit], known: Collection[str] | None) -> None:
    """Check every target, in every language, against the model's class names before anything is trained.

    `known` is None where a model writes freely.

    Raises:
        UnknownLabelError: naming the edit, its label and the closest known labels.
    """
    if known is None:
        return
    names = set(known)
    for edit in edits:
        for lang, label in edit.target.items():
            if label not in names:
                raise UnknownLabelError(
                    f"edit {quoted(edit.id)}: the model has no label {quoted(label)} (target in {lang!r}); "
                    f"{unknown_label(label, known)}"
                )
