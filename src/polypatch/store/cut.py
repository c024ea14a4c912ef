"""Reverting in a folder of edits, without the model: what an edit owns is cut out; whether others hold is not seen."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from polypatch.deltas.kinds import KINDS, standing_alone
from polypatch.errors import ArtefactError, InputError
from polypatch.outcomes import newest, require_active, reverted, short_of_neurons
from polypatch.store.artefact import FORMAT_VERSION, Artefact, read_artefact
from polypatch.store.folder import changing
from polypatch.store.write import write_artefact

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
    records, gone = {record.outcome.edit_id: record for record in artefact.records}, set(ids)
    require_active(records, ids)
    others = any(not record.reverted and record.outcome.edit_id not in gone for record in artefact.records)
    if others and (loose := short_of_neurons(artefact.records, artefact.owners)):
        raise InputError(
            f"these edits were pruned, and some ({', '.join(sorted(loose)[:3])}) rest on the neurons of others, so "
            "none can be cut out of the folder; in Python, EditedModel.from_pretrained(folder, memory=…).revert(id) "
            "makes again what lost its hold; --all takes all back"
        )
    delta = standing_alone(artefact.config, artefact.tensors)
    assert delta is not None  # only what shares its numbers cannot do without the model
    delta.load_tensors(artefact.tensors, artefact.owners)
    delta.drop(gone)
    return replace(
        artefact,
        tensors=delta.tensors(),
        owners=tuple(delta.owners),
        records=tuple(reverted(records, gone, when).values()),
        report=None,
    )


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


@dataclass(frozen=True)
class RevertedEdits:
    """What reverting in a folder did.

    Attributes:
        folder: what was written.
        reverted: the edits that were reverted now.
        edits: how many are left.
        patches: neurons that are left.
        report_dropped: whether there was a report about all of them.
        unchecked: edits that are left and may have been right by what went, which only the model could say.
    """

    folder: str
    reverted: tuple[str, ...]
    edits: int
    patches: int
    report_dropped: bool
    unchecked: int


def revert_saved(folder: Path, ids: Sequence[str], out: Path | None = None) -> RevertedEdits:
    """Revert these edits of `folder`, or all where none is named; in place, or into `out`.

    Raises:
        PolypatchError: as `without`; another process is at work, or `out` exists.
    """
    if out is not None and out.exists():
        raise InputError(f"{out} exists; take another --out")
    where = out or folder
    # Nothing changes between reading and writing.
    with changing(folder, InputError, patience=0) if out is None else nullcontext():
        artefact = read_artefact(folder)
        names = tuple(dict.fromkeys(ids)) or tuple(outcome.edit_id for outcome in artefact.outcomes)
        if not names:
            raise InputError(f"{folder}: no edit is left to take back")
        rest = without(artefact, names, datetime.now(UTC).isoformat(timespec="seconds"))
        write_artefact(where, rest)
    as_before = newest(artefact.records, artefact.owners, names)
    return RevertedEdits(
        folder=str(where),
        reverted=names,
        edits=len(rest.outcomes),
        patches=len(rest.owners),
        report_dropped=artefact.report is not None,
        unchecked=0 if as_before else sum(outcome.success for outcome in rest.outcomes),
    )
