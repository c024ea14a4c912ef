"""The work behind ``polypatch revert``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from polypatch.cli.console import as_json
from polypatch.errors import InputError
from polypatch.rendering.harmless import one_line
from polypatch.store.artefact import read_artefact
from polypatch.store.cut import newest, without
from polypatch.store.folder import changing
from polypatch.store.write import write_artefact


@dataclass(frozen=True)
class TakenBack:
    """What was done.

    Attributes:
        folder: what was written.
        reverted: the edits that were taken back now.
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

    def __str__(self) -> str:
        named = ", ".join(map(one_line, self.reverted[:5])) + (", …" if len(self.reverted) > 5 else "")
        line = (
            f"{self.folder}: {len(self.reverted)} taken back ({named}); {self.edits} edits, {self.patches} patches left"
        )
        if self.unchecked:
            line += (
                f"\nWhether the other {self.unchecked} still hold was not looked at: that takes the model. "
                f"polypatch check {one_line(self.folder)} --probe FILE looks."
            )
        gone = "\nIts report was about all of them and is dropped; polypatch eval says what those left cost elsewhere."
        return line + (gone if self.report_dropped else "")

    def to_json(self) -> str:
        """For ``--json``."""
        return as_json(asdict(self))


def take_back(folder: Path, ids: Sequence[str], out: Path | None) -> TakenBack:
    """Take these edits of `folder` back, or all where none is named; in place, or into `out`.

    Raises:
        PolypatchError: no such edit, edits that share weights, another process at work, a folder that is taken.
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
    return TakenBack(
        folder=str(where),
        reverted=names,
        edits=len(rest.outcomes),
        patches=len(rest.owners),
        report_dropped=artefact.report is not None,
        unchecked=0 if as_before else sum(outcome.success for outcome in rest.outcomes),
    )
