"""Desk: one edited model that several people ask and correct at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from polypatch.desk.reader import Reader
from polypatch.edited_model import EditedModel
from polypatch.edits import Edit
from polypatch.errors import EditError, InputError
from polypatch.model.contradictions import contradictions_of, find_contradictions
from polypatch.model.correct import trial
from polypatch.model.fix import Fix
from polypatch.model.stream import edits_inside
from polypatch.outcomes import EditOutcome, EditRecord, Status
from polypatch.store.merged import write_merged
from polypatch.store.session import Session

T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """Something that somebody should look at.

    Attributes:
        edit_ids: the edits that it is about.
        what: what is the matter, in a sentence.
    """

    edit_ids: tuple[str, ...]
    what: str


class Desk(Reader):
    """Several threads may ask at any time. What changes something is done in one thread, one after the other.

    A context: inside the block nobody else changes the folder. Every edit is on disk when `keep` returns, so that a
    kill loses none; the next desk, session or command on the folder takes over. A request sees all of an edit or
    nothing of it.

    Args:
        folder: where edits are kept.
        edited: the model.
        name: of the model, for people.

    Raises:
        JournalError, InputError, ArtefactError: on entering, as `polypatch.Session`.
    """

    def __init__(self, folder: Path, edited: EditedModel, name: str) -> None:
        super().__init__(edited, name)
        self.session = Session(folder, edited)

    def __enter__(self) -> Self:
        self._changer = ThreadPoolExecutor(1, "polypatch-desk")
        try:
            self._changing(self.session.__enter__)
        except BaseException:
            self._changer.shutdown()
            raise
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        try:
            self._changing(lambda: self.session.__exit__(kind, error, trace))
        finally:
            self._changer.shutdown()

    def _changing(self, work: Callable[[], T]) -> T:
        return self._changer.submit(work).result()

    def trial(self, edit: Edit) -> Fix:
        """What a fix would do; nothing is kept.

        Raises:
            ContradictionError: an earlier edit wants another answer to the same text.
        """
        return self._changing(lambda: trial(self.edited, edit))

    def keep(self, edit: Edit) -> Fix:
        """Make a fix and keep it. Raises as `trial`."""
        return self._changing(lambda: self.session.correct(edit))

    def revert(self, edit_ids: Sequence[str]) -> None:
        """Take edits back.

        Raises:
            EditError: there is no such edit, or it was taken back already.
        """
        self._changing(lambda: self.session.revert(list(edit_ids)))

    def again(self, edit_id: str) -> EditOutcome:
        """Make an edit again that was taken back.

        Raises:
            EditError: there is no such edit, or it was not taken back.
            ContradictionError: another edit wants another answer to its texts by now.
        """

        def make() -> EditOutcome:
            record = self.record(edit_id)
            if not record.reverted or record.edit is None:
                raise EditError(f"edit {edit_id!r} was not taken back, so it cannot be made again")
            (outcome,) = self.session.edit([record.edit])
            return outcome

        return self._changing(make)

    def record(self, edit_id: str) -> EditRecord:
        """One edit of the history.

        Raises:
            EditError: there is none of that id.
        """
        record = self.edited.records.get(edit_id)
        if record is None:
            raise EditError(f"no edit is called {edit_id!r}")
        return record

    def near(self, edit: Edit) -> list[str]:
        """The edits at work in the sentences of another one that is not made yet, and those hard to tell from it."""
        with self.edited.site.reading():
            acting = [one.edit_id for text in edit.prompt.values() for one in self.edited.firing(text)]
            inside = [one for one in edits_inside(self.edited) if one.id != edit.id]
            pairs = contradictions_of(self.edited.tail, edit, inside)
        close = [pair.second for pair in pairs]
        return [name for name in dict.fromkeys([*acting, *close]) if name != edit.id]

    def tasks(self) -> list[Task]:
        """What somebody should look at: edits that failed, and edits that the model can hardly tell apart."""
        with self.edited.site.reading():
            records, inside = list(self.edited.records.values()), edits_inside(self.edited)
            pairs = find_contradictions(self.edited.tail, inside)
        failed = [
            Task((one.outcome.edit_id,), f"{one.status}: {one.outcome.reason}")
            for one in records
            if one.status in (Status.FAILED, Status.TAKEN_BACK)
        ]
        return [*failed, *(Task((pair.first, pair.second), str(pair)) for pair in pairs)]

    @property
    def unmergeable(self) -> str:
        """Why the edits cannot be merged into a checkpoint; empty where they can."""
        try:
            self.edited.merge_cost  # noqa: B018
        except InputError as error:
            return str(error)
        return ""

    def export_edits(self, folder: Path) -> None:
        """Write the edits into a folder, as they are now."""
        self._changing(lambda: self.edited.save_pretrained(folder))

    def export_checkpoint(self, folder: Path) -> None:
        """Write a stock model with the edits inside.

        Raises:
            InputError: they cannot be merged.
        """
        self._changing(lambda: write_merged(self.edited, folder))
