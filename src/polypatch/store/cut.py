"""Edits taken out of a folder of edits: a pure function of what the folder holds, without the model."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from polypatch.deltas.kinds import KINDS
from polypatch.errors import ArtefactError, EditError, InputError
from polypatch.outcomes import EditRecord, Status
from polypatch.store.artefact import FORMAT_VERSION, Artefact

WHOLE = 3
"""The first format that says of the model all that is written today."""


def without(artefact: Artefact, ids: Sequence[str], when: str) -> Artefact:
    """The artefact without the neurons of these edits; the same tensors as `EditedModel.revert` leaves.

    The history keeps the edits as reverted. The report, which was about all of them, is dropped.

    Args:
        artefact: the edits.
        ids: which to take back.
        when: the time, as ISO 8601 in UTC.

    Raises:
        EditError: no such edit, or one that was reverted already.
        InputError: the edits share their weights, or were pruned and rest on one another, so none can be cut out.
        ArtefactError: an old format, which lacks what is to be written.
    """
    require_current(artefact)
    if what := KINDS[artefact.config["delta"]].shared:
        raise InputError(
            f"these edits {what}, so none can be cut out of the folder; in Python, "
            "EditedModel.from_pretrained(folder, memory=…).revert(id) makes the other edits again"
        )
    _require_active(ids, artefact.records)
    gone = set(ids)
    others = any(not record.reverted and record.outcome.edit_id not in gone for record in artefact.records)
    if others and (loose := resting(artefact.records, artefact.owners)):
        raise InputError(
            f"these edits were pruned, and some ({', '.join(sorted(loose)[:3])}) rest on the neurons of others, so "
            "none can be cut out of the folder; in Python, EditedModel.from_pretrained(folder, memory=…).revert(id) "
            "makes again what lost its hold; --all takes all back"
        )
    kept = [i for i, owner in enumerate(artefact.owners) if owner not in gone]
    return replace(
        artefact,
        tensors={name: tensor[kept] for name, tensor in artefact.tensors.items()},
        owners=tuple(artefact.owners[i] for i in kept),
        records=tuple(
            replace(record, reverted=when) if record.outcome.edit_id in gone else record for record in artefact.records
        ),
        report=None,
    )


def resting(records: Iterable[EditRecord], owners: Sequence[str]) -> set[str]:
    """The edits that own fewer neurons than they added, and were not reverted: since pruning, others hold them."""
    owned = Counter(owners)
    inside = (one.outcome for one in records if one.status.changed)
    return {outcome.edit_id for outcome in inside if owned[outcome.edit_id] < outcome.patches}


def newest(records: Iterable[EditRecord], owners: Sequence[str], ids: Collection[str]) -> bool:
    """Whether these edits are the last ones made, so that without them all is as it was before, bit for bit."""
    names = [record.outcome.edit_id for record in records if not record.reverted]
    last = names[len(names) - len(set(ids)) :]
    own = [owner for owner in owners if owner in ids]
    return set(last) == set(ids) and list(owners[len(owners) - len(own) :]) == own


def require_current(artefact: Artefact) -> None:
    """Refuse to write a folder of an older format anew: it lacks fields that only the model can give.

    Raises:
        ArtefactError: it is one.
    """
    version = artefact.config.get("format_version", FORMAT_VERSION)
    if version < WHOLE:
        raise ArtefactError(
            f"this folder has format {version}, what is written is format {FORMAT_VERSION}; bring it up to date in "
            "Python: EditedModel.from_pretrained(folder).save_pretrained(new_folder)"
        )


def near(name: str, names: Collection[str]) -> str:
    """Up to three of `names` that `name` may have been meant for, else the first ones; for messages."""
    close = difflib.get_close_matches(name, names, n=3)
    found = close or list(names)[:3]
    more = ", …" if len(names) > len(found) and not close else ""
    return ", ".join(found) + more if found else "none"


def _require_active(ids: Sequence[str], records: Sequence[EditRecord]) -> None:
    status = {record.outcome.edit_id: record.status for record in records}
    active = [name for name, what in status.items() if what is not Status.REVERTED]
    for name in ids:
        if name not in status:
            raise EditError(f"no edit is called {name!r}; there are {near(name, active)}")
        if status[name] is Status.REVERTED:
            raise EditError(f"edit {name!r} was reverted already; there are {near(name, active)}")
