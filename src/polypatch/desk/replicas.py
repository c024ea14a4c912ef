"""One writer and many replicas of one edited model, wherever they run.

The writer has the session on the folder and makes every change; a replica answers, and fetches the edits from the
writer when it is asked for a newer edition than it has. So storage that all nodes see is needed for the model and for
the writer's folder, and no answer waits for what a file system knows late.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from polypatch.desk.desk import Desk
from polypatch.desk.edition import Edition, Edits
from polypatch.desk.reader import Reader
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit
from polypatch.errors import ArtefactError, JournalError, UnavailableError
from polypatch.model.fix import Fix
from polypatch.sites import load_checkpoint
from polypatch.sites.network.device import device_named
from polypatch.store.folder import changing
from polypatch.store.load import artefact_of, put_in

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds in which an earlier writer has to let go of the folder."""

PAUSE = 0.5
"""Seconds between two tries of a new replica to get edits."""


@dataclass(frozen=True)
class SharedEdits:
    """Saved edits, as every node opens them.

    Attributes:
        folder: of the edits; absolute.
        name: of the model, for people.
        base: the model, where it is not where the edits say.
        device: where it computes.
        threads: of torch.
    """

    folder: Path
    name: str
    base: str | None = None
    device: str = "auto"
    threads: int = 1

    def open(self) -> EditedModel:
        """The edits on their model; raises as `EditedModel.from_pretrained`."""
        torch.set_num_threads(self.threads)
        if self.base is None:
            return EditedModel.from_pretrained(self.folder, device=self.device)
        model, tokenizer = load_checkpoint(self.base)
        return EditedModel.from_pretrained(self.folder, model=model.to(device_named(self.device)), tokenizer=tokenizer)


class Writer:
    """Makes every change, and has the edits of the newest edition at hand.

    Args:
        place: what is edited. Nobody else changes its folder until `close`, or until the process ends.

    Raises:
        JournalError: somebody else is at work on the folder, for longer than `PATIENCE`.
        PolypatchError: as `polypatch.Session`, and as `EditedModel.from_pretrained`.
    """

    def __init__(self, place: SharedEdits) -> None:
        with changing(place.folder, JournalError, patience=PATIENCE):
            pass  # a writer that was lost is given the time to be gone
        self.desk = Desk(place.folder, place.open(), place.name)
        self.desk.__enter__()
        self._name, self._number, self._lock = uuid.uuid4().hex, 0, threading.Lock()
        self._first = artefact_of(self.desk.edited, None)
        self._edits = self._at_hand()

    def edits(self) -> Edits:
        """The newest edition."""
        return self._edits

    def edition(self) -> tuple[Edition, bool]:
        """Which one it is; whether the model writes its answers."""
        return self._edits.edition, self.desk.writes

    def trial(self, edit: Edit) -> tuple[Edition, Fix]:
        """As `Desk.trial`."""
        fix = self.desk.trial(edit)
        return self._edits.edition, fix

    def keep(self, edit: Edit) -> tuple[Edition, Fix]:
        """As `Desk.keep`, and the edition that has it."""
        return self._changing(lambda: self.desk.keep(edit))

    def revert(self, edit_ids: Sequence[str]) -> tuple[Edition, None]:
        """As `Desk.revert`, and the edition that has them no more."""
        return self._changing(lambda: self.desk.revert(edit_ids))

    def close(self) -> None:
        """Write the folder, and let go of it."""
        self.desk.__exit__(None, None, None)

    def _changing(self, change: Callable[[], T]) -> tuple[Edition, T]:
        with self._lock:
            try:
                done = change()
            finally:  # also where the disk refuses what the model has already
                self._number += 1
                self._edits = self._at_hand()
            return self._edits.edition, done

    def _at_hand(self) -> Edits:
        edited = self.desk.edited
        with edited.site.reading():
            changed = {
                "recipe": edited.recipe_name,
                "sampled_languages": list(edited.sampled_languages),
                "settings": dict(edited.config),
            }
            artefact = replace(
                self._first,  # the rest stays; to look at all weights again takes time
                tensors=edited.delta.tensors(),
                owners=tuple(edited.delta.owners),
                records=tuple(edited.records.values()),
                report=edited.report,
                config={**self._first.config, **changed},
            )
            return Edits(Edition(self._name, self._number, self.desk.inside, self.desk.patches), artefact)


class Replica:
    """Answers by an edition that is as new as it is asked for, or newer.

    It has edits once it is made: until there is a writer to give them, the making waits. Nobody asks it meanwhile, so
    nobody has to wait with it.

    Args:
        place: what is asked.
        fetch: gives the newest edits, the writer's; `UnavailableError` where it has none just now.

    Raises:
        ArtefactError: the writer has another model.
        PolypatchError: as `EditedModel.from_pretrained`.
    """

    def __init__(self, place: SharedEdits, fetch: Callable[[], Edits]) -> None:
        self._fetch, self._lock = fetch, threading.Lock()
        self._reader = Reader(place.open(), place.name)
        edits = _patiently(fetch)
        if self._reader.edited.fingerprint != edits.artefact.config["base_fingerprint"]:
            raise ArtefactError(
                f"{place.folder}: this node has a model with other weights than the writer's; put the same one on "
                "every node"
            )
        self._take(edits)
        self._reader.__enter__()

    def ask(self, wanted: Edition, question: str, *given: Any) -> tuple[Edition, Any]:
        """What a `Reader` answers to a question, such as ``"answers"``; and an edition that the answer has.

        Raises:
            PolypatchError: as the reader; what `fetch` raises.
        """
        edition = self._follow(wanted)
        return edition, getattr(self._reader, question)(*given)

    def _follow(self, wanted: Edition) -> Edition:
        if self._edition.holds(wanted):
            return self._edition  # also while somebody else waits for newer edits
        with self._lock:
            if not self._edition.holds(wanted):
                self._take(self._fetch())
            return self._edition

    def _take(self, edits: Edits) -> None:
        put_in(self._reader.edited, edits.artefact)
        self._edition = edits.edition


def _patiently(fetch: Callable[[], Edits]) -> Edits:
    while True:
        try:
            return fetch()
        except UnavailableError:
            time.sleep(PAUSE)
